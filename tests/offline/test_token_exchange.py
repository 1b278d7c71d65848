"""The token exchange of a core device, asked by boto3's own container credentials provider."""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.error import HTTPError

import botocore.session
import pytest
from botocore.credentials import Credentials

from offline.device import CoreDevice
from tests.offline.fleet import (
    LINUX,
    TELL,
    Fleet,
    any_name,
    environment,
    eventually,
    opened,
    recipe,
    starts,
    work,
)

DEPENDENCY = {"aws.greengrass.TokenExchangeService": {"VersionRequirement": ">=2.0.0 <3.0.0", "DependencyType": "HARD"}}
ASKS = """#!/usr/bin/env python3
import boto3, json
print(json.dumps(boto3.client("sts").get_caller_identity()["Arn"]))
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with opened(tmp_path_factory.mktemp("account")) as fleet:
        yield fleet


def asking(fleet: Fleet, run: str, *uris: str) -> str:
    """A component that depends on the token exchange."""
    name = any_name("asking")
    artifacts = [{"Uri": uri, "Unarchive": "ZIP"} for uri in uris]
    manifest = {"Platform": LINUX, "Lifecycle": {"run": run}, "Artifacts": artifacts}
    fleet.create(recipe(name, ComponentDependencies=DEPENDENCY, Manifests=[manifest]))
    return name


@pytest.fixture(scope="module")
def deployed(fleet: Fleet) -> Iterator[tuple[CoreDevice, dict[str, str]]]:
    """A device, and the environment of its component that depends on the token exchange."""
    group, name = fleet.group(), asking(fleet, f"{TELL}; exec sleep 600")
    with fleet.device(group) as device:
        assert device.wait_for(fleet.deploy(group, {name: "1.0.0"})) == "SUCCEEDED"
        yield device, environment(device, name)


def provider(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> Credentials:
    """What boto3's chain finds in a component's environment."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    found = botocore.session.Session().get_credentials()
    assert found is not None
    assert found.method == "container-role"
    return found


def get(environment: Mapping[str, str], *, token: str | None = None) -> dict[str, str]:
    headers = {"Authorization": environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] if token is None else token}
    request = urllib.request.Request(environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers=headers)
    with urllib.request.urlopen(request) as answer:
        body: dict[str, str] = json.load(answer)
    return body


def test_a_component_that_depends_on_it_calls_aws_as_the_role_of_the_devices_certificate(fleet: Fleet) -> None:
    group = fleet.group()
    artifact = fleet.artifact({"asks.py": ASKS})
    folder = Path(artifact).stem
    name = asking(fleet, f'python3 "{{artifacts:decompressedPath}}{folder}/asks.py" > seen', artifact)
    with fleet.device(group) as device:
        assert device.wait_for(fleet.deploy(group, {name: "1.0.0"})) == "SUCCEEDED"
        eventually(lambda: fleet.installed(device)[name][1] == "FINISHED")
        arn = json.loads((work(device, name) / "seen").read_text())
    assert ":assumed-role/exchange/" in arn


def test_the_answer_has_an_end_as_the_role_alias_sets_it(
    deployed: tuple[CoreDevice, dict[str, str]], fleet: Fleet
) -> None:
    device, environment = deployed
    fleet.iot.update_role_alias(roleAlias="exchange", credentialDurationSeconds=900)
    device.exchange.forget()
    answer = get(environment)
    end = datetime.strptime(answer["Expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert timedelta(0) < end - datetime.now(UTC) <= timedelta(seconds=900)
    assert {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"} == answer.keys()


def test_credentials_that_still_last_are_given_again(deployed: tuple[CoreDevice, dict[str, str]]) -> None:
    _, environment = deployed
    assert get(environment) == get(environment)


def test_boto3_renews_by_itself_what_is_about_to_end(
    deployed: tuple[CoreDevice, dict[str, str]], fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, environment = deployed
    fleet.iot.update_role_alias(roleAlias="exchange", credentialDurationSeconds=900)  # boto3 renews at 15 minutes
    device.exchange.forget()
    credentials = provider(monkeypatch, environment)
    first = credentials.get_frozen_credentials()
    assert credentials.get_frozen_credentials() == first
    device.exchange.forget()
    assert credentials.get_frozen_credentials().access_key != first.access_key


def test_nobody_without_a_token_of_the_device_gets_credentials(deployed: tuple[CoreDevice, dict[str, str]]) -> None:
    _, environment = deployed
    for token in ("", "guessed"):
        with pytest.raises(HTTPError, match="403"):
            get(environment, token=token)
    with pytest.raises(HTTPError, match="404"):
        get({**environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{_base(environment)}/elsewhere"})


def test_nothing_is_exchanged_while_the_link_is_down(deployed: tuple[CoreDevice, dict[str, str]]) -> None:
    device, environment = deployed
    device.link.cut()
    with pytest.raises(HTTPError, match="500"):
        get(environment)
    device.link.restore()
    assert get(environment)


def test_a_certificate_that_was_revoked_is_exchanged_no_more(fleet: Fleet) -> None:
    group, name = fleet.group(), asking(fleet, f"{TELL}; exec sleep 600")
    with fleet.device(group) as device:
        device.wait_for(fleet.deploy(group, {name: "1.0.0"}))
        told = environment(device, name)
        (principal,) = fleet.iot.list_thing_principals(thingName=device.thing)["principals"]
        fleet.iot.update_certificate(certificateId=principal.rpartition("/")[2], newStatus="REVOKED")
        device.exchange.forget()
        with pytest.raises(HTTPError, match="403"):
            get(told)


def test_a_token_dies_with_the_nucleus_that_gave_it(fleet: Fleet) -> None:
    group, name = fleet.group(), asking(fleet, f"{TELL}; exec sleep 600")
    device = fleet.provision(group)
    with device:
        device.wait_for(fleet.deploy(group, {name: "1.0.0"}))
        before = environment(device, name)
    with device:
        device.wait_for(fleet.deploy(group, {name: "1.0.0"}))
        eventually(lambda: starts(device, name) == 2)
        after = environment(device, name)
        assert get(after)
        with pytest.raises(HTTPError, match="403"):
            get(after, token=before["AWS_CONTAINER_AUTHORIZATION_TOKEN"])


def _base(environment: Mapping[str, str]) -> str:
    return environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"].rpartition("/2016")[0]


def test_a_device_whose_certificate_was_revoked_cannot_fetch_artifacts(fleet: Fleet) -> None:
    group = fleet.group()
    name = asking(fleet, "sleep 600", fleet.artifact({"a": "b"}))
    with fleet.device(group) as device:
        (principal,) = fleet.iot.list_thing_principals(thingName=device.thing)["principals"]
        fleet.iot.update_certificate(certificateId=principal.rpartition("/")[2], newStatus="REVOKED")
        deployment = fleet.deploy(group, {name: "1.0.0"})
        assert device.wait_for(deployment) == "FAILED"
        assert "only an ACTIVE one is exchanged" in fleet.effective(device, deployment)["reason"]
