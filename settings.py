"""Every knob of the deployment, validated. Values come from cdk.json's context; each stack gets only its branch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from reefloop.compilation.targets import TARGETS
from reefloop.labeling import ground_truth

STAGES: Final = ("laptop", "sandbox", "production")

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_HumanTaskConfig.html
PUBLIC_AVAILABILITY_SECONDS: Final = 12 * 3600

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
    max_runtime_seconds: int = Field(4 * 3600, ge=1, le=9 * 24 * 3600)
    instance_count: int = Field(1, ge=1, le=20)
    """Instances that share the scoring of a pool; what comes after it takes one."""


class WorkforceSettings(Branch):
    """A private workforce that the account has already; its workteams must use its own Cognito pool and client."""

    name: str = Field(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$")
    user_pool_id: str = Field(pattern=r"^[\w-]+_[0-9a-zA-Z]+$")
    client_id: str = Field(pattern=r"^[\w+]{1,128}$")


class PublicWorkforceSettings(Branch):
    """Amazon Mechanical Turk through Ground Truth: here for the accounts of history, off unless both are given."""

    price_usd: float
    """Per object and worker; the service has a table of allowed prices."""
    acknowledgement: Literal["Mechanical Turk closed on 2026-09-30 and jobs for it may never be done"]


class LabelingSettings(Branch):
    provider: Literal["ground-truth", "station", "import"] = "ground-truth"
    workforce: WorkforceSettings | None = None
    """An existing private workforce: an account has one per region. Without it the stack makes one."""
    vendor_workteam_arn: str | None = Field(None, pattern=r"^arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:workteam/.+$")
    """A vendor's team, subscribed to on AWS Marketplace, in place of the private labelers. Experts stay private."""
    public_workforce: PublicWorkforceSettings | None = None
    """The public workforce in place of the private labelers. Experts stay private."""
    page: Literal["built-in", "custom"] = "built-in"
    """Ground Truth's own image classification, or this project's: people may answer that they cannot tell."""
    review: Literal["adjustment", "verification"] = "adjustment"
    """What experts do to boxes in doubt: correct them, or judge them. Classes are asked for once more, blindly."""
    workers_per_object: int = Field(3, ge=1, le=9)
    experts_per_object: int = Field(3, ge=1, le=9)
    task_seconds: int = Field(300, ge=30, le=28_800)
    availability_seconds: int = Field(10 * 24 * 3600, ge=60, le=30 * 24 * 3600)
    """How long work waits for people. A labeling job lives 30 days at most."""
    chunk_objects: int = Field(100_000, ge=1, le=100_000)
    """Objects per labeling job; the service takes 100,000."""
    chained_jobs: int = Field(2, ge=1, le=5)
    """How often an object is offered to a team: what nobody answered in time goes into a job after the first."""
    automated: bool = False
    """Ground Truth's automated labeling, for chunks of 1,250 objects and more. Images of at most 3840 x 2160 pixels;
    it promises 95 % right labels, so the error budget must be 0.05 or more."""
    error_budget: Share = 0.01
    """The error allowed among labels that the machine gives alone, with 95 % confidence."""
    bound: Literal["pooled", "per-class"] = "pooled"
    """Whether the error budget holds for all accepted labels together or for those of each class."""
    audit_share: Share = 0.05
    """The share of objects that people label whatever the machine thinks; never trained on, they check it for good."""
    honeypot_share: Share = 0.1
    """Gold objects mixed into the people's work, as a share of it."""
    baseline_objects: int = Field(50, ge=0)
    """Gold objects that experts label in each round, knowing nothing: what the human level is measured on."""
    posterior_target: Share = 0.9
    """A consolidated label less certain than this goes to the experts, and does not reach training."""
    minimum_worker_accuracy: Share = 0.7
    """Who is surely less accurate than this on gold is left out of the consolidation."""

    @model_validator(mode="after")
    def _choices_fit(self) -> Self:
        if self.vendor_workteam_arn and self.public_workforce:
            raise ValueError("vendor_workteam_arn and public_workforce are both given: labelers are one or the other")
        if self.automated and self.error_budget < ground_truth.AUTOMATED_ERROR:
            raise ValueError(
                f"automated labeling promises 95 % right labels, and error_budget {self.error_budget} asks for more: "
                f"set it to {ground_truth.AUTOMATED_ERROR} or more, or leave automated out"
            )
        if self.automated and self.chunk_objects < (least := ground_truth.AUTOMATED_LEAST_OBJECTS):
            raise ValueError(f"chunk_objects {self.chunk_objects} is less than the {least} of automated labeling")
        if self.task_seconds > (wait := self.availability_seconds):
            raise ValueError(f"task_seconds {self.task_seconds} is more than the availability_seconds {wait} of a task")
        if self.automated and self.page == "custom":
            raise ValueError("automated labeling knows the built-in page only: leave automated or page out")
        if self.public_workforce and self.availability_seconds > PUBLIC_AVAILABILITY_SECONDS:
            raise ValueError(
                f"availability_seconds {self.availability_seconds} is more than the {PUBLIC_AVAILABILITY_SECONDS} "
                "that the public workforce keeps a task"
            )
        others = {"automated": self.automated, "vendor_workteam_arn": self.vendor_workteam_arn,
                  "public_workforce": self.public_workforce, "page": self.page == "custom"}  # fmt: skip
        if self.provider != "ground-truth" and (given := [name for name, value in others.items() if value]):
            raise ValueError(f"{given[0]} is Ground Truth's alone, and provider is {self.provider!r}: leave it out")
        return self


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
    region: Literal[*ground_truth.ACCOUNTS] = "us-east-1"  # type: ignore[valid-type]
    task: Literal["classification", "detection"] = "classification"
    operations: OperationsSettings = OperationsSettings()
    storage: StorageSettings = StorageSettings()
    jobs: JobsSettings = JobsSettings()
    labeling: LabelingSettings = LabelingSettings()
    training: TrainingSettings = TrainingSettings()
    compilation: CompilationSettings = CompilationSettings()
    deployment: DeploymentSettings = DeploymentSettings()

    @model_validator(mode="after")
    def _labeling_fits_task_and_region(self) -> Self:
        labeling = self.labeling
        if self.task == "detection" and labeling.page == "custom":
            raise ValueError("labeling.page 'custom' asks for classes, and task is 'detection': use 'built-in'")
        if (arn := labeling.vendor_workteam_arn) and arn.split(":")[3] != self.region:
            raise ValueError(f"labeling.vendor_workteam_arn {arn!r} is not of region {self.region}: name a team there")
        if (own := labeling.workforce) and own.user_pool_id.rpartition("_")[0] != self.region:
            raise ValueError(f"labeling.workforce.user_pool_id {own.user_pool_id!r} is not of region {self.region}")
        kind = ground_truth.KINDS[
            ground_truth.kinds_of(self.task, page=labeling.page, review=labeling.review)["labelers"]
        ]
        if (public := labeling.public_workforce) and public.price_usd not in kind.prices_usd:
            raise ValueError(
                f"labeling.public_workforce.price_usd {public.price_usd} is not one of the service's prices for "
                f"{self.task}: {', '.join(map(str, kind.prices_usd))}"
            )
        return self

    @classmethod
    def load(cls, stage: str | None = None, *, context: Mapping[str, Any] | None = None) -> Self:
        """The settings of a named stage.

        Args:
            stage: laptop, sandbox or production; without it, the context's `stage`.
            context: CDK context; without it, the context of cdk.json beside this file. Its `provider`, where it has
                one, is labeling.provider in place of the stage's: -c provider=station.

        Raises:
            SettingsError: naming the setting, its value and what is allowed.
        """
        if context is None:
            context = json.loads((Path(__file__).parent / "cdk.json").read_text())["context"]
        name = stage or context.get("stage")
        if name not in STAGES:
            raise SettingsError(f"stage is {name!r}; allowed are {', '.join(STAGES)}: choose one with -c stage=...")
        values = (context.get("stages") or {}).get(name, {})
        if provider := context.get("provider"):
            values = {**values, "labeling": {**values.get("labeling", {}), "provider": provider}}
        try:
            return cls.model_validate({"stage": name, **values})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "settings"
            reason = first["msg"].removeprefix("Value error, ")
            given = "" if isinstance(first["input"], dict | Branch) else f" is {first['input']!r}"
            raise SettingsError(f"stages.{name}.{where} in cdk.json{given}: {reason}") from None
