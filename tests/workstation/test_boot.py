"""The deployed machine makes itself what the deployment says, and stops when it cannot."""

import base64
import io
import json
import os
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from offline.account import Account
from stacks.workstation import FILES
from tests.offline.stack_driver import Stacks
from tests.stacks.conftest import Templates
from tests.workstation.commands import Commands

STACK = "reefloop-workstation"
BUCKET = "cdk-hnb659fds-assets-123456789012-us-east-1"


@dataclass(frozen=True)
class Deployed:
    """The workstation of one deployment."""

    account: Account
    stacks: Stacks
    template: dict[str, Any]

    @property
    def instance(self) -> dict[str, Any]:
        id_ = self.stacks.describe(STACK)["Values"]["Instance"]
        found = self.account.client("ec2").describe_instances(InstanceIds=[id_])
        instance: dict[str, Any] = found["Reservations"][0]["Instances"][0]
        return instance

    @property
    def user_data(self) -> str:
        answer = self.account.client("ec2").describe_instance_attribute(
            InstanceId=self.instance["InstanceId"], Attribute="userData"
        )
        return base64.b64decode(answer["UserData"]["Value"]).decode()

    def create(self) -> None:
        made = self.stacks.create(STACK, self.template["Resources"], Outputs=self.template["Outputs"])
        assert made["StackStatus"] == "CREATE_COMPLETE", self.stacks.failures(STACK)

    def update(self, template: dict[str, Any]) -> None:
        self.stacks.update(STACK, template["Resources"], Outputs=template["Outputs"])


@pytest.fixture(scope="module")
def deployed(account: Account, configured: Callable[[str], Templates]) -> Iterator[Deployed]:
    """The three stacks that it takes, made through CloudFormation as the CDK CLI would."""
    templates = configured("workstation")
    publish(account, templates["workstation"])
    stacks = Stacks(account)
    for name in ("storage", "jobs"):
        stack = f"reefloop-{name}"
        made = stacks.create(stack, templates[name]["Resources"], Outputs=templates[name]["Outputs"])
        assert made["StackStatus"] == "CREATE_COMPLETE", stacks.failures(stack)
    workstation = Deployed(account, stacks, templates["workstation"])
    workstation.create()
    yield workstation
    stacks.end()


def publish(account: Account, template: dict[str, Any]) -> None:
    """Put the folder workstation/ where the template says that it is."""
    s3 = account.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(FILES.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(FILES))
    (key,) = {word for word in json.dumps(template).replace("/", '"').split('"') if word.endswith(".zip")}
    s3.put_object(Bucket=BUCKET, Key=key, Body=packed.getvalue())


@pytest.fixture
def machine(aws: Account, commands: Commands, tmp_path: Path) -> Path:
    """The root of a machine's disk. The commands that would touch the one that the tests run on only note it."""
    for name in ("shutdown", "systemctl"):
        commands.add(name)
    return tmp_path / "disk"


def start(deployed: Deployed, machine: Path) -> "subprocess.CompletedProcess[str]":
    """What cloud-init does: the user data once, the scripts per boot always."""
    per_boot = machine / "var/lib/cloud/scripts/per-boot/reefloop"
    script = per_boot if per_boot.exists() else machine.with_name("user-data")
    if script != per_boot:
        script.write_text(deployed.user_data)
        script.chmod(0o755)
    environment = {**os.environ, "DESTDIR": str(machine)}
    return subprocess.run([script], env=environment, capture_output=True, text=True, check=False)


def test_the_machine_is_what_the_settings_say(deployed: Deployed) -> None:
    instance = deployed.instance
    assert instance["InstanceType"] == "g5.xlarge"
    assert instance["ImageId"].startswith("resolve:ssm:/aws/service/deeplearning/ami/")
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    assert "KeyName" not in instance
    assert deployed.user_data.endswith((FILES / "boot.sh").read_text().partition("\n")[2])


def test_its_first_start_installs_the_files_and_the_watch(
    deployed: Deployed, machine: Path, commands: Commands
) -> None:
    started = start(deployed, machine)
    assert started.returncode == 0, started.stderr
    installed = machine / "opt/reefloop/workstation"
    assert {path.name: path.read_bytes() for path in FILES.glob("*.py")} == {
        path.name: path.read_bytes() for path in installed.glob("*.py")
    }
    settings = json.loads((machine / "opt/reefloop/settings.json").read_text())
    repository = deployed.stacks.describe("reefloop-jobs")["Values"]["Repository"]
    assert f".dkr.ecr.us-east-1.amazonaws.com/{repository}:" in settings["image_uri"]
    assert settings["idle_minutes"] == 60
    assert (machine / "usr/local/bin/reefloop").readlink() == Path("/opt/reefloop/workstation/reefloop")
    assert os.access(installed / "reefloop", os.X_OK)
    assert {path.name for path in (machine / "etc/systemd/system").iterdir()} == {
        "reefloop-idle.service",
        "reefloop-idle.timer",
    }
    assert commands.calls("systemctl") == ["daemon-reload", "enable --now reefloop-idle.timer"]


def test_until_it_watches_itself_it_is_going_to_stop(deployed: Deployed, machine: Path, commands: Commands) -> None:
    start(deployed, machine)
    assert commands.order()[0] == "shutdown"
    first, last = commands.calls("shutdown")
    assert first.startswith("-h +60 ")
    assert last == "-c"


def test_a_machine_that_cannot_be_set_up_stops(deployed: Deployed, machine: Path, commands: Commands) -> None:
    (commands.folder / "aws").unlink()
    commands.add("aws", "exit 255")
    assert start(deployed, machine).returncode != 0
    assert [call.split()[0] for call in commands.calls("shutdown")] == ["-h"]


def test_every_later_start_fetches_what_was_deployed_since(
    deployed: Deployed, machine: Path, commands: Commands
) -> None:
    start(deployed, machine)
    parameter = json.loads((machine / "opt/reefloop/settings.json").read_text())
    (name,) = [id_ for logical, id_ in deployed.stacks.ids(STACK).items() if "Settings" in logical]
    changed = {**parameter, "image_uri": "registry/jobs:later"}
    ssm = deployed.account.client("ssm")
    ssm.put_parameter(Name=name, Value=json.dumps(changed), Overwrite=True)
    (machine / "opt/reefloop/workstation/left-over.py").touch()
    started = start(deployed, machine)
    ssm.put_parameter(Name=name, Value=json.dumps(parameter), Overwrite=True)
    assert started.returncode == 0, started.stderr
    assert json.loads((machine / "opt/reefloop/settings.json").read_text())["image_uri"] == "registry/jobs:later"
    assert not (machine / "opt/reefloop/workstation/left-over.py").exists()
    assert len([call for call in commands.calls("shutdown") if call.startswith("-h")]) == 1


def test_a_deployment_of_another_container_leaves_the_machine_running(deployed: Deployed) -> None:
    before = deployed.instance
    changed = json.loads(json.dumps(deployed.template))
    (parameter,) = [one for one in changed["Resources"].values() if one["Type"] == "AWS::SSM::Parameter"]
    parameter["Properties"]["Value"] = '{"image_uri": "registry/jobs:later"}'
    deployed.update(changed)
    assert deployed.instance == before
    deployed.update(deployed.template)


def test_it_is_destroyed_with_its_stack_and_can_be_made_again(deployed: Deployed) -> None:
    ec2 = deployed.account.client("ec2")
    instance, network = deployed.instance["InstanceId"], deployed.instance["VpcId"]
    assert deployed.stacks.delete(STACK) == "DELETE_COMPLETE"
    (found,) = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    assert found["State"]["Name"] == "terminated"
    assert network not in [one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"]]
    deployed.create()
    assert deployed.instance["State"]["Name"] == "running"
