"""How a model reaches the devices, what they look at, and how much they talk."""

import json
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from settings.branch import Branch

Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Label = Annotated[str, Field(min_length=1)]

# Nucleus lite keeps values of a component's configuration up to about 1 KB.
_VALUE_BYTES: Final = 1000


class DeviceSettings(Branch):
    """What the classifier of every device is told. Names, defaults and bounds are those of its own configuration,
    edge/reefloop.Classifier/classifier/configuration.py, which a device checks once more."""

    source: str = Field("folder:frames", pattern=r"^(folder|video|still|stream):.+$")
    """Where frames come from: folder:<path>, video:<file>, still:<device or URL> or stream:<device or URL>. Paths are
    relative to the work folder, which is closed to other users: a camera needs an absolute one, folder:/srv/frames.
    An address with a password belongs into a file on the device, named @<file>."""
    frames_per_second: float = Field(2.0, ge=0.01, le=240)
    """How many frames of a live source are classified; the others are passed over."""
    still_seconds: float = Field(10.0, ge=0.1, le=86_400)
    """Between two pictures of a still camera."""
    watch_list: tuple[Label, ...] = ()
    """Species that raise an alert, as the model calls them. One that it does not know raises none."""
    alert_frames: int = Field(2, ge=1, le=100)
    """Sightings within a visit that raise the alert; one of which the model is sure, where frames are far apart."""
    visit_gap_seconds: float = Field(3.0, ge=0.1, le=3600)
    """The same species seen again after no more than this is the same animal."""
    margin_below: float = Field(0.2, ge=0, le=1)
    """A frame is uncertain when its two best labels are closer than this,"""
    entropy_above: float = Field(0.6, ge=0, le=1)
    """or when the entropy of its labels is above this share of the largest that there can be."""
    review_frames_per_hour: int = Field(12, ge=0, le=36_000)
    """Uncertain and unknown frames that a device sends for review in any hour."""
    audit_frames_per_hour: int = Field(1, ge=0, le=3600)
    """Frames drawn at random, whatever the model says of them: the field accuracy is estimated from these."""
    summary_seconds: float = Field(300.0, ge=0.1, le=86_400)
    """How often a device sends its summary, if it saw anything."""
    health_seconds: float = Field(900.0, ge=0.1, le=86_400)
    """How often a device says how it is; changes that matter are told at once."""
    bytes_per_hour: int = Field(1_000_000, ge=10_000, le=10**12)
    """The most that leaves a device in any hour: messages, frames, what they are wrapped in, and every repetition. A
    frame that would take more than 0.3 of it is sent smaller."""
    bytes_per_day: int = Field(10_000_000, ge=10_000, le=10**13)
    """The same for any 24 hours. Not below bytes_per_hour."""
    spool_mib: int = Field(256, ge=1, le=1_000_000)
    """Disk that what waits for the link may take. Beyond it the least valuable goes, and is counted."""
    latency_budget_ms: float = Field(1000.0, ge=0.1, le=600_000)
    """A model whose median on its golden images is slower on the device is refused there."""
    inference_threads: int = Field(1, ge=1, le=256)
    """Threads of the model's runtime."""
    memory_mib: int = Field(1024, ge=128, le=1_000_000)
    """The classifier starts anew when it holds more."""
    poll_seconds: float = Field(5.0, ge=0.01, le=3600)
    """How often a device looks for new files in its folder, and for a new model."""
    results_mib: int = Field(0, ge=0, le=100_000)
    """Of a log with every frame's answer, kept on the device; 0 keeps none."""
    keep_frames: int = Field(1_000, ge=0, le=10**9)
    """Classified files of a folder that stay on the device's disk."""


class DeploymentSettings(DeviceSettings):
    canary_timeout_seconds: int = Field(3600, ge=1, le=30 * 24 * 3600)
    """How long the canary devices may take to report that the new model passed their self-test: days, where one of them
    hears of it that late."""
    devices_per_minute: int = Field(50, ge=1, le=1000)
    """How many devices of the fleet are told of a new model in a minute."""
    abort_failed_percent: float = Field(10, gt=0, le=100)
    """The share of failed devices that stops a rollout to the fleet, once 100 / this devices have tried: sooner, a
    single failure would be above it. In a fleet of fewer devices no rollout stops by itself."""
    cpus: float = Field(2.0, gt=0, le=256)
    """Processor time that the classifier may take, in processors. Not below inference_threads. Nucleus classic only."""
    records_days: int = Field(90, ge=1, le=3650)
    """How long alerts, summaries and health records stay in the table."""
    alert_emails: tuple[Email, ...] = ()
    """People who get a mail about every alert, once they have confirmed the one that asks them. Nobody by default."""

    @model_validator(mode="after")
    def _limits_fit_each_other(self) -> Self:
        if self.bytes_per_day < self.bytes_per_hour:
            raise ValueError(
                f"bytes_per_day {self.bytes_per_day} is below bytes_per_hour {self.bytes_per_hour}: raise the one or "
                "lower the other"
            )
        if (length := len(json.dumps(self.watch_list).encode())) > _VALUE_BYTES:
            raise ValueError(
                f"watch_list has {length} bytes as JSON; nucleus lite keeps {_VALUE_BYTES}: name fewer species"
            )
        if round(self.abort_failed_percent, 2) != self.abort_failed_percent:
            raise ValueError(
                f"abort_failed_percent {self.abort_failed_percent} has more decimals than the two that AWS IoT takes: "
                "round it"
            )
        if self.cpus < self.inference_threads:
            raise ValueError(
                f"cpus {self.cpus:g} is below inference_threads {self.inference_threads}: threads of one inference "
                "would wait for each other; raise cpus, or take fewer threads"
            )
        return self

    @property
    def of_devices(self) -> dict[str, object]:
        """The classifier's configuration, as JSON has it."""
        return self.model_dump(mode="json", include=set(DeviceSettings.model_fields))
