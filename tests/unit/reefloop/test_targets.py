"""The ready-made targets, and what a target is."""

import json
from typing import Any

import pytest

from reefloop.compilation.targets import DEFAULT, NAME, TARGETS, Target

EVERY = pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
DEVICE: dict[str, Any] = {"device": "rasp4b"}
PLATFORM: dict[str, Any] = {"platform": {"Os": "LINUX", "Arch": "ARM64"}}


@pytest.mark.parametrize("choice", [{}, DEVICE | PLATFORM])
def test_a_target_names_a_device_or_a_platform_and_not_both(choice: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="'buoy' must name a Neo device or a Neo platform, and not both"):
        Target("buoy", **choice)


def test_the_table_has_at_least_the_devices_that_people_bring() -> None:
    assert set(TARGETS) >= {
        *("linux-x86_64", "linux-arm64", "raspberry-pi-4", "jetson-nano", "jetson-tx2", "jetson-xavier", "imx8mplus"),
        *("ambarella-cv25", "android-arm64", "android-armv7", "qcs605", "windows-x86_64", "ios", "ml_c5", "ml_g4dn"),
    }


def test_what_is_compiled_unasked_costs_nothing_beside_the_jobs() -> None:
    assert len(DEFAULT) == 13
    assert {TARGETS[name].delivery for name in DEFAULT} == {"greengrass", "artifact"}


def test_no_two_targets_ask_for_the_same_core_devices() -> None:
    platforms = [tuple(sorted(target.greengrass.items())) for target in TARGETS.values() if target.greengrass]
    assert len(set(platforms)) == len(platforms)


@EVERY
def test_a_targets_name_can_be_a_folder_and_a_word(target: Target) -> None:
    assert TARGETS[target.name] is target
    assert NAME.fullmatch(target.name)
    assert len(target.name) <= 40


@EVERY
def test_a_target_comes_back_from_its_record(target: Target) -> None:
    record = json.loads(json.dumps(target.record()))
    again = Target.of(record)
    assert json.loads(json.dumps(again.record())) == record
    assert (again.delivery, again.hardware) == (target.delivery, target.hardware)


@EVERY
def test_only_an_instance_is_tried_behind_an_endpoint(target: Target) -> None:
    assert (target.delivery == "endpoint") == target.device.startswith("ml_")
    assert target.delivery != "endpoint" or not target.portable
