"""What a deployment tells its devices is what a device takes: the same names, defaults and bounds on both ends."""

import json
from dataclasses import fields
from math import inf, nextafter
from typing import Any

import pytest
from classifier import configuration

from settings import STAGES, Settings, SettingsError
from settings.deployment import DeviceSettings

ON_DEVICE = {
    each.name: getattr(configuration.Configuration(), each.name) for each in fields(configuration.Configuration)
}


def bounds(name: str) -> list[Any]:
    """The smallest and the largest value that a setting may have."""
    found = DeviceSettings.model_fields[name].metadata
    return [getattr(one, bound) for one in found for bound in ("ge", "le") if hasattr(one, bound)]


def beyond(name: str) -> list[float]:
    """The numbers just outside."""
    low, high = bounds(name)
    if isinstance(ON_DEVICE[name], int):
        return [low - 1, high + 1]
    return [nextafter(low, -inf), nextafter(high, inf)]


NUMBERS = [name for name, value in ON_DEVICE.items() if isinstance(value, int | float)]


def test_every_setting_of_a_device_is_one_of_its_own_configuration_with_the_same_default() -> None:
    given = DeviceSettings().model_dump()
    assert given == {name: value for name, value in ON_DEVICE.items() if name != "bucket"}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_devices_own_bounds_are_those_of_its_settings(name: str) -> None:
    for value in bounds(name):
        assert getattr(configuration.parse({name: value}), name) == value
        DeviceSettings.model_validate({name: value})
    for value in beyond(name):
        with pytest.raises(configuration.Invalid, match=name):
            configuration.parse({name: value})
        with pytest.raises(ValueError, match=name):
            DeviceSettings.model_validate({name: value})


@pytest.mark.parametrize("source", ["folder:", "camera:0", "", "stream", "folder:frames", "stream:@camera.txt"])
def test_a_source_is_taken_by_both_or_by_neither(source: str) -> None:
    taken = []
    for check in (lambda: configuration.parse({"source": source}), lambda: DeviceSettings(source=source)):
        try:
            check()
            taken.append(True)
        except (configuration.Invalid, ValueError):
            taken.append(False)
    assert taken[0] == taken[1] == (source in {"folder:frames", "stream:@camera.txt"})


@pytest.mark.parametrize("stage", STAGES)
def test_a_device_takes_what_it_is_told_in_every_stage(stage: str) -> None:
    told = Settings.load(stage).deployment.of_devices
    assert configuration.parse(json.loads(json.dumps(told)))
    assert set(told) == set(ON_DEVICE) - {"bucket"}


@pytest.mark.parametrize("percent", [0.01, 0.07, 0.29, 10.99, 33.33, 100])
def test_the_share_that_stops_a_rollout_may_have_two_decimals(percent: float) -> None:
    chosen = {"deployment": {"abort_failed_percent": percent}}
    settings = Settings.load(context={"stage": "sandbox", "stages": {"sandbox": chosen}})
    assert settings.deployment.abort_failed_percent == percent


@pytest.mark.parametrize(
    ("deployment", "reason"),
    [
        ({"bytes_per_day": 900_000}, "bytes_per_day 900000 is below bytes_per_hour 1000000: raise the one or lower"),
        ({"inference_threads": 4}, "cpus 2 is below inference_threads 4"),
        ({"watch_list": ["a" * 40] * 40}, "watch_list has 1760 bytes as JSON; nucleus lite keeps 1000"),
        ({"alert_emails": ["nobody"]}, "alert_emails"),
        ({"records_days": 0}, "records_days"),
        ({"abort_failed_percent": 12.345}, "abort_failed_percent 12.345 has more decimals than the two that AWS IoT"),
        ({"abort_failed_percent": 0.001}, "abort_failed_percent 0.001 has more decimals"),
        ({"canary_timeout_seconds": 31 * 24 * 3600}, "canary_timeout_seconds"),
    ],
)
def test_what_devices_cannot_be_told_is_refused(deployment: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        Settings.load(context={"stage": "sandbox", "stages": {"sandbox": {"deployment": deployment}}})
