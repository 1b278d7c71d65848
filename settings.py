"""Every knob of the deployment, validated. Values come from cdk.json's context; each stack gets only its branch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from reefloop.compilation.targets import TARGETS

STAGES: Final = ("laptop", "sandbox", "production")

# Ground Truth's built-in task functions live in an account of AWS's own in each of these regions:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_HumanTaskConfig.html
GROUND_TRUTH_ACCOUNTS: Final[Mapping[str, str]] = {
    "us-east-1": "432418664414",
    "us-east-2": "266458841044",
    "us-west-2": "081040173940",
    "ca-central-1": "918755190332",
    "eu-west-1": "568282634449",
    "eu-west-2": "487402164563",
    "eu-central-1": "203001061592",
    "ap-northeast-1": "477331159723",
    "ap-northeast-2": "845288260483",
    "ap-south-1": "565803892007",
    "ap-southeast-1": "377565633583",
    "ap-southeast-2": "454466003867",
}

Share = Annotated[float, Field(gt=0, lt=1)]
Seconds = Annotated[int, Field(ge=1)]


class SettingsError(Exception):
    """A setting that is not allowed; the message is one sentence a person can act on."""


class Branch(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OperationsSettings(Branch):
    """What every stack needs in the same way."""

    poll_seconds: Seconds = 60
    """Pause between two looks at something that takes its time."""
    log_retention_days: Literal[1, 7, 30, 90, 365] = 30


class StorageSettings(Branch):
    retain: bool = True
    """Keep buckets, registry and their contents when the stacks are destroyed."""


class JobsSettings(Branch):
    """The processing jobs that score a pool and consolidate answers, in the same container that trains."""

    instance_type: str = Field("ml.m5.xlarge", pattern=r"^ml\.")
    volume_gib: int = Field(50, ge=1, le=16384)
    max_runtime_seconds: Seconds = 4 * 3600


class WorkforceSettings(Branch):
    """A private workforce that the account has already; its workteams must use its own Cognito pool and client."""

    name: str = Field(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$")
    user_pool_id: str = Field(pattern=r"^[\w-]+_[0-9a-zA-Z]+$")
    client_id: str = Field(pattern=r"^[\w+]{1,128}$")


class LabelingSettings(Branch):
    provider: Literal["ground-truth", "station", "import"] = "ground-truth"
    workforce: WorkforceSettings | None = None
    """An existing private workforce: an account has one per region. Without it the stack makes one."""
    workers_per_object: int = Field(3, ge=1, le=9)
    task_seconds: int = Field(300, ge=30, le=28_800)
    availability_seconds: int = Field(10 * 24 * 3600, ge=60, le=30 * 24 * 3600)
    chunk_objects: int = Field(100_000, ge=1, le=100_000)
    """Objects per labeling job; the service takes 100,000."""
    error_budget: Share = 0.01
    """The error allowed among labels that the machine gives alone, with 95 % confidence."""
    audit_share: Share = 0.05
    """The share of machine-accepted objects that people check all the same."""
    honeypot_share: Share = 0.1
    """Gold objects mixed into the people's work, as a share of it."""
    posterior_target: Share = 0.9
    """A consolidated label less certain than this does not reach training."""

    @field_validator("provider")
    @classmethod
    def _provider_exists(cls, value: str) -> str:
        if value == "station":
            raise ValueError(
                "the labeling station does not exist yet: choose 'ground-truth' in an account that already uses "
                "Ground Truth, or 'import' to bring an augmented manifest from any labeling tool"
            )
        return value


class TrainingSettings(Branch):
    instance_type: str = Field("ml.g5.xlarge", pattern=r"^ml\.")
    spot: bool = True
    volume_gib: int = Field(100, ge=1, le=16384)
    max_runtime_seconds: Seconds = 8 * 3600
    max_wait_seconds: Seconds = 24 * 3600
    """Running and waiting for spot capacity together."""
    image_pixels: int = Field(224, ge=32, le=1024, multiple_of=32)
    epochs: int = Field(60, ge=1, le=10_000)
    batch_size: int = Field(64, ge=1, le=4096)
    learning_rate: float = Field(0.002, gt=0, le=10)
    seed: int = 1
    minimum_accuracy: Share = 0.8
    """A model below this on the test split is never deployed, champion or not."""

    @model_validator(mode="after")
    def _waits_longer_than_it_runs(self) -> Self:
        if self.spot and self.max_wait_seconds < self.max_runtime_seconds:
            raise ValueError(
                f"max_wait_seconds {self.max_wait_seconds} must be at least max_runtime_seconds "
                f"{self.max_runtime_seconds}: with spot it bounds running and waiting together"
            )
        return self


class CompilationSettings(Branch):
    targets: tuple[str, ...] = tuple(TARGETS)
    minimum_targets: int = Field(1, ge=0)
    """Fewer compiled targets than this fail the stage."""
    max_concurrency: int = Field(5, ge=1, le=40)
    max_runtime_seconds: int = Field(900, ge=60, le=24 * 3600)

    @model_validator(mode="after")
    def _targets_exist(self) -> Self:
        if unknown := [name for name in self.targets if name not in TARGETS]:
            raise ValueError(f"unknown target {unknown[0]!r}; known are {', '.join(TARGETS)}")
        if not self.targets or len(set(self.targets)) != len(self.targets):
            raise ValueError(f"targets must name at least one target, each once; got {list(self.targets)}")
        if self.minimum_targets > len(self.targets):
            raise ValueError(f"minimum_targets {self.minimum_targets} is more than the {len(self.targets)} targets")
        return self


class DeploymentSettings(Branch):
    canary_timeout_seconds: Seconds = 3600
    """How long the canary devices may take to report that the new model passed their self-test."""
    devices_per_minute: int = Field(50, ge=1, le=1000)
    abort_failed_percent: float = Field(10, gt=0, le=100)
    poll_seconds: Seconds = 5
    """How often a device looks for new frames and for a new model."""
    summary_seconds: Seconds = 60
    """How often a device sends its summary."""
    review_frames_per_hour: int = Field(60, ge=0)
    """Frames that a device may send for review in an hour."""


class Settings(Branch):
    stage: Literal["laptop", "sandbox", "production"]
    region: Literal[*GROUND_TRUTH_ACCOUNTS] = "us-east-1"  # type: ignore[valid-type]
    task: Literal["classification", "detection"] = "classification"
    operations: OperationsSettings = OperationsSettings()
    storage: StorageSettings = StorageSettings()
    jobs: JobsSettings = JobsSettings()
    labeling: LabelingSettings = LabelingSettings()
    training: TrainingSettings = TrainingSettings()
    compilation: CompilationSettings = CompilationSettings()
    deployment: DeploymentSettings = DeploymentSettings()

    @field_validator("task")
    @classmethod
    def _task_exists(cls, value: str) -> str:
        if value == "detection":
            raise ValueError("detection is not built yet: the only task is 'classification'")
        return value

    @classmethod
    def load(cls, stage: str | None = None, *, context: Mapping[str, Any] | None = None) -> Self:
        """The settings of a named stage.

        Args:
            stage: laptop, sandbox or production; without it, the context's `stage`.
            context: CDK context; without it, the context of cdk.json beside this file.

        Raises:
            SettingsError: naming the setting, its value and what is allowed.
        """
        if context is None:
            context = json.loads((Path(__file__).parent / "cdk.json").read_text())["context"]
        name = stage or context.get("stage")
        if name not in STAGES:
            raise SettingsError(f"stage is {name!r}; allowed are {', '.join(STAGES)}: choose one with -c stage=...")
        values = (context.get("stages") or {}).get(name, {})
        try:
            return cls.model_validate({"stage": name, **values})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "settings"
            reason = first["msg"].removeprefix("Value error, ")
            given = "" if isinstance(first["input"], dict | Branch) else f" is {first['input']!r}"
            raise SettingsError(f"stages.{name}.{where} in cdk.json{given}: {reason}") from None
