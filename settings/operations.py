"""What all stages lean on: the account's rhythm, the buckets, the job container, a machine to debug it on."""

from typing import Annotated, Literal

from pydantic import Field

from settings.branch import Branch, Instance, Seconds

Network = Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)?$")]
"""A name of timm's: resnet18, or with the tag of its weights resnet18.a1_in1k."""


class OperationsSettings(Branch):
    """What every stack needs in the same way."""

    poll_seconds: Seconds = 60
    """Pause between two looks at something that takes its time."""
    log_retention_days: Literal[1, 7, 30, 90, 365] = 30


class StorageSettings(Branch):
    retain: bool = True
    """Keep buckets, registry and their contents when the stacks are destroyed."""


class JobsSettings(Branch):
    """The container of all jobs, and the processing jobs that run in it: score, consolidate, merge, evaluate."""

    pretrained: tuple[Network, ...] = ()
    """timm networks whose pretrained weights are baked into the container. Training one of them starts from there."""
    instance_type: Instance = "ml.m5.xlarge"
    volume_gib: int = Field(50, ge=1, le=16384)
    max_runtime_seconds: int = Field(4 * 3600, ge=1, le=9 * 24 * 3600)
    instance_count: int = Field(1, ge=1, le=20)
    """Instances that share the scoring of a pool; what comes after it takes one."""


class WorkstationSettings(Branch):
    """A GPU instance to run the job container on by hand. There is none unless `enabled`."""

    enabled: bool = False
    # The families that the machine's image is made for, as of 2026-09; G5g and P6e have other processors:
    # https://docs.aws.amazon.com/dlami/latest/devguide/appendix-ami-release-notes.html
    instance_type: str = Field(
        "g5.xlarge",
        pattern=r"^(g4dn|g5|g6|g6e|g6f|gr6|gr6f|g7|g7e|p4d|p4de|p5|p5e|p5en|p6-b200|p6-b300)\.[a-z0-9]+$",
    )
    zone: str | None = Field(None, pattern=r"^[a-z]$")
    """The letter of the availability zone, where the first has no such instance. Changing it makes a new machine."""
    volume_gib: int = Field(200, ge=100, le=16384)
    """The image of the machine takes some 60 GiB of it, the job container some 20. Changing it makes a new machine."""
    idle_minutes: int = Field(60, ge=15, le=24 * 60)
    """How long nobody and nothing uses it before it stops itself."""
