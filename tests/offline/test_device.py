"""A core device: what it makes of deployments, and what it says about them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from offline.device.resolution import configure, fits
from offline.device.variables import UnknownVariable, expand
from tests.offline.fleet import (
    BUCKET,
    LINUX,
    TELL,
    Fleet,
    any_name,
    archive,
    environment,
    eventually,
    opened,
    recipe,
    work,
    written,
)

PROCESSES = Path(__file__).parents[2] / "offline" / "device" / "processes.py"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with opened(tmp_path_factory.mktemp("account")) as fleet:
        yield fleet


# ---- Deployments -----------------------------------------------------------------------------------------------------


def test_a_component_is_fetched_unpacked_and_run(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    uri = fleet.artifact({"say.sh": "pwd > where; echo $AWS_IOT_THING_NAME > who; exec sleep 600"})
    stem = uri.rpartition("/")[2].removesuffix(".zip")
    run = f'sh "{{artifacts:decompressedPath}}/{stem}/say.sh"'
    fleet.component(name, run=run, Artifacts=[{"Uri": uri, "Unarchive": "ZIP"}])
    with fleet.device(group) as device:
        assert fleet.greengrass.list_core_devices(thingGroupArn=group)["coreDevices"] == []
        deployment = fleet.deploy(group, {name: "1.0.0"})
        assert device.wait_for(deployment) == "SUCCEEDED"
        assert fleet.installed(device) == {name: ("1.0.0", "RUNNING")}
        assert written(device, name, "who") == [device.thing]
        assert written(device, name, "where") == [str(work(device, name))]
        assert fleet.effective(device, deployment)["reason"] == "SUCCESSFUL"
        core = fleet.greengrass.list_core_devices(thingGroupArn=group)["coreDevices"]
        assert [(each["coreDeviceThingName"], each["status"]) for each in core] == [(device.thing, "HEALTHY")]


def test_an_update_replaces_the_version_and_leaves_the_others_running(fleet: Fleet) -> None:
    changing, steady, group = any_name("c"), any_name("s"), fleet.group()
    for version in ("1.0.0", "1.1.0"):
        fleet.component(changing, version, run=f"echo {version} >> log; exec sleep 600")
    fleet.component(steady, run="echo started >> log; exec sleep 600")
    with fleet.device(group) as device:
        device.wait_for(fleet.deploy(group, {changing: "1.0.0", steady: "1.0.0"}))
        assert written(device, changing, "log") == ["1.0.0"]
        assert device.wait_for(fleet.deploy(group, {changing: "1.1.0", steady: "1.0.0"})) == "SUCCEEDED"
        assert written(device, changing, "log", 2) == ["1.0.0", "1.1.0"]
        assert written(device, steady, "log") == ["started"]
        assert fleet.installed(device)[changing] == ("1.1.0", "RUNNING")


def test_a_component_that_breaks_takes_the_device_back_to_what_it_ran(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    fleet.component(name, "1.0.0", run="echo good >> log; exec sleep 600")
    fleet.component(name, "1.1.0", run="echo bad >> log; exit 3")
    with fleet.device(group, settle_seconds=3) as device:
        device.wait_for(fleet.deploy(group, {name: "1.0.0"}))
        assert written(device, name, "log") == ["good"]
        deployment = fleet.deploy(group, {name: "1.1.0"})
        assert device.wait_for(deployment) == "FAILED"
        effective = fleet.effective(device, deployment)
        assert effective["reason"].startswith("FAILED_ROLLBACK_COMPLETE")
        assert "run exited with 3" in effective["reason"]
        assert effective["statusDetails"]["errorStack"] == ["DEPLOYMENT_FAILURE", "COMPONENT_BROKEN"]
        assert written(device, name, "log", 5) == ["good", "bad", "bad", "bad", "good"]
        assert fleet.installed(device) == {name: ("1.0.0", "RUNNING")}


def test_without_rollback_the_broken_component_stays_and_the_device_is_unhealthy(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    fleet.component(name, run="false")
    # However busy the machine is, the script has ended before it counts as running.
    with fleet.device(group, settle_seconds=30) as device:
        policies = {"failureHandlingPolicy": "DO_NOTHING"}
        deployment = fleet.deploy(group, {name: "1.0.0"}, deploymentPolicies=policies)
        assert device.wait_for(deployment) == "FAILED"
        assert fleet.effective(device, deployment)["reason"].startswith("FAILED_ROLLBACK_NOT_REQUESTED")
        assert fleet.installed(device) == {name: ("1.0.0", "BROKEN")}
        assert fleet.greengrass.get_core_device(coreDeviceThingName=device.thing)["status"] == "UNHEALTHY"


def test_an_install_that_fails_fails_the_deployment(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    fleet.component(name, Lifecycle={"install": "exit 7", "run": "sleep 600"})
    with fleet.device(group) as device:
        deployment = fleet.deploy(group, {name: "1.0.0"})
        assert device.wait_for(deployment) == "FAILED"
        assert "install exited with 7" in fleet.effective(device, deployment)["reason"]


def test_an_install_that_takes_too_long_fails_the_deployment(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    fleet.component(name, Lifecycle={"install": {"Script": "sleep 600", "Timeout": 0.2}, "run": "sleep 600"})
    with fleet.device(group) as device:
        deployment = fleet.deploy(group, {name: "1.0.0"})
        assert device.wait_for(deployment) == "FAILED"
        assert "install timed out" in fleet.effective(device, deployment)["reason"]


def test_a_phase_that_works_on_one_nucleus_alone_fails_the_deployment(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    fleet.component(name, Lifecycle={"bootstrap": "true", "run": "sleep 600"})
    with fleet.device(group) as device:
        deployment = fleet.deploy(group, {name: "1.0.0"})
        assert device.wait_for(deployment) == "FAILED"
        assert "'bootstrap'" in fleet.effective(device, deployment)["reason"]


def test_a_component_that_fails_once_is_restarted(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    fleet.component(name, run="echo try >> log; test $(wc -l < log) -gt 1 && exec sleep 600; exit 1")
    with fleet.device(group, settle_seconds=3) as device:
        assert device.wait_for(fleet.deploy(group, {name: "1.0.0"})) == "SUCCEEDED"
        assert written(device, name, "log", 2) == ["try", "try"]


def test_components_of_all_groups_are_merged(fleet: Fleet) -> None:
    code, model, base, canary = any_name("c"), any_name("m"), fleet.group(), fleet.group()
    fleet.component(code)
    fleet.component(model, run="true")
    with fleet.device(base, canary) as device:
        first, second = fleet.deploy(base, {code: "1.0.0"}), fleet.deploy(canary, {model: "1.0.0"})
        assert [device.wait_for(first), device.wait_for(second)] == ["SUCCEEDED", "SUCCEEDED"]
        eventually(lambda: fleet.installed(device) == {code: ("1.0.0", "RUNNING"), model: ("1.0.0", "FINISHED")})


def test_groups_that_ask_for_different_versions_fail_the_later_deployment(fleet: Fleet) -> None:
    name, base, canary = any_name("c"), fleet.group(), fleet.group()
    fleet.component(name, "1.0.0")
    fleet.component(name, "2.0.0")
    with fleet.device(base, canary) as device:
        device.wait_for(fleet.deploy(base, {name: "1.0.0"}))
        deployment = fleet.deploy(canary, {name: "2.0.0"})
        assert device.wait_for(deployment) == "FAILED"
        effective = fleet.effective(device, deployment)
        assert effective["statusDetails"]["errorStack"][-1] == "NO_AVAILABLE_COMPONENT_VERSION"
        assert effective["reason"].startswith("FAILED_NO_STATE_CHANGE")
        assert fleet.installed(device) == {name: ("1.0.0", "RUNNING")}


def test_what_is_no_longer_deployed_is_stopped_and_its_artifacts_deleted(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    artifacts = [{"Uri": fleet.artifact({"a": "b"}), "Unarchive": "ZIP"}]
    fleet.component(name, run="echo $$ > pid; exec sleep 600", Artifacts=artifacts)
    with fleet.device(group) as device:
        device.wait_for(fleet.deploy(group, {name: "1.0.0"}))
        [process] = map(int, written(device, name, "pid"))
        assert device.wait_for(fleet.deploy(group, {})) == "SUCCEEDED"
        assert fleet.installed(device) == {}
        assert not list((device.root / "packages").glob("*/*/*"))
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_what_a_group_brought_goes_with_the_next_deployment_after_the_thing_left_it(fleet: Fleet) -> None:
    staying, leaving, base, canary = any_name("c"), any_name("c"), fleet.group(), fleet.group()
    fleet.component(staying)
    fleet.component(leaving)
    with fleet.device(base, canary) as device:
        device.wait_for(fleet.deploy(canary, {leaving: "1.0.0"}))
        fleet.iot.remove_thing_from_thing_group(thingGroupName=canary.rpartition("/")[2], thingName=device.thing)
        device.wait_for(fleet.deploy(base, {staying: "1.0.0"}))
        assert set(fleet.installed(device)) == {staying}


def test_a_deployment_to_one_thing_is_completed_when_it_ran_it(fleet: Fleet) -> None:
    name = any_name("c")
    fleet.component(name, run="true")
    with fleet.device() as device:
        thing = fleet.iot.describe_thing(thingName=device.thing)["thingArn"]
        deployment = fleet.deploy(thing, {name: "1.0.0"})
        assert device.wait_for(deployment) == "SUCCEEDED"
        assert fleet.greengrass.get_deployment(deploymentId=deployment)["deploymentStatus"] == "COMPLETED"


def test_too_many_failures_cancel_a_rollout(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    fleet.component(name, run="false")
    criterion = {
        "failureType": "FAILED",
        "action": "CANCEL",
        "thresholdPercentage": 10.0,
        "minNumberOfExecutedThings": 1,
    }
    with fleet.device(group, settle_seconds=30) as device:
        deployment = fleet.deploy(
            group, {name: "1.0.0"}, iotJobConfiguration={"abortConfig": {"criteriaList": [criterion]}}
        )
        device.wait_for(deployment)
        assert fleet.greengrass.get_deployment(deploymentId=deployment)["deploymentStatus"] == "CANCELED"


def test_a_canceled_deployment_reaches_no_device(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    fleet.component(name)
    deployment = fleet.deploy(group, {name: "1.0.0"})
    fleet.greengrass.cancel_deployment(deploymentId=deployment)
    with fleet.device(group) as device:
        later = fleet.deploy(fleet.iot.describe_thing(thingName=device.thing)["thingArn"], {})
        device.wait_for(later)
        assert fleet.installed(device) == {}


# ---- Dependencies and platforms --------------------------------------------------------------------------------------


def test_dependencies_are_resolved_to_the_newest_version_that_fits(fleet: Fleet) -> None:
    library, name, group = any_name("l"), any_name("c"), fleet.group()
    for version in ("1.0.0", "1.5.0", "2.0.0"):
        fleet.component(library, version)
    dependencies = {
        library: {"VersionRequirement": "^1.0.0"},
        "aws.greengrass.TokenExchangeService": {"VersionRequirement": ">=2.0.0 <3.0.0"},
    }
    manifests = [{"Platform": LINUX, "Lifecycle": {"run": "sleep 600"}}]
    fleet.create(recipe(name, ComponentDependencies=dependencies, Manifests=manifests))
    with fleet.device(group) as device:
        assert device.wait_for(fleet.deploy(group, {name: "1.0.0"})) == "SUCCEEDED"
        assert fleet.installed(device) == {library: ("1.5.0", "RUNNING"), name: ("1.0.0", "RUNNING")}


def test_a_dependency_that_nobody_can_satisfy_fails_the_deployment(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    dependencies = {"nobody.has.this": {"VersionRequirement": ">=1.0.0"}}
    fleet.create(recipe(name, ComponentDependencies=dependencies))
    with fleet.device(group) as device:
        deployment = fleet.deploy(group, {name: "1.0.0"})
        assert device.wait_for(deployment) == "FAILED"
        assert "there are none" in fleet.effective(device, deployment)["reason"]


def test_a_board_gets_its_own_manifest_and_others_that_of_their_architecture(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    arm = {**LINUX, "architecture": "aarch64"}

    def manifest(platform: dict[str, str], says: str) -> dict[str, object]:
        return {"Platform": platform, "Lifecycle": {"run": f"echo {says} > log"}}

    manifests = [
        manifest({**arm, "board": "raspberry-pi-4"}, "board"),
        manifest(arm, "arm"),
        manifest({**LINUX, "architecture": "amd64"}, "amd"),
    ]
    fleet.create(recipe(name, Manifests=manifests))
    deployment = fleet.deploy(group, {name: "1.0.0"})
    for platform, says in (
        ({"architecture": "aarch64", "board": "raspberry-pi-4"}, "board"),
        ({"architecture": "aarch64", "board": "other"}, "arm"),
        ({"architecture": "aarch64"}, "arm"),
        ({}, "amd"),
    ):
        with fleet.device(group, **platform) as device:
            assert device.wait_for(deployment) == "SUCCEEDED"
            assert written(device, name, "log") == [says]


def test_a_device_that_no_manifest_fits_fails_the_deployment(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    fleet.component(name, Platform={**LINUX, "architecture": "armv7"})
    with fleet.device(group) as device:
        deployment = fleet.deploy(group, {name: "1.0.0"})
        assert device.wait_for(deployment) == "FAILED"
        assert "no manifest" in fleet.effective(device, deployment)["reason"]


@pytest.mark.parametrize(
    ("wanted", "platform", "answer"),
    [
        ({"os": "linux"}, {"os": "linux"}, True),
        ({"os": "/linux|darwin/"}, {"os": "darwin"}, True),
        ({"os": "/linux|darwin/"}, {"os": "windows"}, False),
        ({"os": "*", "board": "*"}, {"os": "linux"}, True),
        ({"os": "linux", "board": "x"}, {"os": "linux"}, False),
        ({}, {"os": "linux"}, True),
        ({"os": "linux"}, {"os": "linux", "runtime": "aws_nucleus_lite"}, False),
        ({"runtime": "*"}, {"os": "linux", "runtime": "aws_nucleus_lite"}, False),
        ({"os": "all", "runtime": "*"}, {"os": "linux", "runtime": "aws_nucleus_lite"}, True),
        ({"os": "linux", "runtime": "aws_nucleus_lite"}, {"os": "linux"}, False),
    ],
)
def test_platforms_match_as_on_classic_and_on_lite(
    wanted: dict[str, str], platform: dict[str, str], answer: bool
) -> None:
    assert fits(wanted, platform) is answer


# ---- Artifacts -------------------------------------------------------------------------------------------------------


def test_an_artifact_that_changed_after_its_component_was_created_is_refused(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    uri = fleet.artifact({"a": "b"})
    fleet.component(name, Artifacts=[{"Uri": uri, "Unarchive": "ZIP"}])
    fleet.s3.put_object(Bucket=BUCKET, Key=uri.rpartition("/")[2], Body=archive({"a": "another"}))
    with fleet.device(group) as device:
        deployment = fleet.deploy(group, {name: "1.0.0"})
        assert device.wait_for(deployment) == "FAILED"
        assert fleet.effective(device, deployment)["statusDetails"]["errorStack"][-1] == "ARTIFACT_CHECKSUM_MISMATCH"
        assert fleet.installed(device) == {}


def test_an_artifact_that_is_gone_fails_the_deployment(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    uri = fleet.artifact({"a": "b"})
    fleet.component(name, Artifacts=[{"Uri": uri}])
    fleet.s3.delete_object(Bucket=BUCKET, Key=uri.rpartition("/")[2])
    with fleet.device(group) as device:
        deployment = fleet.deploy(group, {name: "1.0.0"})
        assert device.wait_for(deployment) == "FAILED"
        assert "NoSuchKey" in fleet.effective(device, deployment)["reason"]


def test_an_archive_that_is_none_fails_the_deployment(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    fleet.s3.put_object(Bucket=BUCKET, Key=f"{name}.zip", Body=b"a tarball")
    fleet.component(name, Artifacts=[{"Uri": f"s3://{BUCKET}/{name}.zip", "Unarchive": "ZIP"}])
    with fleet.device(group) as device:
        deployment = fleet.deploy(group, {name: "1.0.0"})
        assert device.wait_for(deployment) == "FAILED"
        assert "is no ZIP archive" in fleet.effective(device, deployment)["reason"]


# ---- Configuration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("runtime", "after_each"),
    [
        ("aws_nucleus_classic", [1, 2, 2, 3]),
        ("aws_nucleus_lite", [1, 1, 1, 1]),
    ],
)
def test_configuration_is_merged_and_restarts_what_it_changes_on_the_classic_nucleus_alone(
    fleet: Fleet, runtime: str, after_each: list[int]
) -> None:
    name, group = any_name("c"), fleet.group()
    defaults = {"ComponentConfiguration": {"DefaultConfiguration": {"word": "default", "other": "kept", "more": ""}}}
    run = 'echo "{configuration:/word}" "{configuration:/other}" >> log; exec sleep 600'
    fleet.create(recipe(name, Manifests=[{"Platform": LINUX, "Lifecycle": {"run": run}}], **defaults))
    updates = ({}, {"merge": json.dumps({"word": "merged"})}, {"merge": '{"more": "x"}'}, {"reset": ["/word"]})
    with fleet.device(group, runtime=runtime) as device:
        for update, count in zip(updates, after_each, strict=True):
            component = {"componentVersion": "1.0.0", "configurationUpdate": update}
            made = fleet.greengrass.create_deployment(targetArn=group, components={name: component})
            assert device.wait_for(made["deploymentId"]) == "SUCCEEDED"
            started = ["default kept", "merged kept", "default kept"][:count]
            assert written(device, name, "log", count) == started


def test_on_lite_a_script_has_the_new_values_when_it_starts_next(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    defaults = {"ComponentConfiguration": {"DefaultConfiguration": {"word": "default"}}}
    run = 'echo "{configuration:/word}" >> log; exec sleep 600'
    fleet.create(recipe(name, Manifests=[{"Platform": LINUX, "Lifecycle": {"run": run}}], **defaults))
    device = fleet.provision(group)
    with device:
        for update in ({}, {"merge": json.dumps({"word": "merged"})}):
            component = {"componentVersion": "1.0.0", "configurationUpdate": update}
            made = fleet.greengrass.create_deployment(targetArn=group, components={name: component})
            assert device.wait_for(made["deploymentId"]) == "SUCCEEDED"
            assert written(device, name, "log") == ["default"]
    with device:
        assert written(device, name, "log", 2) == ["default", "merged"]


def test_a_value_that_the_device_has_outlives_a_new_default() -> None:
    newer = {"ComponentConfiguration": {"DefaultConfiguration": {"poll": "9", "added": "1"}}}
    assert configure(newer, current={"poll": "5"}, update={}) == {"poll": "5", "added": "1"}
    assert configure(newer, current={"poll": "5"}, update={"reset": [""]}) == {"poll": "9", "added": "1"}


def test_values_are_escaped_for_double_quotes() -> None:
    system = {"work:path": "/work/"}
    script = 'echo "{configuration:/a}" "{work:path}"'
    assert expand(script, configuration={"a": 'x"$y`'}, system=system) == 'echo "x\\"\\$y\\`" "/work/"'
    assert expand("{configuration:/a/b}", configuration={"a": {"b": {"d": 1, "c": None}}}, system={}) == (
        '{"c":null,"d":1}'
    )


@pytest.mark.parametrize("script", ["echo ${HOME}", "{configuration:/nowhere}", "{", "awk '{print $1}'", "{iot:name}"])
def test_a_brace_that_is_no_variable_is_an_error(script: str) -> None:
    with pytest.raises(UnknownVariable):
        expand(script, configuration={}, system={"iot:thingName": "reef"})


def test_a_script_with_an_unknown_variable_fails_the_deployment(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    fleet.component(name, run="echo ${HOME}")
    with fleet.device(group) as device:
        deployment = fleet.deploy(group, {name: "1.0.0"})
        assert device.wait_for(deployment) == "FAILED"
        assert "'{HOME}'" in fleet.effective(device, deployment)["reason"]


# ---- Power -----------------------------------------------------------------------------------------------------------


def test_power_off_ends_every_process_and_power_on_brings_it_back(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    fleet.component(name, run="sleep 600 & echo $! >> pids; echo $$ >> pids; wait")
    device = fleet.provision(group)
    with device:
        device.wait_for(fleet.deploy(group, {name: "1.0.0"}))
        pids = written(device, name, "pids", 2)
    for pid in map(int, pids):
        eventually(lambda pid=pid: zombie(pid))  # type: ignore[misc]
    with device:
        assert written(device, name, "pids", 4)[:2] == pids
        eventually(lambda: fleet.installed(device) == {name: ("1.0.0", "RUNNING")})


def test_a_component_does_not_outlive_an_account_that_is_killed(tmp_path: Path) -> None:
    source = f"""
import importlib.util, os, pathlib, time
spec = importlib.util.spec_from_file_location("processes", {str(PROCESSES)!r})
processes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(processes)
folder = pathlib.Path({str(tmp_path)!r})
processes.Process("sleep 600 & echo $! > pid; wait", folder=folder, environment=os.environ, log=folder / "log")
time.sleep(60)
"""
    account = subprocess.Popen([sys.executable, "-c", source])
    pid = tmp_path / "pid"
    eventually(lambda: pid.exists() and pid.read_text().strip() != "")
    account.kill()
    account.wait()
    eventually(lambda: zombie(int(pid.read_text())))


def zombie(pid: int) -> bool:
    """Ended, and nobody has asked how: an orphan on a machine whose first process does not reap."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # reaped before it was opened, or before it was read
        return True


def test_components_see_no_credentials_and_nothing_of_the_laptop(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAPTOP_SECRET", "hush")
    name, group = any_name("c"), fleet.group()
    fleet.component(name, run=f"{TELL}; exec sleep 600")
    with fleet.device(group) as device:
        device.wait_for(fleet.deploy(group, {name: "1.0.0"}))
        seen = environment(device, name)
    assert "LAPTOP_SECRET" not in seen
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} & seen.keys()
    assert seen["AWS_ENDPOINT_URL"].startswith("http://localhost:")
    assert seen["AWS_IOT_THING_NAME"] == device.thing
