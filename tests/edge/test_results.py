"""The log of results: a line for every frame, in bounded files."""

import json
from pathlib import Path

import pytest
from classifier.clock import ManualClock
from classifier.pipeline import results as module
from classifier.pipeline.health import MIB
from classifier.pipeline.results import FILES, Results
from classifier.pipeline.worker import Result

from tests.edge.device import said

RESULT = Result("crab-1.jpg", "crab", 0.123456789, "m1")


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


def test_a_line_says_what_was_seen_by_which_model_and_when(tmp_path: Path) -> None:
    Results(tmp_path, clock=ManualClock(), limit_mib=1).add([RESULT])
    assert lines(tmp_path) == [
        {
            "frame": "crab-1.jpg",
            "label": "crab",
            "probability": 0.123457,
            "model_version": "m1",
            "at": "2027-01-15T08:00:00.000Z",
        }
    ]


def test_the_log_never_exceeds_its_bound_and_keeps_the_newest(tmp_path: Path) -> None:
    clock = ManualClock()
    results = Results(tmp_path, clock=clock, limit_mib=1)
    for number in range(400):
        results.add([Result(f"{number}-{'x' * 100}", "crab", 0.5, "m1")] * 30)
        clock.advance(-60)  # whatever the clock does
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= MIB
    assert len(list(tmp_path.iterdir())) == FILES
    assert str(lines(tmp_path)[-1]["frame"]).startswith("399-")


def test_restarts_cost_no_lines(tmp_path: Path) -> None:
    for _ in range(3 * FILES):
        results = Results(tmp_path, clock=ManualClock(), limit_mib=1)
        results.add([RESULT])
        results.close()
    assert len(lines(tmp_path)) == 3 * FILES


def test_nothing_is_written_unless_it_is_asked_for(tmp_path: Path) -> None:
    results = Results(tmp_path / "results", clock=ManualClock(), limit_mib=0)
    results.add([RESULT])
    assert not (tmp_path / "results").exists()
    results.configure(1)
    results.add([RESULT])
    assert len(lines(tmp_path / "results")) == 1


def test_a_disk_that_does_not_take_lines_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "results").write_text("no folder")
    results = Results(tmp_path / "results", clock=ManualClock(), limit_mib=1)
    for _ in range(3):
        results.add([RESULT])
    assert len(said(caplog, module)) == 1
    (tmp_path / "results").unlink()
    results.add([RESULT])
    assert len(lines(tmp_path / "results")) == 1
