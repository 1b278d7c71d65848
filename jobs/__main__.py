"""`python -m jobs <verb>`: the container's entry point."""

import errno
import importlib
import os
import shutil
import signal
import sys
import traceback
from dataclasses import dataclass
from typing import Final, NoReturn

from jobs import driver
from jobs.errors import STOPPED, Interrupted, JobError
from jobs.paths import Root

# What SageMaker shows of a failure: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-signal-success-failure.html
FAILURE_CHARACTERS: Final = 1024
FULL: Final = (errno.ENOSPC, errno.EDQUOT)
ONE_OF_SEVERAL: Final = "TORCHELASTIC_RUN_ID"
"""The variable that torchrun gives to each of the processes that it starts, and to them alone."""


@dataclass(frozen=True)
class Verb:
    """A module with `run(root, arguments)`, imported when it is asked for, and where the reason of a failure goes."""

    module: str
    failure: str | None
    more_disk: str = "give the job a larger volume"
    """What to do when its disk is full."""


VERBS: Final = {
    # Instances with a disk of their own, such as ml.g5, take no other:
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ResourceConfig.html
    "train": Verb(
        "jobs.training.train",
        "output/failure",
        "raise training.volume_gib, or take an instance type with a larger disk",
    ),
    "score": Verb("jobs.labeling.score", "output/message"),
    "consolidate": Verb("jobs.labeling.consolidate", "output/message"),
    "merge": Verb("jobs.labeling.merge", "output/message"),
    "evaluate": Verb("jobs.evaluation.evaluate", "output/message"),
    "compare": Verb("jobs.comparison.compare", "output/message"),
    "audit": Verb("jobs.audit", None),
}


def main(arguments: list[str]) -> int:
    """Run a verb; 0 done, 1 failed with the reason in the failure file, 2 no such verb, 143 told to stop."""
    verb = VERBS.get(arguments[0]) if arguments else None
    if verb is None:
        given = repr(arguments[0]) if arguments else "nothing"
        print(f"unknown verb: {given}; allowed are {', '.join(VERBS)}", file=sys.stderr)
        return 2
    root = Root.from_environment()
    if verb.failure and ONE_OF_SEVERAL not in os.environ:
        (root.path / verb.failure).unlink(missing_ok=True)
    try:
        importlib.import_module(verb.module).run(root, arguments[1:])
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return STOPPED
    except JobError as error:
        return _fail(root, verb, str(error))
    except Exception as error:
        traceback.print_exc()
        if full := _full_disk(error):
            # The reason needs a place too.
            shutil.rmtree(root.path / "scratch", ignore_errors=True)
            return _fail(root, verb, f"the disk is full ({full.filename or full.strerror}): {verb.more_disk}")
        return _fail(root, verb, f"unexpected {type(error).__name__}: {error}; the job's log has the traceback")
    return 0


def _fail(root: Root, verb: Verb, reason: str) -> int:
    """Leave the reason where SageMaker looks. The first of several processes to fail says why, the others follow."""
    print(f"error: {reason}", file=sys.stderr)
    if verb.failure:
        path = root.path / verb.failure
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(_shortened(reason))
        except FileExistsError:
            pass
        except OSError as error:
            print(f"error: the reason could not be written to {path}: {error}", file=sys.stderr)
    return 1


def _shortened(reason: str) -> str:
    """One line that fits; what is too long loses its middle, since what to do stands at the end."""
    line = " ".join(reason.split()).encode(errors="backslashreplace").decode()
    if len(line) <= FAILURE_CHARACTERS:
        return line
    half = FAILURE_CHARACTERS // 2
    return f"{line[: half - 1]}…{line[-half:]}"


def _full_disk(error: BaseException | None) -> OSError | None:
    """The full disk behind an error: torch raises one of its own while that is handled."""
    while error:
        if isinstance(error, OSError) and error.errno in FULL:
            return error
        error = error.__cause__ or error.__context__
    return None


def _stop(number: int, _frame: object) -> NoReturn:
    # Who asks twice must not interrupt the stopping.
    signal.signal(number, signal.SIG_IGN)
    raise Interrupted("told to stop")


if __name__ == "__main__":
    if needed := driver.library_path(os.environ):
        # The loader reads it when a process starts, so start once more, as the same process.
        os.execve(sys.executable, sys.orig_argv, {**os.environ, driver.VARIABLE: needed})  # noqa: S606 (no shell)
    # The first process of a container ignores SIGTERM unless it says what to do.
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main(sys.argv[1:]))
