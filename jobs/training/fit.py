"""The training loop: seeded, resumable at any step, on whatever device there is."""

import hashlib
import json
import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as nn_functional
from torch import nn

from jobs.errors import Interrupted, JobError
from jobs.manifest import digest
from jobs.training import checkpoints, model
from jobs.training.augment import augmented
from jobs.training.data import Dataset
from jobs.training.evaluation import logits_of, loss_and_accuracy
from jobs.training.hyperparameters import Hyperparameters

WARM_UP_SHARE: Final = 0.15
LABEL_SMOOTHING: Final = 0.1
WEIGHT_DECAY: Final = 0.05
STEPS_PER_EPOCH: Final = 16
"""A dataset too small for this many batches is gone through several times in an epoch, each time in other views."""


def fit(dataset: Dataset, chosen: Hyperparameters, folder: Path) -> nn.Module:
    """Train a network on the train split, writing a checkpoint to `folder` after every epoch.

    Every draw is keyed by seed, epoch and step, so a training that was interrupted and resumed goes through the same
    batches as one that was not.

    Raises:
        Interrupted: on SIGTERM, after a checkpoint of the last finished step.
        JobError: the loss is no longer a number.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # The log of a GPU instance tells whether its GPU was used.
    print(f"training on {torch.cuda.get_device_name() if device.type == 'cuda' else 'the processor'}", flush=True)
    torch.manual_seed(chosen.seed)
    network: nn.Module = model.build(len(dataset.labels), chosen.image_pixels).to(device)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), lr=chosen.learning_rate, weight_decay=WEIGHT_DECAY)
    train, validation = dataset.splits["train"], dataset.splits["validation"]
    passes = math.ceil(STEPS_PER_EPOCH * chosen.batch_size / len(train))
    steps = math.ceil(passes * len(train) / chosen.batch_size)
    state: dict[str, Any] = {"epoch": 0, "step": 0, "loss": 0.0, "correct": 0, "seen": 0}
    mark = _fingerprint(dataset, chosen)
    if saved := checkpoints.latest(folder, fingerprint=mark):
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        state = {name: saved[name] for name in state}
        print(f"resumed at epoch {state['epoch'] + 1}, step {state['step']} of {steps}", flush=True)

    def save() -> None:
        checkpoints.save(
            folder,
            {**state, "fingerprint": mark, "network": network.state_dict(), "optimizer": optimizer.state_dict()},
        )

    with _told_to_stop() as stop:
        while state["epoch"] < chosen.epochs:
            network.train()
            shuffle = _generator(chosen.seed, state["epoch"])
            order = torch.cat([torch.randperm(len(train), generator=shuffle) for _ in range(passes)])
            for step, batch in list(enumerate(torch.split(order, chosen.batch_size)))[state["step"] :]:
                images = train.images[batch].to(device).float() / 255
                views = augmented(images, _generator(chosen.seed, state["epoch"], step))
                targets = train.targets[batch].to(device)
                for group in optimizer.param_groups:
                    group["lr"] = _learning_rate(chosen, state["epoch"] * steps + step, chosen.epochs * steps)
                logits = network(views.contiguous(memory_format=torch.channels_last))
                loss = nn_functional.cross_entropy(logits, targets, label_smoothing=LABEL_SMOOTHING)
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                optimizer.step()
                state["loss"] += loss.item() * len(batch)
                state["correct"] += int((logits.argmax(1) == targets).sum())
                state["seen"] += len(batch)
                state["step"] = step + 1
                if stop:
                    save()
                    raise Interrupted(
                        f"stopped in epoch {state['epoch'] + 1} after step {step + 1}, checkpoint written"
                    )
            _report(state, *loss_and_accuracy(logits_of(network, validation.images), validation.targets))
            state.update(epoch=state["epoch"] + 1, step=0, loss=0.0, correct=0, seen=0)
            save()
    return network.eval()


def _report(state: dict[str, Any], validation_loss: float, validation_accuracy: float) -> None:
    """One line per epoch, which the job's metric definitions read."""
    train_loss = state["loss"] / state["seen"]
    if not math.isfinite(train_loss):
        raise JobError(
            f"the loss became {train_loss} in epoch {state['epoch'] + 1}: lower learning_rate, then train again"
        )
    print(
        f"epoch={state['epoch'] + 1} train:loss={train_loss:.4f} train:accuracy={state['correct'] / state['seen']:.4f} "
        f"validation:loss={validation_loss:.4f} validation:accuracy={validation_accuracy:.4f}",
        flush=True,
    )


def _learning_rate(chosen: Hyperparameters, step: int, steps: int) -> float:
    """A linear warm-up, then half a cosine to 0 (Loshchilov and Hutter, https://arxiv.org/abs/1608.03983)."""
    warm_up = max(1, int(WARM_UP_SHARE * steps))
    if step < warm_up:
        return chosen.learning_rate * (step + 1) / warm_up
    return chosen.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def _generator(*key: int) -> torch.Generator:
    return torch.Generator().manual_seed(digest(*key) >> 1)


def _fingerprint(dataset: Dataset, chosen: Hyperparameters) -> str:
    """What must be the same for a checkpoint to be of this training."""
    settings = {**asdict(chosen), "labels": dataset.labels, "objects": dataset.splits["train"].targets.tolist()}
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()


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
