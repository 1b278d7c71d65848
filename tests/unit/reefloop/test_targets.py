import pytest

from reefloop.compilation.targets import TARGETS, Target


@pytest.mark.parametrize("choice", [{}, {"device": "rasp4b", "platform": {"Os": "LINUX", "Arch": "ARM64"}}])
def test_a_target_names_a_device_or_a_platform_and_not_both(choice: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="'buoy' must name a Neo device or a Neo platform, and not both"):
        Target("buoy", **choice)


def test_no_two_targets_ask_for_the_same_core_devices() -> None:
    platforms = [tuple(sorted(target.greengrass.items())) for target in TARGETS.values() if target.greengrass]
    assert len(set(platforms)) == len(platforms)
