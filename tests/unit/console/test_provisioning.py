"""A device of the project: made, made again, changed over, undone; and what it may then do."""

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from console import provisioning
from console.cli import main
from console.errors import Failure, Refusal
from console.project import Project
from console.provisioning import installing
from console.provisioning.boards import Boards
from console.provisioning.policies import document
from offline.account import Account
from offline.device.certificate import Certificate
from settings import Settings
from tests.any import any_round, any_thing

SHARED = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "greengrass:*", "Resource": "*"}]}


@pytest.fixture
def project(account: Account) -> Project:
    """A deployed project, as far as devices know it."""
    iot, name = account.client("iot"), any_round()
    groups = {output: f"{output}-{name}" for output in ("BaseGroup", "CanaryGroup", "FleetGroup")}
    for group in groups.values():
        iot.create_thing_group(thingGroupName=group)
    iot.create_policy(policyName=f"shared-{name}", policyDocument=json.dumps(SHARED))
    return Project({"deployment": {**groups, "IotPolicy": f"shared-{name}", "RoleAlias": f"alias-{name}"}})


def add(account: Account, project: Project, thing: str, folder: Path, group: str = "fleet") -> provisioning.Identity:
    return provisioning.add(account.client, project, thing, group=group, folder=folder)


def groups(account: Account, thing: str) -> set[str]:
    found = account.client("iot").list_thing_groups_for_thing(thingName=thing)["thingGroups"]
    return {group["groupName"].split("-")[0] for group in found}


def policies(account: Account, identity: provisioning.Identity) -> set[str]:
    found = account.client("iot").list_attached_policies(target=identity.certificate_arn)["policies"]
    return {policy["policyName"] for policy in found}


def everything(account: Account) -> Mapping[str, list[Any]]:
    """Things, certificates and policies of the account."""
    iot = account.client("iot")
    listed = (("things", "thingName"), ("certificates", "certificateId"), ("policies", "policyName"))
    return {
        kind: sorted(one[name] for page in iot.get_paginator(f"list_{kind}").paginate() for one in page[kind])
        for kind, name in listed
    }


# ---- Made ------------------------------------------------------------------------------------------------------------


def test_a_device_has_a_certificate_its_groups_the_shared_policy_and_one_of_its_own(
    account: Account, project: Project, tmp_path: Path
) -> None:
    thing = any_thing()
    identity = add(account, project, thing, tmp_path)
    assert account.client("iot").list_thing_principals(thingName=thing)["principals"] == [identity.certificate_arn]
    assert groups(account, thing) == {"BaseGroup", "FleetGroup"}
    assert policies(account, identity) == {project.output("deployment", "IotPolicy"), f"reefloop-{thing}"}


def test_a_device_speaks_and_hears_under_its_own_name_alone(account: Account, project: Project, tmp_path: Path) -> None:
    mine, other = any_thing(), any_thing()
    permits = Certificate(account.state, add(account, project, mine, tmp_path).certificate_arn)
    for kind in ("alert", "health", "summary"):
        assert permits("iot:Publish", f"topic/reefloop/{mine}/{kind}")
        assert not permits("iot:Publish", f"topic/reefloop/{other}/{kind}")
    assert permits("iot:Subscribe", f"topicfilter/reefloop/{mine}/ack")
    assert permits("iot:Receive", f"topic/reefloop/{mine}/ack")
    assert not permits("iot:Publish", f"topic/reefloop/{mine}/ack")
    assert not permits("iot:Subscribe", f"topicfilter/reefloop/{other}/ack")
    assert not permits("iot:Subscribe", "topicfilter/reefloop/+/ack")


@pytest.mark.parametrize("other", ["{}0", "x{}", "else"])
def test_a_device_is_the_core_device_of_its_own_name_alone(
    account: Account, project: Project, tmp_path: Path, other: str
) -> None:
    mine = any_thing()
    permits = Certificate(account.state, add(account, project, mine, tmp_path).certificate_arn)
    for thing, may in ((mine, True), (other.format(mine), False)):
        assert permits("iot:Connect", f"client/{thing}") == permits("iot:Connect", f"client/{thing}#2") == may
        for name in ("jobs/notify-next", "shadow/name/AWSManagedGreengrassV2Deployment/update"):
            assert permits("iot:Publish", f"topic/$aws/things/{thing}/{name}") == may
            assert permits("iot:Receive", f"topic/$aws/things/{thing}/{name}") == may
            assert permits("iot:Subscribe", f"topicfilter/$aws/things/{thing}/{name}") == may
        for service in ("greengrass", "greengrassv2"):
            assert permits("iot:Publish", f"topic/$aws/things/{thing}/{service}/health/json") == may


def test_the_policy_of_the_longest_name_is_one_that_iot_takes() -> None:
    wanted = document("r" * 100, iot_arn="arn:aws-us-gov:iot:us-gov-west-1:123456789012")
    assert len(json.dumps(wanted, separators=(",", ":"))) <= 2048  # white space does not count


def test_nobody_else_can_read_the_key(account: Account, project: Project, tmp_path: Path) -> None:
    identity = add(account, project, any_thing(), tmp_path / "new")
    assert "PRIVATE KEY" in identity.key.read_text()
    assert {stat.S_IMODE(path.stat().st_mode) for path in identity.folder.iterdir()} == {0o600}


def test_made_again_it_is_as_it_was(account: Account, project: Project, tmp_path: Path) -> None:
    thing = any_thing()
    first = add(account, project, thing, tmp_path)
    key, before = first.key.read_bytes(), everything(account)
    second = add(account, project, thing, tmp_path)
    assert (second.certificate_arn, second.key.read_bytes()) == (first.certificate_arn, key)
    assert everything(account) == before


@pytest.mark.parametrize(
    "step", ["attach_policy", "create_policy", "attach_thing_principal", "add_thing_to_thing_group"]
)
def test_what_was_broken_off_is_finished(
    account: Account, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    thing, iot = any_thing(), account.client("iot")
    with monkeypatch.context() as patch:
        patch.setattr(iot, step, lambda **_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            add(account, project, thing, tmp_path)
    before = len(everything(account)["certificates"])
    identity = add(account, project, thing, tmp_path)
    assert len(everything(account)["certificates"]) == before
    assert iot.list_thing_principals(thingName=thing)["principals"] == [identity.certificate_arn]
    assert groups(account, thing) == {"BaseGroup", "FleetGroup"}


def test_a_thing_with_attributes_of_somebodys_is_there_already(
    account: Account, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing, iot = any_thing(), account.client("iot")
    add(account, project, thing, tmp_path, "canary")

    def exists(**_: str) -> None:
        raise ClientError({"Error": {"Code": "ResourceAlreadyExistsException", "Message": ""}}, "CreateThing")

    monkeypatch.setattr(iot, "create_thing", exists)
    add(account, project, thing, tmp_path, "fleet")
    assert groups(account, thing) == {"BaseGroup", "FleetGroup"}


def test_a_device_changes_from_one_group_to_the_other(account: Account, project: Project, tmp_path: Path) -> None:
    thing = any_thing()
    add(account, project, thing, tmp_path, "canary")
    assert groups(account, thing) == {"BaseGroup", "CanaryGroup"}
    add(account, project, thing, tmp_path, "fleet")
    assert groups(account, thing) == {"BaseGroup", "FleetGroup"}


def test_a_policy_that_somebody_changed_is_as_it_should_be_again(
    account: Account, project: Project, tmp_path: Path
) -> None:
    thing, iot = any_thing(), account.client("iot")
    for _ in range(3):
        permits = Certificate(account.state, add(account, project, thing, tmp_path).certificate_arn)
        assert not permits("iot:Publish", "topic/anything")
        free = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
        while len(iot.list_policy_versions(policyName=f"reefloop-{thing}")["policyVersions"]) < 5:  # there is no sixth
            iot.create_policy_version(
                policyName=f"reefloop-{thing}", policyDocument=json.dumps(free), setAsDefault=True
            )
        assert permits("iot:Publish", "topic/anything")


# ---- Refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "reef 1", "reef:1", "reef/1", "+", "#", "r" * 101, "räf"])
def test_a_name_that_topics_policies_or_core_devices_cannot_have_is_refused(
    account: Account, project: Project, tmp_path: Path, name: str
) -> None:
    with pytest.raises(Refusal, match="letters, digits, hyphens and underscores"):
        add(account, project, name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_second_certificate_is_not_made_for_want_of_the_key(
    account: Account, project: Project, tmp_path: Path
) -> None:
    thing = any_thing()
    add(account, project, thing, tmp_path / "first")
    with pytest.raises(Refusal, match=r"name its folder with --out, or remove the device first"):
        add(account, project, thing, tmp_path / "second")


def test_the_key_of_another_device_is_not_written_over(account: Account, project: Project, tmp_path: Path) -> None:
    first = add(account, project, any_thing(), tmp_path)
    key = first.key.read_bytes()
    with pytest.raises(Refusal, match="has the key of another device"):
        add(account, project, any_thing(), tmp_path)
    assert first.key.read_bytes() == key


@pytest.mark.parametrize("place", ["eu-north-1:123456789012", "us-east-1:210987654321"])
def test_the_key_of_a_device_of_another_account_or_region_is_not_written_over(
    account: Account, project: Project, tmp_path: Path, place: str
) -> None:
    thing = any_thing()
    for name in ("key.pem", "certificate.pem"):
        (tmp_path / name).write_text("the only one")
    (tmp_path / "certificate-arn.txt").write_text(f"arn:aws:iot:{place}:cert/{'7' * 64}")
    before = everything(account)["certificates"]
    with pytest.raises(Refusal, match="has the key of another device"):
        add(account, project, thing, tmp_path)
    assert (tmp_path / "key.pem").read_text() == "the only one"
    assert everything(account)["certificates"] == before


def test_a_key_of_which_nobody_knows_whose_it_is_is_not_written_over(
    account: Account, project: Project, tmp_path: Path
) -> None:
    (tmp_path / "key.pem").write_text("the only one")
    with pytest.raises(Refusal, match="has the key of another device"):
        add(account, project, any_thing(), tmp_path)
    assert (tmp_path / "key.pem").read_text() == "the only one"


def test_where_no_folder_can_be_no_certificate_is_made(account: Account, project: Project, tmp_path: Path) -> None:
    before = everything(account)["certificates"]
    (tmp_path / "file").touch()
    with pytest.raises(Refusal, match="file/reef cannot be made"):
        add(account, project, any_thing(), tmp_path / "file" / "reef")
    assert everything(account)["certificates"] == before


def test_without_a_deployment_stack_no_device_can_be_made(account: Account, tmp_path: Path) -> None:
    with pytest.raises(Failure, match="make deploy"):
        add(account, Project({}), any_thing(), tmp_path)


# ---- Undone ----------------------------------------------------------------------------------------------------------


def test_removed_nothing_of_it_is_left(account: Account, project: Project, tmp_path: Path) -> None:
    before, thing = everything(account), any_thing()
    identity = add(account, project, thing, tmp_path)
    told = list(provisioning.remove(account.client, project, thing))
    assert told == [
        f"deleted certificate {identity.certificate_arn.rpartition('/')[2][:12]}…",
        f"deleted policy reefloop-{thing}",
        f"deleted core device and thing {thing}",
    ]
    assert everything(account) == before


STEPS_OF_REMOVAL = [
    "detach_policy",
    "update_certificate",
    "detach_thing_principal",
    "list_targets_for_policy",
    "delete_policy",
    "remove_thing_from_thing_group",
]


@pytest.mark.parametrize("step", STEPS_OF_REMOVAL)
def test_a_removal_that_was_broken_off_is_finished(
    account: Account, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before, thing, iot = everything(account), any_thing(), account.client("iot")
    add(account, project, thing, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(iot, step, lambda **_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            list(provisioning.remove(account.client, project, thing))
    list(provisioning.remove(account.client, project, thing))
    assert everything(account) == before


def test_a_certificate_that_is_left_over_can_do_nothing(
    account: Account, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing, iot = any_thing(), account.client("iot")
    identity = add(account, project, thing, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(iot, "delete_certificate", lambda **_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            list(provisioning.remove(account.client, project, thing))
    assert policies(account, identity) == set()
    left = identity.certificate_arn
    assert add(account, project, thing, tmp_path).certificate_arn != left, "it is not active"


def test_what_is_seen_as_attached_for_a_while_is_deleted_after_it(
    account: Account, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, thing, iot = everything(account), any_thing(), account.client("iot")
    add(account, project, thing, tmp_path)
    pauses: list[float] = []
    # Not that of the whole process: other threads pause too.
    monkeypatch.setattr("console.provisioning.gone.time", SimpleNamespace(sleep=pauses.append))

    def refuse_twice(name: str, code: str) -> None:
        real, refusals = getattr(iot, name), [ClientError({"Error": {"Code": code, "Message": ""}}, name)] * 2

        def slow(**arguments: str) -> None:
            if refusals:
                raise refusals.pop()
            real(**arguments)

        monkeypatch.setattr(iot, name, slow)

    refuse_twice("delete_certificate", "DeleteConflictException")
    refuse_twice("delete_policy", "DeleteConflictException")
    refuse_twice("delete_thing", "InvalidRequestException")
    list(provisioning.remove(account.client, project, thing))
    assert everything(account) == before
    assert pauses == [1, 2] * 3


def test_removed_it_can_be_made_anew_with_the_same_folder(account: Account, project: Project, tmp_path: Path) -> None:
    thing = any_thing()
    first = add(account, project, thing, tmp_path).certificate_arn
    list(provisioning.remove(account.client, project, thing))
    assert add(account, project, thing, tmp_path).certificate_arn != first


def test_a_thing_that_is_somebody_elses_too_loses_the_projects_rights_alone(
    account: Account, project: Project, tmp_path: Path
) -> None:
    thing, iot, theirs = any_thing(), account.client("iot"), any_round()
    identity = add(account, project, thing, tmp_path)
    iot.create_thing_group(thingGroupName=theirs)
    iot.add_thing_to_thing_group(thingGroupName=theirs, thingName=thing)
    iot.create_policy(policyName=f"of-{theirs}", policyDocument=json.dumps(SHARED))
    iot.attach_policy(policyName=f"of-{theirs}", target=identity.certificate_arn)
    list(provisioning.remove(account.client, project, thing))
    assert policies(account, identity) == {f"of-{theirs}"}
    assert iot.list_thing_principals(thingName=thing)["principals"] == [identity.certificate_arn]


def test_what_is_no_device_of_the_project_is_left_alone(account: Account, project: Project) -> None:
    lamp = any_thing()
    account.client("iot").create_thing(thingName=lamp)
    for name in (lamp, any_thing()):
        with pytest.raises(Refusal, match=f"is called '{name}': `python -m console report --devices`"):
            list(provisioning.remove(account.client, project, name))
    assert lamp in everything(account)["things"]


# ---- On the device ---------------------------------------------------------------------------------------------------


def test_both_nuclei_get_a_configuration_with_the_accounts_endpoints(
    account: Account, project: Project, tmp_path: Path
) -> None:
    thing = any_thing()
    told = installing.prepare(account.client, project, thing, add(account, project, thing, tmp_path))
    for file, nucleus in (("classic.yaml", "aws.greengrass.Nucleus"), ("lite.yaml", "aws.greengrass.NucleusLite")):
        document = yaml.safe_load((tmp_path / file).read_text())
        assert document["system"]["thingName"] == thing
        root = document["system"]["privateKeyPath"].removesuffix("/identity/key.pem")
        assert f"sudo install -d -m 700 {'-o ggcore -g ggcore ' if 'Lite' in nucleus else ''}{root}/identity" in told
        configuration = document["services"][nucleus]["configuration"]
        assert configuration["awsRegion"] == "us-east-1"
        assert configuration["iotRoleAlias"] == project.output("deployment", "RoleAlias")
        assert configuration["iotDataEndpoint"].endswith("-ats.iot.us-east-1.amazonaws.com")
        assert configuration["iotCredEndpoint"].endswith(".credentials.iot.us-east-1.amazonaws.com")
    assert "$" not in (tmp_path / "lite.yaml").read_text()


@pytest.fixture
def endpoints(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of an account never change; moto makes them anew for each question."""
    monkeypatch.setattr(account.client("iot"), "describe_endpoint", lambda endpointType: {"endpointAddress": "there"})


@pytest.mark.usefixtures("endpoints")
def test_nucleus_classic_says_which_board_it_is_on_and_lite_is_configured_as_ever(
    account: Account, project: Project, tmp_path: Path
) -> None:
    thing = any_thing()
    identity = add(account, project, thing, tmp_path)
    installing.prepare(account.client, project, thing, identity)
    lite = (tmp_path / "lite.yaml").read_text()
    installing.prepare(account.client, project, thing, identity, board="raspberry-pi-4")
    services = yaml.safe_load((tmp_path / "classic.yaml").read_text())["services"]
    configuration = services["aws.greengrass.Nucleus"]["configuration"]
    assert configuration["platformOverride"] == {"board": "raspberry-pi-4"}
    assert configuration["awsRegion"] == "us-east-1"
    assert (tmp_path / "lite.yaml").read_text() == lite


@pytest.mark.usefixtures("endpoints")
def test_a_configuration_that_somebody_edited_is_set_aside_and_told_of(
    account: Account, project: Project, tmp_path: Path
) -> None:
    thing, classic = any_thing(), tmp_path / "classic.yaml"
    identity = add(account, project, thing, tmp_path)
    installing.prepare(account.client, project, thing, identity)
    made = classic.read_text()
    assert ".old" not in installing.prepare(account.client, project, thing, identity)
    classic.write_text(f"{made}# mine\n")
    told = installing.prepare(account.client, project, thing, identity)
    assert "classic.yaml was another: that is classic.yaml.old now" in told
    assert (classic.read_text(), (tmp_path / "classic.yaml.old").read_text()) == (made, f"{made}# mine\n")


def boards(*targets: str) -> Boards:
    return Boards.of(Settings.model_validate({"stage": "sandbox", "compilation": {"targets": targets}}))


def test_a_board_that_no_target_is_for_is_refused_with_those_that_have_one() -> None:
    found = boards("raspberry-pi-4", "linux-arm64", "imx8mplus")
    found.check("imx8mplus")
    with pytest.raises(Refusal, match=r"'pi-5' in compilation.targets: it has some for raspberry-pi-4, imx8mplus; a"):
        found.check("pi-5")
    with pytest.raises(Refusal, match="it has none for any board; a device that names no board gets the model for lin"):
        boards("linux-arm64", "android-arm64").check("raspberry-pi-4")


@pytest.mark.parametrize(
    ("targets", "board", "then"),
    [
        (("raspberry-pi-4", "linux-arm64"), "raspberry-pi-4", "gets the model for linux aarch64"),
        (
            ("raspberry-pi-4", "linux-x86_64"),
            "raspberry-pi-4",
            "gets no model: none of the targets is for linux aarch64 alone",
        ),
        (("raspberry-pi-4",), "", "gets no model: none of the targets is for an architecture alone"),
        (("linux-x86_64", "linux-arm64"), "", "gets the model for linux aarch64 or linux amd64"),
    ],
)
def test_what_a_device_gets_that_names_no_board(targets: tuple[str, ...], board: str, then: str) -> None:
    assert boards(*targets).without(board) == then


def test_the_command_tells_what_to_do_and_never_the_key(
    account: Account,
    project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    thing = any_thing()
    monkeypatch.setattr("console.commands.device.clients", lambda _: account.client)
    monkeypatch.setattr("console.commands.device.Project.find", lambda _: project)
    assert main(["device", "add", thing, "--group", "canary", "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert f"{thing} is a device of the canary group" in told
    assert "--init-config classic.yaml" in told
    assert "--board names its board, which can be raspberry-pi-4, " in told
    assert "BEGIN" not in told
    assert main(["device", "add", thing, "--group", "canary", "--out", str(tmp_path), "--board", "imx8mplus"]) == 0
    assert "nucleus lite cannot say which board it is on: with it, the device gets the model" in capsys.readouterr().out
    assert main(["device", "remove", thing]) == 0
    assert f"deleted core device and thing {thing}" in capsys.readouterr().out
    assert main(["device", "remove", thing]) == 2
    assert main(["device", "add", "not/possible", "--group", "fleet"]) == 2
    capsys.readouterr()
    assert main(["device", "add", thing, "--group", "fleet", "--board", "pi-5"]) == 2
    assert "no target for board 'pi-5'" in capsys.readouterr().err
    assert thing not in everything(account)["things"], "nothing was made"
