"""Several processes train as one does: the same losses, one stop, one model."""

import json
import os
import signal
import time
from itertools import islice
from pathlib import Path

import pytest
import torch

from jobs.training import loader, networks
from jobs.training.hyperparameters import Hyperparameters
from jobs.training.plan import Plan, parts
from jobs.training.processes import Processes, Vote, joined
from jobs.training.schedule import learning_rate
from jobs.training.step import Trainer
from tests.unit.jobs.bench import Bucket
from tests.unit.jobs.images import CLASSES
from tests.unit.jobs.trainings import VERSION, dataset, hyperparameters, put_dataset, ranks, started, train

STEPS = 50
SECONDS = 200
CHOSEN = Hyperparameters(
    model_version="v1-1",
    dataset_version="v1",
    normalization="group",
    image_pixels=32,
    batch_size=9,
    learning_rate=0.01,
    class_weights="balanced",
    epochs=4,
)


def losses(processes: Processes, accumulation: int) -> list[float]:
    """The loss of each of the first STEPS batches, as fit would go through them."""
    chosen = Hyperparameters(**{**vars(CHOSEN), "accumulation": accumulation})
    data = dataset().splits["train"]
    torch.manual_seed(chosen.seed)
    network = networks.build("reef", classes=3, pixels=32, normalization="group", pretrained=False)
    trainer = Trainer(network, data.targets, chosen, processes, classes=3)
    plan = Plan(len(data), chosen.batch_size, chosen.seed)
    order = [(epoch, step, batch) for epoch in range(chosen.epochs) for step, batch in enumerate(plan.epoch(epoch))]
    mine = (
        part
        for _epoch, _step, batch in order[:STEPS]
        for part in parts(batch, rank=processes.rank, size=processes.size, accumulation=accumulation)
    )
    arriving = loader.batches(data, mine, device=processes.device)
    found: list[float] = []
    for number, (epoch, step, batch) in enumerate(order[:STEPS]):
        rate = learning_rate(chosen, number, len(order))
        trainer.step(islice(arriving, accumulation), batch=batch, epoch=epoch, step=step, rate=rate)
        found.append(float(processes.summed(trainer.totals)[0]))
        trainer.totals.zero_()
    return found


def write_losses(folder: str) -> None:
    with joined() as processes:
        found = {accumulation: losses(processes, accumulation) for accumulation in (1, 2)}
        Path(folder, f"losses-{processes.rank}.json").write_text(json.dumps(found))


def test_two_processes_reach_the_losses_of_one_with_the_whole_batch(tmp_path: Path, port: int) -> None:
    both = [
        started(write_losses, str(tmp_path), log=tmp_path / f"log-{rank}", **environment)
        for rank, environment in enumerate(ranks(2, port))
    ]
    alone = losses(Processes.alone(), 1)
    for rank, process in enumerate(both):
        process.join(SECONDS)
        assert process.exitcode == 0, (tmp_path / f"log-{rank}").read_text()
    assert len(alone) == STEPS
    # What is compared has moved: a network that learns nothing agrees with everything.
    assert sum(alone[-10:]) < 0.9 * sum(alone[:10])
    for rank in range(2):
        found = json.loads((tmp_path / f"losses-{rank}.json").read_text())
        assert found["1"] == pytest.approx(alone, abs=1e-4)
        assert found["2"] == pytest.approx(alone, abs=1e-4)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    bucket = Bucket(tmp_path / "bucket", list(CLASSES))
    put_dataset(bucket, counts={"train": 24, "validation": 9})
    root = tmp_path / "ml"
    (root / "input" / "data").mkdir(parents=True)
    (root / "input" / "data" / "images").symlink_to(bucket.folder)
    (root / "input" / "data" / "dataset").symlink_to(bucket.dataset(VERSION))
    return root


def test_a_stop_asked_of_one_process_stops_both_and_one_process_can_finish(root: Path, port: int) -> None:
    hyperparameters(root, epochs=400, batch_size=9, learning_rate=0.005)
    both = [
        started(train, str(root), log=root / f"log-{rank}", **environment)
        for rank, environment in enumerate(ranks(2, port))
    ]
    wait_for(root / "log-0", "epoch=1 ")
    assert both[1].pid
    os.kill(both[1].pid, signal.SIGTERM)
    for rank, process in enumerate(both):
        process.join(SECONDS)
        assert process.exitcode == 143, (root / f"log-{rank}").read_text()
    stopped = [(root / f"log-{rank}").read_text().splitlines()[-1] for rank in range(2)]
    assert stopped[0] == stopped[1]
    assert stopped[0].endswith("checkpoint written")
    assert not (root / "output" / "failure").exists()
    assert not (root / "model").exists()

    _stopped, _in, _epoch, epoch, _after, _step, step, *_ = stopped[0].replace(",", "").split()
    process = started(train, str(root), log=root / "log-alone")
    wait_for(root / "log-alone", f"resumed at epoch {epoch}, step {step} of ")
    process.kill()
    process.join()


def test_two_processes_leave_one_model_that_both_have_tested(root: Path, port: int) -> None:
    hyperparameters(root, epochs=1, batch_size=9, learning_rate=0.005, accumulation=2)
    both = [
        started(train, str(root), log=root / f"log-{rank}", **environment)
        for rank, environment in enumerate(ranks(2, port))
    ]
    for rank, process in enumerate(both):
        process.join(SECONDS)
        assert process.exitcode == 0, (root / f"log-{rank}").read_text()
    model = json.loads((root / "model" / "model.json").read_text())
    assert (model["training"]["processes"], model["metrics"]["train_objects"]) == (2, 24)
    assert "epoch=1" in (root / "log-0").read_text()
    assert "epoch=1" not in (root / "log-1").read_text()


def test_more_processes_than_a_batch_has_parts_for_are_refused_whoever_started_them(root: Path, port: int) -> None:
    hyperparameters(root, batch_size=2, accumulation=2)
    both = [
        started(train, str(root), log=root / f"log-{rank}", **environment)
        for rank, environment in enumerate(ranks(2, port))
    ]
    for process in both:
        process.join(SECONDS)
        assert process.exitcode == 1
    assert (root / "output" / "failure").read_text().startswith("batch_size 2 is divided among 2 processes times accu")


def wait_for(log: Path, text: str) -> None:
    deadline = time.monotonic() + SECONDS
    while text not in (log.read_text() if log.exists() else ""):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


def test_a_vote_of_one_process_counts_at_once() -> None:
    assert Vote(Processes.alone()).cast(True, False) == [True, False]


def test_shares_are_whole_and_of_equal_length() -> None:
    for size in (1, 2, 3, 7):
        shares = [list(Processes(rank, size, rank, size, torch.device("cpu")).share(20)) for rank in range(size)]
        assert [number for share in shares for number in share] == list(range(20))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
