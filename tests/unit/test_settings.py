"""Settings say what is wrong, where, and what is allowed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefloop.compilation.targets import TARGETS
from reefloop.labeling import ground_truth
from settings import STAGES, Settings, SettingsError
from settings.compilation import OwnTarget


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


PUBLIC = {
    "price_usd": 0.036,
    "acknowledgement": "Mechanical Turk closed on 2026-09-30 and jobs for it may never be done",
}
VENDOR = "arn:aws:sagemaker:us-east-1:123456789012:workteam/vendor-crowd/annotators"
HALF_A_DAY = {"availability_seconds": 43_200}


@pytest.mark.parametrize(
    "branches",
    [
        {"labeling": {"provider": "station"}},
        {"task": "detection", "labeling": {"provider": "station"}},
        {"labeling": {"page": "custom", "vendor_workteam_arn": VENDOR}},
        {"labeling": {"automated": True, "error_budget": 0.05}},
        {"labeling": {"public_workforce": PUBLIC, **HALF_A_DAY}},
        {"task": "detection", "labeling": {"public_workforce": PUBLIC, "review": "verification", **HALF_A_DAY}},
    ],
)
def test_choices_that_fit_together_are_taken(branches: dict[str, Any]) -> None:
    assert load(**branches)


CORE = {"os": "linux", "architecture": "aarch64", "runtime": "*"}
BUOY = {"name": "buoy", "device": "rasp4b"}


def own(**fields: Any) -> dict[str, Any]:
    """Settings with a target of one's own, compiled beside a ready-made one."""
    return {"compilation": {"targets": ["linux-arm64", "buoy"], "own_targets": [{"name": "buoy", **fields}]}}


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        ({"labeling": {"provider": "crowd"}}, "'ground-truth', 'station' or 'import'"),
        ({"task": "segmentation"}, "'classification' or 'detection'"),
        ({"task": "detection", "labeling": {"page": "custom"}}, "labeling.page 'custom' asks for classes"),
        ({"labeling": {"automated": True}}, "error_budget 0.01 asks for more: set it to 0.05 or more"),
        ({"labeling": {"automated": True, "error_budget": 0.05, "page": "custom"}}, "leave automated or page out"),
        (
            {"labeling": {"automated": True, "error_budget": 0.05, "chunk_objects": 1249}},
            "chunk_objects 1249 is less than the 1250",
        ),
        ({"labeling": {"availability_seconds": 60}}, "task_seconds 300 is more than the availability_seconds 60"),
        (
            {"labeling": {"workforce": {"name": "a", "user_pool_id": "eu-west-1_a", "client_id": "c"}}},
            "'eu-west-1_a' is not of region us-east-1",
        ),
        ({"jobs": {"max_runtime_seconds": 777_601}}, "less than or equal to 777600"),
        ({"labeling": {"provider": "station", "page": "custom"}}, "page is Ground Truth's alone"),
        ({"labeling": {"provider": "import", "vendor_workteam_arn": VENDOR}}, "provider is 'import': leave it out"),
        ({"labeling": {"vendor_workteam_arn": "arn:aws:iam::1:role/r"}}, "should match pattern"),
        ({"region": "eu-west-1", "labeling": {"vendor_workteam_arn": VENDOR}}, "is not of region eu-west-1"),
        ({"labeling": {"vendor_workteam_arn": VENDOR, "public_workforce": PUBLIC}}, "labelers are one or the other"),
        ({"labeling": {"public_workforce": {"price_usd": 0.036}}}, "acknowledgement in cdk.json: it must be given"),
        (
            {"labeling": {"public_workforce": PUBLIC | {"acknowledgement": "yes"}}},
            "Mechanical Turk closed on 2026-09-30",
        ),
        ({"labeling": {"public_workforce": PUBLIC}}, "is more than the 43200 that the public workforce keeps a task"),
        (
            {"labeling": {"public_workforce": PUBLIC | {"price_usd": 0.05}, **HALF_A_DAY}},
            "one of the service's prices for classification: 0.012, 0.024, 0.036",
        ),
        (
            {"task": "detection", "labeling": {"public_workforce": PUBLIC | {"price_usd": 0.012}, **HALF_A_DAY}},
            "one of the service's prices for detection: 0.036",
        ),
        ({"labeling": {"chained_jobs": 6}}, "less than or equal to 5"),
        ({"jobs": {"instance_count": 0}}, "greater than or equal to 1"),
        ({"compilation": {"targets": ["toaster"]}}, "unknown target 'toaster'; known are linux-x86_64"),
        ({"compilation": {"targets": []}}, "at least one target"),
        ({"compilation": {"targets": ["imx8mplus"], "minimum_targets": 2}}, "minimum_targets 2 is more than the 1"),
        (own(device="toaster"), "has device 'toaster', which Neo does not have"),
        (own(device="jetson_orin"), "Neo's Jetsons end with Xavier"),
        (
            own(device="rasp4b", platform={"Os": "LINUX", "Arch": "ARM64"}),
            "must name a device or a platform, and not both",
        ),
        (own(), "must name a device or a platform, and not both"),
        (
            own(platform={"Os": "LINUX", "Arch": "X86"}),
            "Neo compiles for X86_64, ARM64, ARM_EABIHF, ARM_EABI, and not for X86",
        ),
        (
            own(platform={"Os": "LINUX", "Arch": "ARM64", "Abi": "x"}),
            "no setting 'Abi' here; there are Os, Arch, Accelerator",
        ),
        (
            own(platform={"Os": "LINUX", "Arch": "ARM64", "Accelerator": "NVIDIA"}),
            "lacks 'gpu-code', 'trt-ver', 'cuda-ver'",
        ),
        (own(device="rasp4b", compiler_options={"ANDROID_PLATFORM": 28}), "which is for Android and not for rasp4b"),
        (own(device="rasp4b", name="Pi 4"), "name in cdk.json is 'Pi 4': a name has small letters from a to z"),
        (own(device="rasp4b", name="p" * 41), "at most 40 characters"),
        (own(device="rasp4b", name="linux-arm64"), "is the name of a ready-made target"),
        (own(device="rasp4b", measured_on="laptop"), "should match pattern"),
        (own(device="rasp4b", measured_on="host"), "no job runs code for rasp4b"),
        (
            own(platform={"Os": "LINUX", "Arch": "ARM64"}, greengrass={"os": "linux", "architecture": "amd64"}),
            "'amd64' for greengrass.architecture; code for LINUX/ARM64 runs on 'aarch64'",
        ),
        (own(device="ml_g4dn", measured_on="ml.c5.xlarge"), "give an instance type of its own family, ml.g4dn"),
        ({"compilation": {"targets": "ios"}}, "compilation.targets in cdk.json is 'ios': it must be a list"),
        ({"compilation": None}, "compilation in cdk.json is None: it must be an object with settings of its own"),
        (own(device="rasp4b", compiler_options="{'mattr':['+neon']}"), "it must be an object"),
        (own(device="deeplens"), "AWS DeepLens is gone"),
        (
            own(device="rasp4b", greengrass={"os": "linux", "architecture": "armv8"}),
            "'armv8' for greengrass.architecture",
        ),
        (
            own(device="jetson_nano", compiler_options={"JETPACK_VERSION": "4.6", "gpu_code": "sm_72"}),
            "the loop's model cannot be compiled for 'buoy': compiler option 'JETPACK_VERSION' is for TENSORFLOW",
        ),
        (own(device="rasp4b", greengrass=CORE), "'linux-arm64' and 'buoy' ask for the same core devices"),
        ({"compilation": {"own_targets": [BUOY, BUOY]}}, "own_targets has 'buoy' more than once"),
        ({"training": {"max_wait_seconds": 5}}, "max_wait_seconds 5 must be at least max_runtime_seconds"),
        ({"training": {"image_pixels": 50}}, "multiple of 32"),
        ({"training": {"epoch": 3}}, "did you mean epochs?"),
        ({"labeling": {"error_budget": 1.5}}, "less than 1"),
        ({"region": "mars-north-1"}, "us-east-1"),
    ],
)
def test_a_setting_that_is_not_allowed_is_refused_with_what_is(branches: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=r"^stages\.sandbox") as refused:
        load(**branches)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_provider_can_be_chosen_without_editing_the_stage() -> None:
    stages = {"laptop": {"labeling": {"error_budget": 0.05}}}
    labeling = Settings.load(context={"stage": "laptop", "stages": stages, "provider": "station"}).labeling
    assert (labeling.provider, labeling.error_budget) == ("station", 0.05)
    with pytest.raises(SettingsError, match=r"labeling\.provider.* is 'moon'"):
        Settings.load(context={"stage": "laptop", "stages": stages, "provider": "moon"})


def test_an_unknown_stage_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="stage is 'moon'; allowed are laptop, sandbox, production"):
        Settings.load("moon")


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([1], "stages in cdk.json is [1]: it must be an object"),
        ({"laptop": None}, "stages.laptop in cdk.json is None: it must be an object"),
        ({"laptop": {"labeling": []}}, "stages.laptop.labeling in cdk.json is []: it must be an object"),
        ({"laptop": {"stage": "sandbox"}}, "stages.laptop.stage in cdk.json is 'sandbox': the stage is laptop"),
        ({"laptop": {"labelling": {}}}, "stages.laptop in cdk.json: there is no setting 'labelling' here"),
    ],
)
def test_stages_that_are_none_are_told_in_one_sentence(stages: Any, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.load(context={"stage": "laptop", "stages": stages, "provider": "station"})
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


NONSENSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=5
)


@given(NONSENSE)
def test_nonsense_is_refused_and_never_crashes(nonsense: Any) -> None:
    with pytest.raises(SettingsError):
        load(labeling={"provider": nonsense})


@given(st.dictionaries(st.sampled_from(sorted(OwnTarget.model_fields)), NONSENSE, max_size=4))
def test_nonsense_for_a_target_of_ones_own_is_refused_and_never_crashes(fields: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        load(**own(**{"name": "?", **fields}))


def test_a_target_of_ones_own_is_chosen_like_a_ready_made_one() -> None:
    options = {"gpu-code": "sm_87", "trt-ver": "8.5.2", "cuda-ver": "11.4"}
    platform = {"Os": "LINUX", "Arch": "ARM64", "Accelerator": "NVIDIA"}
    fields = {"compiler_options": options, "greengrass": CORE | {"board": "orin"}, "portable": False}
    ready, target = load(**own(platform=platform, **fields)).compilation.chosen
    assert ready == TARGETS["linux-arm64"]
    assert target.record() == {
        **{"name": "buoy", "device": "", "platform": platform, "runtime": "dlr", "measured_on": ""},
        **fields,
    }


def test_a_target_of_ones_own_may_be_for_models_from_elsewhere_alone() -> None:
    options = {"JETPACK_VERSION": "4.6", "gpu_code": "sm_53"}
    jetpack = {"name": "jetpack-4", "device": "jetson_nano", "compiler_options": options}
    compilation = load(compilation={"own_targets": [jetpack]}).compilation
    assert compilation.known["jetpack-4"].compiler_options == options
    assert compilation.known.keys() == {*TARGETS, "jetpack-4"}
    assert "jetpack-4" not in {target.name for target in compilation.chosen}


@given(st.sampled_from(ground_truth.KINDS["classification"].prices_usd))
def test_a_price_keeps_its_value_in_the_services_units(usd: float) -> None:
    amount = ground_truth.price(usd)
    assert amount["Dollars"] * 1000 + amount["Cents"] * 10 + amount["TenthFractionsOfACent"] == round(usd * 1000)
    assert amount["Cents"] < 100
    assert amount["TenthFractionsOfACent"] < 10
