"""Nothing that a job of the offline account started outlives the account."""

from pathlib import Path

from tests.offline.bench import opened, until


def test_closing_the_account_ends_the_processes_of_its_jobs(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        script = "import os, pathlib, time\nprint(os.getpid())\ntime.sleep(600)"
        name = bench.train(bench.image(script), wait=False)["TrainingJobName"]
        log = tmp_path / "jobs" / name / "log.txt"
        process_id = int(until(lambda: log.exists() and log.read_text().strip(), bool))

    assert not Path(f"/proc/{process_id}").exists()
