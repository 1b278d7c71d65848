"""`python -m jobs`: verbs, exit codes and what a failure leaves behind."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jobs import __main__ as entry
from jobs.__main__ import VERBS, main
from jobs.errors import Interrupted, JobError
from jobs.paths import Root

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("arguments", [[], ["predict"], ["--help"]])
def test_an_unknown_verb_ends_with_2_and_the_list_of_verbs(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "allowed are train, score, consolidate, merge" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "file"),
    [("score", "message"), ("consolidate", "message"), ("merge", "message")],
)
def test_a_failure_leaves_one_sentence_where_sagemaker_looks(tmp_path: Path, verb: str, file: str) -> None:
    environment = {**os.environ, "ML_ROOT": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "jobs", verb], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    sentence = (tmp_path / "output" / file).read_text()
    assert done.stderr == f"error: {sentence}\n"
    assert re.search(r"is missing$|required", sentence)


def test_what_nobody_expected_is_a_failure_with_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_ROOT", str(tmp_path))
    monkeypatch.setitem(entry.VERBS, "train", entry.Verb("jobs.paths", "output/failure"))
    monkeypatch.setattr("jobs.paths.run", lambda root, arguments: 1 / 0, raising=False)
    assert main(["train"]) == 1
    assert (tmp_path / "output/failure").read_text().startswith("unexpected ZeroDivisionError: division by zero")


def test_a_long_reason_loses_its_middle_and_stays_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(root: Root, arguments: list[str]) -> None:
        raise JobError("what \ud800\nis " + "long " * 1000 + "wrong: do this")

    monkeypatch.setenv("ML_ROOT", str(tmp_path))
    monkeypatch.setitem(entry.VERBS, "train", entry.Verb("jobs.paths", "output/failure"))
    monkeypatch.setattr("jobs.paths.run", fail, raising=False)
    assert main(["train"]) == 1
    sentence = (tmp_path / "output/failure").read_text()
    assert len(sentence) == entry.FAILURE_CHARACTERS
    assert sentence.startswith("what \\ud800 is long")
    assert sentence.endswith("wrong: do this")


def test_being_told_to_stop_twice_does_not_interrupt_the_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    handled = []
    monkeypatch.setattr(signal, "signal", lambda *given: handled.append(given))
    with pytest.raises(Interrupted):
        entry._stop(signal.SIGTERM, None)
    assert handled == [(signal.SIGTERM, signal.SIG_IGN)]


def test_files_are_under_opt_ml_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ML_ROOT", raising=False)
    assert Root.from_environment().path == Path("/opt/ml")


def test_scoring_and_consolidating_do_not_need_pytorch() -> None:
    modules = [verb.module for name, verb in VERBS.items() if name != "train"]
    script = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0
