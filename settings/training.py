"""What is trained, on what, and what a model must show before it goes to devices."""

from typing import Literal, Self

from pydantic import Field, model_validator

from settings.branch import Branch, Instance, Seconds, Share
from settings.operations import Network


class GateSettings(Branch):
    """What a model must show on the test split."""

    minimum_accuracy: Share = 0.8
    """A model below this is never deployed, champion or not."""
    minimum_recall: Share | None = None
    """No class may surely (95 %) be found less often than this."""
    champion: Literal["not-worse", "better"] = "not-worse"
    """Against the champion on the same objects, in a paired test at 95 %: not worse for sure, or better for sure."""


class TrainingSettings(Branch):
    instance_types: tuple[Instance, ...] = Field(("ml.g5.xlarge", "ml.g6.xlarge"), min_length=1, max_length=5)
    """Tried in this order while capacity or quota is missing; with `spot`, all of them on spot before on demand."""
    instance_count: int = Field(1, ge=1, le=16)
    """Instances that train one model together, with all GPUs that each has."""
    spot: bool = True
    volume_gib: int = Field(100, ge=1, le=16384)
    """Of no effect where the instance type has a disk of its own (ml.g4dn, ml.g5, ml.g6, ml.p4d, ...)."""
    input_mode: Literal["File", "FastFile"] = "File"
    """Download the images first, or read them from the bucket when they are decoded."""
    max_runtime_seconds: Seconds = 8 * 3600
    max_wait_seconds: Seconds = 24 * 3600
    """Running and waiting for spot capacity together."""
    network: Network | Literal["reef"] = "reef"
    """This project's own small network, or any of timm's by its name."""
    normalization: Literal["batch", "group"] = "batch"
    """Of the own network. group has no statistics of a batch, so its results do not depend on the number of GPUs."""
    image_pixels: int = Field(224, ge=32, le=1024, multiple_of=32)
    epochs: int = Field(60, ge=1, le=10_000)
    batch_size: int = Field(64, ge=2, le=65_536)
    """Objects per step of the optimizer, over all GPUs together."""
    accumulation: int = Field(1, ge=1, le=1024)
    """Parts that a GPU's share of a batch is computed in, where it does not fit into memory at once."""
    learning_rate: float = Field(0.002, gt=0, le=10)
    weight_decay: float = Field(0.05, ge=0, lt=1)
    warm_up_share: float = Field(0.15, ge=0, lt=1)
    """The share of all steps in which the learning rate rises."""
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    class_weights: Literal["none", "balanced"] = "none"
    """balanced lets every class count the same, however few objects it has."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto takes what the GPU is fast at, and float32 without a GPU."""
    deterministic: bool = False
    """The same bits again from the same seed on the same machine, at some cost in speed."""
    seed: int = Field(1, ge=0, lt=2**63)
    unreadable_share: float = Field(0.01, ge=0, lt=1)
    """Images that may be missing or broken, as a share of all. They are listed; more of them fail the job."""
    gate: GateSettings = GateSettings()
    approval: Literal["automatic", "manual"] = "automatic"
    """Whether the gate approves a model, or a person does in SageMaker Studio what the gate let pass."""
    approval_seconds: int = Field(7 * 24 * 3600, ge=60, le=30 * 24 * 3600)
    """How long a model waits for that person."""

    @model_validator(mode="after")
    def _waits_longer_than_it_runs(self) -> Self:
        if self.spot and self.max_wait_seconds < self.max_runtime_seconds:
            raise ValueError(
                f"max_wait_seconds {self.max_wait_seconds} must be at least max_runtime_seconds "
                f"{self.max_runtime_seconds}: with spot it bounds running and waiting together"
            )
        return self

    @model_validator(mode="after")
    def _names_each_instance_type_once(self) -> Self:
        if len(set(self.instance_types)) != len(self.instance_types):
            raise ValueError(f"instance_types must name each type once; got {list(self.instance_types)}")
        return self
