"""A training that is killed, however often and whenever, ends with the model of one that was not."""

import json
import random
import signal
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.unit.jobs.bench import Bucket
from tests.unit.jobs.images import CLASSES
from tests.unit.jobs.trainings import VERSION, hyperparameters, put_dataset, started, train, warm_up

KILLS = 20
SECONDS = 200


class Attempts:
    """One training in one root, which may take several processes."""

    def __init__(self, root: Path, bucket: Bucket) -> None:
        self.root = root
        hyperparameters(root, epochs=2, batch_size=4, learning_rate=0.005, deterministic=True, normalization="batch")
        (root / "input" / "data").mkdir()
        (root / "input" / "data" / "images").symlink_to(bucket.folder)
        (root / "input" / "data" / "dataset").symlink_to(bucket.dataset(VERSION))

    def run(
        self, *, kill_after: float = SECONDS, by: signal.Signals = signal.SIGKILL, at_checkpoint: bool = False
    ) -> int:
        """Start the training and end it after so many seconds, or when it has written a checkpoint; its exit code."""
        process = started(train, str(self.root), log=self.root / "log")
        if at_checkpoint:
            while process.exitcode is None and not self.checkpoints:
                process.join(0.005)
        else:
            process.join(kill_after)
        if process.exitcode is None:
            assert process.pid
            (process.terminate if by == signal.SIGTERM else process.kill)()
            process.join(SECONDS)
        assert process.exitcode is not None, "did not end on its signal"
        return process.exitcode

    @property
    def checkpoints(self) -> list[Path]:
        return sorted((self.root / "checkpoints").glob("checkpoint-*.pt"))

    def result(self) -> tuple[dict[str, Any], bytes, str]:
        """The final metrics, the weights, the temperature."""
        model = json.loads((self.root / "model" / "model.json").read_text())
        return model["metrics"], (self.root / "model" / "model.onnx").read_bytes(), model["temperature"]


def plant(attempts: Attempts, rng: random.Random) -> None:
    """Checkpoints that claim to be the newest and are cut off, changed, empty or of an interrupted writer."""
    whole = [path for path in attempts.checkpoints if sha256(path.read_bytes()).hexdigest() in path.name]
    if not whole:
        return
    newest = whole[-1]
    content = newest.read_bytes()
    position = rng.randrange(len(content))
    flipped = content[:position] + bytes([content[position] ^ 1 << rng.randrange(8)]) + content[position + 1 :]
    faults = [content[: rng.randrange(len(content))], flipped, b""]
    for number, fault in enumerate(faults):
        name = newest.name.split("-")
        name[2:4] = ["000001", f"{90 + number:08d}"]
        newest.with_name("-".join(name)).write_bytes(fault)
    newest.with_name(".checkpoint.4242").write_bytes(content)


@pytest.fixture
def shared(tmp_path: Path) -> Bucket:
    bucket = Bucket(tmp_path / "bucket", list(CLASSES))
    put_dataset(bucket, counts={"train": 24, "validation": 9})
    return bucket


def test_every_resumed_run_ends_as_an_undisturbed_one_bit_by_bit(shared: Bucket, tmp_path: Path) -> None:
    warm_up()
    undisturbed, begun = Attempts(tmp_path / "undisturbed", shared), time.monotonic()
    assert undisturbed.run() == 0, (undisturbed.root / "log").read_text()
    lasts = time.monotonic() - begun
    seed = random.SystemRandom().randrange(2**32)
    print(f"moments drawn with seed {seed}")
    rng = random.Random(seed)
    kills, run = {signal.SIGKILL: 0, signal.SIGTERM: 0}, 0
    while sum(kills.values()) < KILLS:
        run += 1
        attempts, code = Attempts(tmp_path / f"run-{run}", shared), -1
        while code:
            by = min(kills, key=lambda one: kills[one])
            left = sum(kills.values()) < KILLS
            # The first kill leaves something to resume from, however slow the machine has become since it was timed.
            at_checkpoint = not any(kills.values())
            code = attempts.run(
                kill_after=rng.uniform(0, lasts) if left else SECONDS, by=by, at_checkpoint=at_checkpoint
            )
            assert code in (0, -signal.SIGKILL, 143, -signal.SIGTERM), (attempts.root / "log").read_text()
            if code:
                kills[by] += 1
                plant(attempts, rng)
        assert attempts.result() == undisturbed.result(), f"seed {seed}, run {run}"
        assert not [path for path in (attempts.root / "checkpoints").iterdir() if path.name.startswith(".")]
        assert len(attempts.checkpoints) == 2
    logs = [(tmp_path / f"run-{number}" / "log").read_text() for number in range(1, run + 1)]
    assert any("resumed at epoch" in log for log in logs)
    assert any("is damaged and removed" in log for log in logs)
