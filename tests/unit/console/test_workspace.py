"""The folder of a run: its own, gone at the end, its logs kept when the run failed."""

import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from console.demo.workspace import Workspace, write_atomically


def test_a_run_leaves_nothing_behind(tmp_path: Path) -> None:
    with Workspace(tmp_path) as workspace:
        (workspace.folder / "jobs").mkdir()
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Workspace(tmp_path):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_two_runs_have_a_folder_each(tmp_path: Path) -> None:
    with Workspace(tmp_path) as one, Workspace(tmp_path) as other:
        assert one.folder != other.folder


def test_temporary_files_of_child_processes_lie_in_the_runs_folder(tmp_path: Path) -> None:
    before = os.environ.get("TMPDIR")
    with Workspace(tmp_path) as workspace:
        assert Path(os.environ["TMPDIR"]).is_relative_to(workspace.folder)
        assert Path(tempfile.gettempdir()).is_relative_to(workspace.folder)
    assert os.environ.get("TMPDIR") == before
    assert Path(tempfile.gettempdir()).exists()


def test_the_logs_of_a_failed_run_are_kept_with_the_reason(tmp_path: Path) -> None:
    with Workspace(tmp_path) as workspace:
        log = workspace.folder / "jobs" / "reefloop-training-1" / "log.txt"
        log.parent.mkdir(parents=True)
        log.write_text("epoch=1")
        (log.parent / "model.onnx").write_text("large")
        kept = workspace.keep_logs("step 'round 1' failed")
        again = workspace.keep_logs("and once more")
    assert kept != again
    assert (kept / "reason.txt").read_text() == "step 'round 1' failed\n"
    assert (kept / "jobs" / "reefloop-training-1" / "log.txt").read_text() == "epoch=1"
    assert not list(kept.rglob("model.onnx"))


def test_a_summary_written_by_two_runs_at_once_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    texts = [json.dumps({"run": number, "padding": "x" * 100_000}) for number in range(8)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda text: write_atomically(path, text), texts))
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]
