"""The classifier's code through its deployments: copies of it to deploy, and where each version is."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from offline.device import CoreDevice
from reefloop.contracts import CLASSIFIER_COMPONENT
from stacks.deployment import CLASSIFIER
from tests.workflow.deployed import Deployed, synthesize
from tests.workflow.in_flight import eventually

MARK: Final = "this is the other code"


@dataclass(frozen=True)
class Code:
    """Where the classifier is, and in which versions."""

    components: list[str]
    """Versions that exist."""
    deployments: list[str]
    """Versions that the base group's deployments ask for, those before the latest included."""
    running: list[tuple[str, str]]
    """Version and lifecycle state on the device."""
    kept: list[str]
    """Versions whose artifacts the device keeps."""
    artifacts: list[str]
    """Assets that the versions name."""
    readable: list[str]
    """Assets that devices may fetch."""
    marked_starts: int
    """How often the device has started marked code."""

    @property
    def version(self) -> str:
        return self.components[0]


def observe(loop: Deployed, device: CoreDevice, *, marked_starts: int = 0) -> Code:
    """Wait until the device has dealt with the base group's deployment and started marked code so often, then look
    everywhere."""
    greengrass = loop.client("greengrassv2")
    base = loop.client("iot").describe_thing_group(thingGroupName=loop.project.thing_groups["BaseGroup"])
    listed = greengrass.list_deployments(targetArn=base["thingGroupArn"], historyFilter="ALL")["deployments"]
    deployments = [greengrass.get_deployment(deploymentId=one["deploymentId"]) for one in listed]
    assert [device.wait_for(one["deploymentId"]) for one in deployments if one["isLatestForTarget"]] == ["SUCCEEDED"]

    versions = [
        version
        for component in _classifiers(greengrass.list_components(scope="PRIVATE")["components"])
        for version in greengrass.list_component_versions(arn=component["arn"])["componentVersions"]
    ]
    recipes = [greengrass.get_component(arn=one["arn"], recipeOutputFormat="JSON")["recipe"] for one in versions]
    installed = greengrass.list_installed_components(coreDeviceThingName=device.thing)["installedComponents"]
    log = device.root / "logs" / f"{CLASSIFIER_COMPONENT}.log"
    eventually(lambda: log.read_text().count(MARK) >= marked_starts)
    return Code(
        components=[version["componentVersion"] for version in versions],
        deployments=[one["components"][CLASSIFIER_COMPONENT]["componentVersion"] for one in deployments],
        running=[(one["componentVersion"], one["lifecycleState"]) for one in _classifiers(installed)],
        kept=[path.name for path in (device.root / "packages").glob(f"artifacts/{CLASSIFIER_COMPONENT}/*")],
        artifacts=_assets(b"".join(recipes).decode()),
        readable=_assets(json.dumps(_device_policies(loop))),
        marked_starts=log.read_text().count(MARK),
    )


def _classifiers(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in items if item["componentName"] == CLASSIFIER_COMPONENT]


def _device_policies(loop: Deployed) -> list[Any]:
    """What the role says that devices exchange their certificates for."""
    described = loop.client("iot").describe_role_alias(roleAlias=loop.project.output("deployment", "RoleAlias"))
    iam, role = loop.client("iam"), described["roleAliasDescription"]["roleArn"].rpartition("/")[2]
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]


def _assets(text: str) -> list[str]:
    return sorted(set(re.findall(r"[0-9a-f]{64}\.zip", text)))


def copy(folder: Path, *, marked: bool = False) -> Path:
    """A copy of the code in a new folder; marked code says so when it starts."""
    shutil.copytree(CLASSIFIER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    if marked:
        with (folder / "classifier" / "__init__.py").open("a") as file:
            file.write(f'\nprint("{MARK}", flush=True)\n')
    return folder


def synthesize_with(classifier: Path, assembly: Path) -> Path:
    """The stacks with the code in this folder. Not with the same folder twice: CDK reads it once per process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stacks.deployment.CLASSIFIER", classifier)
        return synthesize(assembly)
