"""Whether the devices of a group took a model well: what Greengrass says and what they say themselves."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reefloop.payloads import Health, HealthState, ModelReport

_DONE: Final = frozenset({"SUCCEEDED", "COMPLETED"})
_FAILED: Final = frozenset({"FAILED", "REJECTED", "TIMED_OUT", "CANCELED"})
_REASONS: Final = 20  # a state machine's payload is bounded


@dataclass(frozen=True)
class Device:
    """One core device: its part of the deployment (EffectiveDeployment's status, "" before it heard of it), and its
    own last report. `report_is_older` says that the report came before the deployment was made."""

    thing: str
    status: str
    status_reason: str
    report: ModelReport | None
    report_is_older: bool


def judge(devices: Iterable[Device], *, model_version: str, deadline: datetime, now: datetime) -> Health:
    """passed when every device did; refused when a self-test failed, failed when a device could not take the model or
    time is up, else waiting; with a reason per device."""
    verdicts = [_verdict(device, model_version) for device in devices]
    waiting = [reason for state, reason in verdicts if state == "waiting"]
    ends: tuple[HealthState, ...] = ("refused", "failed")
    for end in ends:
        if reasons := [reason for state, reason in verdicts if state == end]:
            return Health(state=end, reasons=_some(reasons))
    if not waiting:
        reasons = [reason for _, reason in verdicts] or ["the group has no devices: nothing was proven"]
        return Health(state="passed", reasons=_some(reasons))
    if now >= deadline:
        overdue = [f"{reason}; it was due by {deadline.isoformat()}" for reason in waiting]
        return Health(state="failed", reasons=_some(overdue))
    return Health(state="waiting", reasons=_some(waiting))


def _verdict(device: Device, model_version: str) -> tuple[HealthState, str]:
    report, thing = device.report, device.thing
    if device.status in _FAILED:
        return "failed", f"{thing}: the deployment is {device.status} ({device.status_reason or 'no reason given'})"
    if report is None or report["version"] != model_version or report["self_test"] == "none":
        serves = report["version"] if report and report["version"] else "no model yet"
        return "waiting", f"{thing}: the deployment is {device.status or 'not there yet'}; it reports {serves}"
    if report["self_test"] == "failed":
        if device.report_is_older:
            return "waiting", f"{thing}: its failed self-test is from before this deployment"
        return "refused", f"{thing}: the self-test of {model_version} failed ({report['reason'] or 'no reason given'})"
    if device.status not in _DONE:
        return "waiting", f"{thing}: the self-test passed; the deployment is {device.status or 'not there yet'}"
    return "passed", f"{thing}: the self-test of {model_version} passed"


def _some(reasons: list[str]) -> list[str]:
    more = len(reasons) - _REASONS
    return [*reasons[:_REASONS], f"and {more} more"] if more > 0 else reasons
