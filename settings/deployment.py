"""How a model reaches the devices, and how much they talk."""

from pydantic import Field

from settings.branch import Branch, Seconds


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
