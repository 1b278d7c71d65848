"""The training loop: seeded, resumable at any step, on one processor or many GPUs."""

import hashlib
import json
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import torch
from torch import nn

from jobs.errors import Interrupted, JobError
from jobs.training import checkpoints, loader, metrics
from jobs.training.dataset import Dataset
from jobs.training.evaluation import logits_of, loss_and_accuracy
from jobs.training.hyperparameters import Hyperparameters
from jobs.training.loader import Batch
from jobs.training.plan import Plan, parts
from jobs.training.processes import Processes, Vote
from jobs.training.schedule import learning_rate
from jobs.training.step import Trainer

CHECK_STEPS: Final = 10
"""The loss is looked at every so many steps: looking at it waits for the GPU."""
CHECKPOINT_SECONDS: Final = 600
GIB: Final = 2**30
# What decides about the weights after every step. Not how many processes and parts there are, nor what the numbers are
# computed in: a training may be resumed on another instance type.
DECISIVE: Final = (
    "network", "pretrained", "normalization", "image_pixels", "epochs", "batch_size", "learning_rate", "weight_decay",
    "warm_up_share", "label_smoothing", "class_weights", "seed",
)  # fmt: skip


@dataclass
class Progress:
    """How far a training has come, and what all processes have seen in the epoch."""

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    """Summed over steps."""
    right: int = 0


def fit(network: nn.Module, dataset: Dataset, chosen: Hyperparameters, folder: Path, processes: Processes) -> nn.Module:
    """Train a network on the train split; checkpoints go to `folder` every epoch, every ten minutes and on SIGTERM.

    Every draw is keyed by seed, epoch, step and object, so a training that was interrupted and resumed does the same
    steps as one that was not, on any number of processes.

    Returns:
        The same network, trained, in evaluation mode.

    Raises:
        Interrupted: on SIGTERM, after a checkpoint of the last finished step.
        JobError: the loss is no longer a number, the GPU's memory is too small, a part of a batch is too small.
    """
    loop = _Loop(network, dataset, chosen, folder, processes)
    loop.resume()
    try:
        with _told_to_stop() as told:
            while loop.progress.epoch < chosen.epochs:
                loop.epoch(told)
    except torch.OutOfMemoryError as error:
        part = chosen.largest_part(processes.size)
        raise JobError(
            f"the GPU's memory is too small for {part} images of {chosen.image_pixels} pixels at once: raise "
            f"training.accumulation from {chosen.accumulation}, or lower training.batch_size; {error}"
        ) from None
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise JobError(
            f"{chosen.network!r} normalizes over a batch, and a part of one image has a single value left at its end: "
            f"lower training.accumulation from {chosen.accumulation}, or raise training.batch_size or "
            "training.image_pixels"
        ) from None
    network.to(processes.device).load_state_dict(loop.trainer.network.state_dict())
    return network.eval()


class _Loop:
    def __init__(
        self, network: nn.Module, dataset: Dataset, chosen: Hyperparameters, folder: Path, processes: Processes
    ) -> None:
        self.dataset, self.chosen, self.folder, self.processes = dataset, chosen, folder, processes
        self.train, classes = dataset.splits["train"], len(dataset.labels)
        self.plan = Plan(len(self.train), chosen.batch_size, chosen.seed)
        self.mark = fingerprint(network, dataset, chosen)
        self.trainer = Trainer(network, self.train.targets, chosen, processes, classes=classes)
        self.progress = Progress()
        self.vote = Vote(processes)
        self.saved_at = time.monotonic()

    def resume(self) -> None:
        """Go on where the newest whole checkpoint of this training was written, if there is one."""
        found = checkpoints.latest(self.folder, mark=self.mark) if self.processes.first else None
        if not (state := self.processes.from_first(found)):
            return
        self.progress = Progress(*(state[name] for name in asdict(self.progress)))
        self.trainer.load(state)
        if self.processes.first:
            self.trainer.totals += self.trainer.totals.new_tensor([self.progress.loss, self.progress.right])
            print(
                f"resumed at epoch {self.progress.epoch + 1}, step {self.progress.step} of {self.plan.steps}",
                flush=True,
            )

    def epoch(self, told: list[int]) -> None:
        """The steps that are left of an epoch, then a checkpoint, then validation."""
        self.trainer.network.train()
        started, timed = time.monotonic(), _Timed(self._arriving())
        first_step, total_steps = self.progress.step, self.chosen.epochs * self.plan.steps
        rate, stop = 0.0, False
        with closing(timed):
            for batch in self.plan.epoch(self.progress.epoch)[first_step:]:
                epoch, step = self.progress.epoch, self.progress.step
                rate = learning_rate(self.chosen, epoch * self.plan.steps + step, total_steps)
                arrived = islice(timed, self.chosen.accumulation)
                self.trainer.step(arrived, batch=batch, epoch=epoch, step=step, rate=rate)
                self.progress.step += 1
                if self.progress.step % CHECK_STEPS == 0:
                    self.trainer.check(epoch=epoch, first_step=first_step)
                due = self.processes.first and time.monotonic() - self.saved_at > CHECKPOINT_SECONDS
                stop, due = self.vote.cast(bool(told), due)
                if stop or due:
                    self.save(first_step)
                if stop:
                    break
        # The last ballot is counted by all, whether they stop or not.
        stop |= any(self.vote.close()[:1])
        steps, seconds = self.progress.step - first_step, time.monotonic() - started
        if steps and (not stop or self.progress.step == self.plan.steps):
            self.save(first_step)
        if stop:
            raise Interrupted(
                f"stopped in epoch {self.progress.epoch + 1} after step {self.progress.step}, checkpoint written"
            )
        self._report(rate, self._speed(steps, seconds, timed.seconds) if steps else {})
        self.progress = Progress(self.progress.epoch + 1)
        self.trainer.totals.zero_()
        self.trainer.finite.zero_()

    def save(self, first_step: int) -> None:
        """Every process must call it, after the same step."""
        self.trainer.check(epoch=self.progress.epoch, first_step=first_step)
        loss, right = self.processes.summed(self.trainer.totals).tolist()
        self.progress.loss, self.progress.right = loss, int(right)
        if self.processes.first:
            checkpoints.save(self.folder, {**asdict(self.progress), **self.trainer.state()}, mark=self.mark)
        self.saved_at = time.monotonic()

    def _arriving(self) -> Iterator[Batch]:
        order = self.plan.epoch(self.progress.epoch)[self.progress.step :]
        rank, size = self.processes.rank, self.processes.size
        mine = (
            part
            for batch in order
            for part in parts(batch, rank=rank, size=size, accumulation=self.chosen.accumulation)
        )
        return loader.batches(self.train, mine, device=self.processes.device)

    def _speed(self, steps: int, seconds: float, waited: float) -> dict[str, float]:
        slowest = self.processes.largest(torch.tensor([seconds, waited, self._memory_gib()]))
        seconds, waited, memory = slowest.tolist()
        speed = {
            "images_per_second": steps * self.chosen.batch_size / seconds,
            "step_seconds": seconds / steps,
            "data_wait_share": waited / seconds,
        }
        return speed | ({"gpu_memory_gib": memory} if memory else {})

    def _memory_gib(self) -> float:
        on_gpu = self.processes.device.type == "cuda"
        return torch.cuda.max_memory_allocated() / GIB if on_gpu else 0.0

    def _report(self, rate: float, speed: dict[str, float]) -> None:
        """One line per epoch, which the job's metric definitions read."""
        self.trainer.agree()
        validation = self.dataset.splits["validation"]
        size = self.chosen.largest_part(self.processes.size)
        logits = logits_of(self.trainer.network, validation, self.processes, batch_size=size)
        loss, accuracy = loss_and_accuracy(logits, validation.targets)
        if not self.processes.first:
            return
        values: dict[str, float] = {
            "epoch": self.progress.epoch + 1,
            "train:loss": self.progress.loss / self.plan.steps,
            "train:accuracy": self.progress.right / (self.plan.steps * self.chosen.batch_size),
            "validation:loss": loss,
            "validation:accuracy": accuracy,
        }
        print(metrics.line(values | ({"learning_rate": rate} if rate else {}) | speed), flush=True)


class _Timed(Iterator[Batch]):
    """Batches, and how long they were waited for."""

    def __init__(self, arriving: Iterator[Batch]) -> None:
        self._arriving = arriving
        self.seconds = 0.0

    def __next__(self) -> Batch:
        started = time.monotonic()
        try:
            return next(self._arriving)
        finally:
            self.seconds += time.monotonic() - started

    def close(self) -> None:
        """End the threads that read ahead."""
        self._arriving.close()  # type: ignore[attr-defined]


def fingerprint(network: nn.Module, dataset: Dataset, chosen: Hyperparameters) -> str:
    """What must be the same for a checkpoint to be of this training, in hexadecimal."""
    train = dataset.splits["train"]
    settings = {name: getattr(chosen, name) for name in DECISIVE}
    shapes = {name: list(values.shape) for name, values in network.state_dict().items()}
    mixed = hashlib.sha256(json.dumps([settings, dataset.labels, shapes]).encode())
    mixed.update(train.targets.numpy().tobytes() + train.objects.tobytes())
    return mixed.hexdigest()


@contextmanager
def _told_to_stop() -> Iterator[list[int]]:
    """A list that SIGTERM fills; SageMaker sends it 120 s before it kills, to stop a job or take back a spot instance.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html
    """
    told: list[int] = []
    previous = signal.signal(signal.SIGTERM, lambda number, _frame: told.append(number))
    try:
        yield told
    finally:
        signal.signal(signal.SIGTERM, previous)
