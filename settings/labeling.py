"""Who labels, how often, and how sure is sure enough."""

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from reefloop.labeling import ground_truth
from settings.branch import Branch, Share

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_HumanTaskConfig.html
PUBLIC_AVAILABILITY_SECONDS: Final = 12 * 3600


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
