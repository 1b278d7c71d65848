"""One step of the optimizer: the same gradients however many processes and parts share its batch."""

import copy
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import Any, Final

import torch
import torch.nn.functional as nn_functional
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from jobs.errors import JobError
from jobs.manifest import digest
from jobs.training import networks
from jobs.training.augment import augmented
from jobs.training.hyperparameters import Hyperparameters
from jobs.training.loader import Batch
from jobs.training.plan import Indices
from jobs.training.precision import chosen_precision
from jobs.training.processes import Processes
from jobs.training.schedule import parameter_groups

SCALE: Final = 255


class Trainer:
    """A network with its optimizer, and what it has shown since `totals` was last set to 0.

    The loss of a batch is a sum over all its objects divided by the sum of their weights, both over all processes, so
    it is the same whoever computes which part. DistributedDataParallel averages gradients over processes while the
    backward pass still runs, hence the factor `size`: https://docs.pytorch.org/docs/stable/notes/ddp.html

    With several GPUs, batch normalization sees the batch of all of them (SyncBatchNorm). On processors that does not
    exist: each process normalizes by its own part, and the running statistics are those of the first.

    Attributes:
        network: the one that is trained; its state has the keys of the one that was given.
        totals: loss and number of right answers of this process's parts, summed; on the device, so that reading it
            waits for the device.
        finite: how many parts passed before the loss was no number.
    """

    def __init__(
        self, network: nn.Module, targets: Tensor, chosen: Hyperparameters, processes: Processes, *, classes: int
    ) -> None:
        self.chosen, self.processes, self.device = chosen, processes, processes.device
        self.precision = chosen_precision(chosen.precision, self.device)
        several_gpus = processes.size > 1 and self.device.type == "cuda"
        if several_gpus:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(  # type: ignore[no-untyped-call]
                copy.deepcopy(network)
            )
        self.network: nn.Module = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        groups = parameter_groups(self.network, chosen.weight_decay)
        # One kernel for all parameters, which also takes the scale of float16 without asking the GPU for it.
        self.optimizer = torch.optim.AdamW(groups, lr=chosen.learning_rate, fused=True)
        self.scaler = self.precision.scaler(self.device)
        self._parallel = self.network if processes.size == 1 else self._distributed()
        weights = class_weights(targets, classes, chosen.class_weights)
        self._object_weights, self._class_weights = weights[targets], weights.to(self.device)
        self.totals = torch.zeros(2, dtype=torch.float64, device=self.device)
        self.finite = torch.zeros((), dtype=torch.int64, device=self.device)

    def step(self, arrived: Iterable[Batch], *, batch: Indices, epoch: int, step: int, rate: float) -> None:
        """Learn from this process's parts of a batch.

        Args:
            arrived: the parts, on the device.
            batch: the objects of the whole batch.
            rate: the learning rate.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        # Whatever a network draws, dropout for one, is drawn again the same in a step that is done again.
        self._seed(digest(self.chosen.seed, epoch, step, self.processes.rank) >> 1)
        share = self.processes.size / float(self._object_weights[torch.from_numpy(batch)].sum())
        for last, part in _marked(arrived):
            with nullcontext() if last or self._parallel is self.network else self._parallel.no_sync():  # type: ignore[operator]
                self._learn(part, share, epoch=epoch, step=step)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _learn(self, part: Batch, share: float, *, epoch: int, step: int) -> None:
        images = part.images.float() / SCALE
        pixels = networks.view_pixels(self.chosen.network, images.shape[-1], (epoch + 1) / self.chosen.epochs)
        views = augmented(images, part.objects, seed=self.chosen.seed, epoch=epoch, view=step, pixels=pixels)
        with self.precision.autocast(self.device):
            logits = self._parallel(views.contiguous(memory_format=torch.channels_last)).float()
        loss = share * nn_functional.cross_entropy(
            logits,
            part.targets,
            weight=self._class_weights,
            label_smoothing=self.chosen.label_smoothing,
            reduction="sum",
        )
        torch.autograd.backward(self.scaler.scale(loss))
        right = (logits.argmax(1) == part.targets).sum()
        self.totals += torch.stack((loss.detach().double() / self.processes.size, right.double()))
        self.finite += torch.isfinite(self.totals[0])

    def state(self) -> dict[str, Any]:
        """All that the next steps depend on."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        # Empty where the training was in another precision.
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])

    def agree(self) -> None:
        """Give every process the running statistics of the first; gradients and weights are the same already."""
        if self.processes.size > 1:
            for buffer in self.network.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def check(self, *, epoch: int, first_step: int) -> None:
        """Waits for the device.

        Args:
            first_step: the step of the epoch at which `finite` was 0.

        Raises:
            JobError: the loss is no longer a number.
        """
        if not torch.isfinite(self.totals[0]):
            step = first_step + int(self.finite) // self.chosen.accumulation + 1
            raise JobError(
                f"the loss became {self.totals[0].item()} in epoch {epoch + 1}, step {step}: lower "
                f"training.learning_rate from {self.chosen.learning_rate}, or set training.precision to float32, then "
                "train again"
            )

    def _seed(self, seed: int) -> None:
        """Of this device alone: torch.manual_seed keeps a stack trace for each kind of device that is not in use."""
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        else:
            torch.default_generator.manual_seed(seed)

    def _distributed(self) -> nn.Module:
        on = [self.device.index] if self.device.type == "cuda" else None
        # Running statistics matter at the end of an epoch alone, where agree() hands them round.
        return DistributedDataParallel(
            self.network, device_ids=on, broadcast_buffers=False, gradient_as_bucket_view=True
        )


def class_weights(targets: Tensor, classes: int, kind: str) -> Tensor:
    """What an object of each class counts: float32 [classes], on average over all objects 1; 0 for a class without."""
    if kind == "none":
        return torch.ones(classes)
    counts = torch.bincount(targets, minlength=classes)
    balanced = len(targets) / ((counts > 0).sum() * counts.clamp(min=1))
    return torch.where(counts > 0, balanced, 0.0).float()


def _marked(parts: Iterable[Batch]) -> Iterator[tuple[bool, Batch]]:
    """Each part and whether it is the last one."""
    rest = iter(parts)
    ahead = next(rest)
    for part in rest:
        yield False, ahead
        ahead = part
    yield True, ahead
