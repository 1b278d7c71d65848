"""Settings say what is wrong, where, and what is allowed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefloop.compilation.targets import TARGETS, Target
from settings import STAGES, Settings, SettingsError


def load(**branches: Any) -> Settings:
    return Settings.load(context={"stage": "sandbox", "stages": {"sandbox": branches}})


@pytest.mark.parametrize("stage", STAGES)
def test_every_named_stage_of_cdk_json_is_valid(stage: str) -> None:
    assert Settings.load(stage).stage == stage


def test_laptop_differs_from_sandbox_in_numbers_only() -> None:
    """What runs on the laptop is what deploys: no choice between kinds of things may differ."""

    def choices(value: Any, where: str = "") -> dict[str, Any]:
        if isinstance(value, dict):
            return {
                key: leaf for name, inner in value.items() for key, leaf in choices(inner, f"{where}.{name}").items()
            }
        return {} if isinstance(value, int | float) and not isinstance(value, bool) else {where: value}

    laptop, sandbox = (choices(Settings.load(stage).model_dump(exclude={"stage"})) for stage in ("laptop", "sandbox"))
    assert laptop == sandbox


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        ({"labeling": {"provider": "crowd"}}, "'ground-truth', 'station' or 'import'"),
        ({"task": "segmentation"}, "'classification' or 'detection'"),
        ({"compilation": {"targets": ["toaster"]}}, "unknown target 'toaster'; known are linux-x86_64"),
        ({"compilation": {"targets": []}}, "at least one target"),
        ({"compilation": {"targets": ["imx8mplus"], "minimum_targets": 2}}, "minimum_targets 2 is more than the 1"),
        ({"training": {"max_wait_seconds": 5}}, "max_wait_seconds 5 must be at least max_runtime_seconds"),
        ({"training": {"image_pixels": 50}}, "multiple of 32"),
        ({"training": {"epoch": 3}}, "Extra inputs are not permitted"),
        ({"labeling": {"error_budget": 1.5}}, "less than 1"),
        ({"region": "mars-north-1"}, "us-east-1"),
    ],
)
def test_a_setting_that_is_not_allowed_is_refused_with_what_is(branches: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=r"^stages\.sandbox") as refused:
        load(**branches)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_stage_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="stage is 'moon'; allowed are laptop, sandbox, production"):
        Settings.load("moon")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=5))
def test_nonsense_is_refused_and_never_crashes(nonsense: Any) -> None:
    with pytest.raises(SettingsError):
        load(labeling={"provider": nonsense})


def test_a_target_names_a_device_or_a_platform() -> None:
    for wrong in ({}, {"device": "rasp4b", "platform": {"Os": "LINUX", "Arch": "ARM64"}}):
        with pytest.raises(ValueError, match="a Neo device or a Neo platform, and not both"):
            Target("x", **wrong)  # type: ignore[arg-type]


def test_targets_are_known_by_their_own_names() -> None:
    assert all(name == target.name for name, target in TARGETS.items())
