"""What the books of Greengrass V2 hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from offline.services.greengrassv2.recipes import Recipe

# How long a new component version is REQUESTED before it is DEPLOYABLE: long enough that nobody may skip the wait.
DEPLOYABLE_AFTER: Final = timedelta(seconds=0.2)

# Components that AWS publishes, with the versions of October 2026. They run nothing here: a core device has them built
# in. https://docs.aws.amazon.com/greengrass/v2/developerguide/public-components.html
PUBLIC_COMPONENTS: Final[Mapping[str, str]] = {
    "aws.greengrass.Nucleus": "2.18.2",
    "aws.greengrass.NucleusLite": "2.5.1",
    "aws.greengrass.TokenExchangeService": "2.0.3",
    "aws.greengrass.LogManager": "2.3.13",
    "aws.greengrass.StreamManager": "2.3.1",
    "aws.greengrass.DiskSpooler": "1.0.9",
}

TERMINAL: Final = frozenset({"SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED"})


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class ComponentVersion:
    """One immutable version. `recipe` has the digests of its artifacts, as the service computed them; `failure` is why
    it could not make it."""

    arn: str
    recipe: Recipe
    created: datetime
    tags: dict[str, str]
    failure: str = ""

    @property
    def status(self) -> dict[str, Any]:
        ready = now() >= self.created + DEPLOYABLE_AFTER
        state = "FAILED" if self.failure else "DEPLOYABLE" if ready else "REQUESTED"
        return {"componentState": state, "message": self.failure or "NONE", "errors": {}, "vendorGuidance": "ACTIVE"}


@dataclass
class Deployment:
    """One revision of what a thing or a thing group runs. `request` is CreateDeployment's."""

    id: str
    target_arn: str
    revision: int
    request: Mapping[str, Any]
    job_arn: str
    created: datetime
    tags: dict[str, str]
    status: str = "ACTIVE"
    latest: bool = True

    @property
    def components(self) -> dict[str, Any]:
        return dict(self.request.get("components") or {})

    @property
    def name(self) -> str:
        return str(self.request.get("deploymentName") or f"Deployment for {self.target_arn.rpartition('/')[2]}")


@dataclass
class EffectiveDeployment:
    """How one deployment fares on one core device."""

    deployment: Deployment
    status: str
    created: datetime
    modified: datetime
    reason: str = ""
    error_stack: tuple[str, ...] = ()
    error_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class InstalledComponent:
    """A component as a core device reports it. Field names are ListInstalledComponents' own."""

    componentName: str
    componentVersion: str
    lifecycleState: str
    isRoot: bool
    lifecycleStateDetails: str = ""


@dataclass
class Core:
    """A core device. `runtime` is aws_nucleus_lite or aws_nucleus_classic."""

    thing: str
    platform: str
    architecture: str
    runtime: str
    version: str
    status: str = "HEALTHY"
    updated: datetime = field(default_factory=now)
    effective: dict[str, EffectiveDeployment] = field(default_factory=dict)
    installed: list[dict[str, Any]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def took_from(self, target_arn: str) -> bool:
        """Whether a deployment to this target has ever succeeded here."""
        reports = list(self.effective.values())
        return any(report.deployment.target_arn == target_arn and report.status == "SUCCEEDED" for report in reports)
