"""The stacks' own life: in use, destroyed without a trace, deployed again; their code changed and changed back."""

import argparse
import contextlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from console.commands import destroy
from console.demo import inventory
from console.project import stack_resources
from offline.account import Account
from offline.device import CoreDevice
from reefloop.contracts import CLASSIFIER_COMPONENT, model_key, package_key
from tests.any import any_model_card, any_package
from tests.edge import model_packages
from tests.workflow.classifier_code import Code, copy, observe, synthesize_with
from tests.workflow.deployed import Deployed, synthesize
from tests.workflow.in_flight import eventually, start_what_does_not_end, states

MODEL: Final = "first-0a1b2c3d"
TARGET: Final = "linux-x86_64"

# What the inventory does not list by its physical id: parts of what it does list, and two that it lists by name.
UNLISTED: Final = {
    "AWS::IAM::Policy",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Permission",
    "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolClient",
    "AWS::Cognito::UserPoolDomain",
    "AWS::Cognito::UserPoolGroup",
    "AWS::GreengrassV2::ComponentVersion",
}


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """An account with nothing but CDKToolkit, at first."""
    folder = tmp_path_factory.mktemp("lifecycle")
    with Account(folder / "account") as account:
        account.bootstrap()
        yield Deployed(account, {}, folder)


# ---- The first life: deployed, used, destroyed in the middle of everything -------------------------------------------


@dataclass(frozen=True)
class FirstLife:
    """What was seen of it, from the empty account to the empty account."""

    code: Code
    made: Mapping[str, frozenset[str]]
    """What there was in use beyond the empty account, by kind."""
    resources: Mapping[str, list[str]]
    """Physical ids of what was in the stacks, by resource type."""
    states_in_use: Mapping[str, str]
    states_destroyed: Mapping[str, str]
    told: list[str]
    """What each `console destroy` printed: in use, at once again, after `cdk destroy`."""
    left: list[str]


@pytest.fixture(scope="module")
def first_life(loop: Deployed) -> FirstLife:
    empty = inventory.take(loop.client)
    assembly = synthesize(loop.folder / "first")
    loop.deploy(assembly)
    device = deploy_a_model(loop, "buoy-1")
    code = observe(loop, device)
    start_what_does_not_end(loop, MODEL)
    in_use, states_in_use = inventory.take(loop.client), states(loop)
    resources = resources_of_stacks(loop)

    told = [console_destroy(loop)]
    states_destroyed = states(loop)
    see_what_it_is_unsure_of(device)
    told.append(console_destroy(loop))
    loop.account.cdk("destroy", "--all", f"--app={assembly}")
    told.append(console_destroy(loop))
    return FirstLife(
        code=code,
        made={kind: names - empty[kind] for kind, names in in_use.items()},
        resources=resources,
        states_in_use=states_in_use,
        states_destroyed=states_destroyed,
        told=told,
        left=inventory.leftovers(empty, inventory.take(loop.client)),
    )


def deploy_a_model(loop: Deployed, thing: str) -> CoreDevice:
    """Bring a model to a new canary device by the state machine, as the loop does; returns the device, still on."""
    content = zipped(model_packages.write(loop.folder / thing, version=MODEL))
    key = package_key(MODEL, TARGET, "0a1b")
    package = any_package(TARGET, "portable", key=key, bytes=len(content))
    s3, project = loop.client("s3"), loop.project
    s3.put_object(Bucket=project.artifact_bucket, Key=key, Body=content)
    card = json.dumps(any_model_card(MODEL)).encode()
    s3.put_object(Bucket=project.data_bucket, Key=model_key(MODEL, "model.json"), Body=card)
    loop.register(MODEL, test_accuracy="0.9", test_objects="100")
    device = loop.device(thing)
    device.start()
    execution = loop.run("deployment", {"model_version": MODEL, "packages": [package]}, f"to-{thing}")
    assert execution["status"] == "SUCCEEDED", execution
    return device


def zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder))
    return buffer.getvalue()


def see_what_it_is_unsure_of(device: CoreDevice) -> None:
    """Let a device that was left on see something that it would send; returns when it has it ready for sending: a frame
    leaves the folder once everything that came of it is on the disk."""
    draft = device.frames.parent / ".unsure"
    draft.write_bytes(model_packages.image("grey"))
    draft.replace(device.frames / "unsure.png")
    eventually((device.root / "work" / CLASSIFIER_COMPONENT / "done" / "unsure.png").exists)


def resources_of_stacks(loop: Deployed) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for stack in loop.project.outputs:
        for kind, ids in stack_resources(loop.client, stack).items():
            found.setdefault(kind, []).extend(ids)
    return found


def console_destroy(loop: Deployed) -> str:
    """Run the command as a person would, in this process; returns what it printed."""
    options = argparse.Namespace(stage="laptop", force=False, yes=False)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
        for name, value in loop.account.environment.items():
            patch.setenv(name, value)
        assert destroy.run(options) == 0
    return printed.getvalue()


def test_console_destroy_stops_every_execution_job_and_build_that_is_in_flight(first_life: FirstLife) -> None:
    running = ("RUNNING", "InProgress", "STARTING", "INPROGRESS", "IN_PROGRESS")
    in_flight = [name for name, state in first_life.states_in_use.items() if state in running]
    kinds = {"loop", "labeling", "jobs", "compilation", "Processing", "Compilation", "Build"}
    assert {name.split()[0] for name in in_flight} == kinds
    assert {first_life.states_destroyed[name] for name in in_flight} == {"ABORTED", "Stopped", "STOPPED"}
    assert not set(first_life.states_destroyed.values()) & set(running)


def test_console_destroy_finds_nothing_to_remove_a_second_time_nor_without_stacks(first_life: FirstLife) -> None:
    _, again, without_stacks = first_life.told
    assert again.startswith("0 removals")  # although a device has tried to write since
    assert without_stacks.startswith("no reefloop stack is deployed")


def test_after_real_use_and_destruction_only_the_toolkit_is_left(first_life: FirstLife) -> None:
    unused = {kind for kind, names in first_life.made.items() if not names}
    # Of everything else there was something to leave behind.
    assert unused == {"IAM policy", "SSM parameter"}
    assert first_life.left == []


def test_no_resource_of_the_stacks_escapes_the_inventory(first_life: FirstLife) -> None:
    listed = {name for names in first_life.made.values() for name in names}
    escaped = {
        kind
        for kind, ids in first_life.resources.items()
        if any(re.split("[/:]", physical)[-1] not in listed for physical in ids)
    }
    assert escaped == UNLISTED


# ---- The second life: the same code, other code, the same code again -------------------------------------------------


@pytest.fixture(scope="module")
def second_life(loop: Deployed, first_life: FirstLife) -> list[Code]:
    """The code after each deployment, each from a folder of its own."""
    folder = loop.folder / "second"
    loop.deploy(synthesize_with(copy(folder / "copy"), folder / "assembly"))
    device = deploy_a_model(loop, "buoy-2")
    seen = [observe(loop, device)]
    for code, assembly in (
        (copy(folder / "other", marked=True), folder / "assembly-other"),
        (copy(folder / "copy-again"), folder / "assembly-again"),
    ):
        loop.deploy(synthesize_with(code, assembly), "reefloop-deployment", "--exclusively")
        seen.append(observe(loop, device, marked_starts=1))
    return seen


def test_what_was_destroyed_is_deployed_again_and_works_with_the_same_code(
    first_life: FirstLife, second_life: list[Code]
) -> None:
    assert second_life[0] == first_life.code


def test_account_deployment_and_device_agree_on_the_one_version_of_the_code(second_life: list[Code]) -> None:
    for code in second_life:
        assert code.components == code.deployments == code.kept == [code.version]
        assert code.running == [(code.version, "RUNNING")]
        assert code.readable == code.artifacts
        assert len(code.artifacts) == 1


def test_going_back_brings_the_same_version_and_leaves_nothing_of_the_other(second_life: list[Code]) -> None:
    before, other, after = second_life
    assert other.version != before.version
    assert after.version == before.version
    assert after.artifacts == before.artifacts != other.artifacts
    assert (before.marked_starts, other.marked_starts, after.marked_starts) == (0, 1, 1)  # the log stays


# ---- The third life: a stage that keeps its data is taken down -------------------------------------------------------


@dataclass(frozen=True)
class ThirdLife:
    """What was there before `console destroy` and `cdk destroy`, and after."""

    told: str
    stacks_left: list[str]
    before: Mapping[str, list[str]]
    after: Mapping[str, list[str]]
    """Keys by bucket, ARNs of the models under "models"."""


@pytest.fixture(scope="module")
def third_life(loop: Deployed, second_life: list[Code]) -> ThirdLife:
    assembly = synthesize(loop.folder / "third", storage={"retain": True})
    loop.deploy(assembly)
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}
    repository = loop.project.output("jobs", "Repository")
    loop.client("ecr").put_image(repositoryName=repository, imageManifest=json.dumps(manifest), imageTag="any")
    before = data(loop)
    told = console_destroy(loop)
    loop.account.cdk("destroy", "--all", f"--app={assembly}")
    stacks = loop.client("cloudformation").describe_stacks()["Stacks"]
    return ThirdLife(told, [stack["StackName"] for stack in stacks], before, data(loop))


def data(loop: Deployed) -> dict[str, list[str]]:
    registry = loop.client("sagemaker").list_model_packages(ModelPackageGroupName="reefloop")["ModelPackageSummaryList"]
    found = {
        bucket: loop.keys("", bucket=bucket) for bucket in (loop.project.data_bucket, loop.project.artifact_bucket)
    }
    return {**found, "models": [package["ModelPackageArn"] for package in registry]}


def test_the_stacks_of_a_stage_that_keeps_its_data_go_and_its_data_stays(third_life: ThirdLife) -> None:
    assert "kept, since the stage has storage.retain" in third_life.told
    assert third_life.stacks_left == ["CDKToolkit"]
    assert all(third_life.before.values())
    for kind, names in third_life.before.items():
        assert set(names) <= set(third_life.after[kind])
