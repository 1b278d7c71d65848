"""What tests of Greengrass ask of their account: components out of a few words, groups, devices, deployments."""

import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from offline.account import Account
from offline.device import CoreDevice, provision
from tests.offline.bench import until
from tests.offline.roles import make_role

BUCKET = "component-artifacts"
LINUX = {"os": "linux", "runtime": "*"}
# The environment is rewritten at every start, in one step, so that a test never reads half of it.
TELL = "env > env.new; mv env.new env; echo start >> starts"


def eventually(true: Callable[[], bool]) -> None:
    until(true, bool)


def any_name(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:8]}"


def archive(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, content in files.items():
            zipped.writestr(zipfile.ZipInfo(name), content)  # a fixed time, so that equal files make equal archives
    return buffer.getvalue()


def recipe(name: str, version: str = "1.0.0", **changes: Any) -> dict[str, Any]:
    """A recipe that runs nothing."""
    return {
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": name,
        "ComponentVersion": version,
        "Manifests": [{"Platform": LINUX, "Lifecycle": {}}],
    } | changes


class Fleet:
    """The devices of one account, and what makes them work."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.greengrass, self.s3, self.iot = (account.client(name) for name in ("greengrassv2", "s3", "iot"))
        self.s3.create_bucket(Bucket=BUCKET)
        self.iot.create_role_alias(roleAlias="exchange", roleArn=make_role(account, "exchange"))
        free = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
        self.iot.create_policy(policyName="device", policyDocument=json.dumps(free))

    # ---- Components --------------------------------------------------------------------------------------------------

    def artifact(self, files: Mapping[str, str], key: str = "") -> str:
        """The URI of a new archive."""
        key = key or f"{any_name('artifact')}.zip"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=archive(files))
        return f"s3://{BUCKET}/{key}"

    def create(self, document: Mapping[str, Any]) -> str:
        """The ARN of a new component version, once it is DEPLOYABLE."""
        arn: str = self.greengrass.create_component_version(inlineRecipe=json.dumps(document))["arn"]
        while self.greengrass.describe_component(arn=arn)["status"]["componentState"] != "DEPLOYABLE":
            time.sleep(0.05)
        return arn

    def component(self, name: str, version: str = "1.0.0", *, run: str = "sleep 600", **manifest: Any) -> str:
        """A component that runs one line on any Linux; the ARN of the version."""
        made = {"Platform": LINUX, "Lifecycle": {"run": run}} | manifest
        return self.create(recipe(name, version, Manifests=[made]))

    # ---- Groups, deployments, devices --------------------------------------------------------------------------------

    def group(self) -> str:
        """The ARN of a new thing group."""
        arn: str = self.iot.create_thing_group(thingGroupName=any_name("group"))["thingGroupArn"]
        return arn

    def deploy(self, target: str, components: Mapping[str, str], **request: Any) -> str:
        """The id of a new deployment."""
        asked = {name: {"componentVersion": version} for name, version in components.items()}
        made = self.greengrass.create_deployment(targetArn=target, components=asked, **request)
        return str(made["deploymentId"])

    @contextmanager
    def device(self, *groups: str, settle_seconds: float = 0.15, **platform: str) -> Iterator[CoreDevice]:
        """A running device of these groups (ARNs)."""
        device = self.provision(*groups, settle_seconds=settle_seconds, **platform)
        with device:
            yield device

    def provision(self, *groups: str, settle_seconds: float = 0.15, **platform: str) -> CoreDevice:
        names = [arn.rpartition("/")[2] for arn in groups]
        return provision(
            self.account.state, any_name("reef"), groups=names, platform=platform, settle_seconds=settle_seconds
        )

    def effective(self, device: CoreDevice, deployment_id: str) -> dict[str, Any]:
        answer = self.greengrass.list_effective_deployments(coreDeviceThingName=device.thing)
        found = [each for each in answer["effectiveDeployments"] if each["deploymentId"] == deployment_id]
        return dict(found[0])

    def installed(self, device: CoreDevice) -> dict[str, tuple[str, str]]:
        """Version and lifecycle state of each component that the device reports."""
        answer = self.greengrass.list_installed_components(coreDeviceThingName=device.thing, topologyFilter="ALL")
        return {
            each["componentName"]: (each["componentVersion"], each["lifecycleState"])
            for each in answer["installedComponents"]
        }


# ---- What a component left in its folder: it may run before the first command of its script has --------------------


def work(device: CoreDevice, component: str) -> Path:
    return device.root / "work" / component


def lines(device: CoreDevice, component: str, file: str) -> list[str]:
    """What the component's scripts have written to a file by now."""
    path = work(device, component) / file
    return path.read_text().splitlines() if path.exists() else []


def written(device: CoreDevice, component: str, file: str, count: int = 1) -> list[str]:
    """The lines of the file once there are so many; all of them, if there are more."""
    eventually(lambda: len(lines(device, component, file)) >= count)
    return lines(device, component, file)


def starts(device: CoreDevice, component: str) -> int:
    """How often a script has said TELL."""
    return len(lines(device, component, "starts"))


def environment(device: CoreDevice, component: str) -> dict[str, str]:
    """What a script that says TELL found in its environment when it last started."""
    eventually(lambda: starts(device, component) > 0)
    return dict(line.split("=", 1) for line in lines(device, component, "env") if "=" in line)


@contextmanager
def opened(folder: Path) -> Iterator[Fleet]:
    with Account(folder) as account:
        yield Fleet(account)
