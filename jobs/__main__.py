"""`python -m jobs <verb>`: the container's entry point."""

import importlib
import os
import sys
import traceback
from dataclasses import dataclass
from typing import Final

from jobs import driver
from jobs.errors import Interrupted, JobError
from jobs.paths import Root

# What SageMaker shows of a failure: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-signal-success-failure.html
FAILURE_CHARACTERS: Final = 1024
STOPPED: Final = 143  # 128 + SIGTERM: not 0, so that nobody takes an interrupted training for a finished one


@dataclass(frozen=True)
class Verb:
    """A module with `run(root, arguments)`, imported when it is asked for, and where the reason of a failure goes."""

    module: str
    failure: str


VERBS: Final = {
    "train": Verb("jobs.training.train", "output/failure"),
    "score": Verb("jobs.labeling.score", "output/message"),
    "consolidate": Verb("jobs.labeling.consolidate", "output/message"),
    "merge": Verb("jobs.labeling.merge", "output/message"),
}


def main(arguments: list[str]) -> int:
    """Run a verb; 0 done, 1 failed with the reason in the failure file, 2 no such verb."""
    verb = VERBS.get(arguments[0]) if arguments else None
    if verb is None:
        given = repr(arguments[0]) if arguments else "nothing"
        print(f"unknown verb: {given}; allowed are {', '.join(VERBS)}", file=sys.stderr)
        return 2
    root = Root.from_environment()
    try:
        importlib.import_module(verb.module).run(root, arguments[1:])
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return STOPPED
    except JobError as error:
        return _fail(root, verb, str(error))
    except Exception as error:
        traceback.print_exc()
        return _fail(root, verb, f"unexpected {type(error).__name__}: {error}; the job's log has the traceback")
    return 0


def _fail(root: Root, verb: Verb, reason: str) -> int:
    print(f"error: {reason}", file=sys.stderr)
    path = root.path / verb.failure
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(reason[:FAILURE_CHARACTERS], encoding="utf-8")
    return 1


if __name__ == "__main__":
    if needed := driver.library_path(os.environ):
        # The loader reads it when a process starts, so start once more, as the same process.
        os.execve(sys.executable, sys.orig_argv, {**os.environ, driver.VARIABLE: needed})  # noqa: S606 (no shell)
    sys.exit(main(sys.argv[1:]))
