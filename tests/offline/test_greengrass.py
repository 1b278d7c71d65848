"""Greengrass V2 offline: what the service takes, refuses and remembers."""

import json
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from offline.device.versions import satisfies
from offline.services.greengrassv2 import records
from tests.offline.fleet import BUCKET, Fleet, any_name, archive, opened, recipe


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with opened(tmp_path_factory.mktemp("account")) as fleet:
        yield fleet


def refusal(code: str, message: str = "") -> Any:
    return pytest.raises(ClientError, match=rf"\({code}\).*{message}")


# ---- Components ------------------------------------------------------------------------------------------------------


def test_a_new_version_is_requested_first_and_deployable_soon(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(records, "DEPLOYABLE_AFTER", timedelta(hours=1))
        made = fleet.greengrass.create_component_version(inlineRecipe=json.dumps(recipe(any_name("c"))))
        assert made["status"]["componentState"] == "REQUESTED"
        assert fleet.greengrass.describe_component(arn=made["arn"])["status"]["componentState"] == "REQUESTED"
    arn = fleet.create(recipe(any_name("c")))
    assert fleet.greengrass.describe_component(arn=arn)["status"]["componentState"] == "DEPLOYABLE"


def test_a_version_cannot_be_created_twice(fleet: Fleet) -> None:
    document = recipe(any_name("c"))
    fleet.create(document)
    with refusal("ConflictException", "already exists"):
        fleet.create(document)


def test_a_deleted_version_can_be_created_again(fleet: Fleet) -> None:
    document = recipe(any_name("c"))
    fleet.greengrass.delete_component(arn=fleet.create(document))
    fleet.create(document)


def test_the_same_client_token_gets_the_same_answer(fleet: Fleet) -> None:
    text = json.dumps(recipe(any_name("c")))
    first = fleet.greengrass.create_component_version(inlineRecipe=text, clientToken="a-token-of-its-own")
    again = fleet.greengrass.create_component_version(inlineRecipe=text, clientToken="a-token-of-its-own")
    assert first["arn"] == again["arn"]


def test_an_artifact_that_is_not_there_is_refused_as_the_service_refuses_it(fleet: Fleet) -> None:
    manifest = {"Platform": {"os": "linux"}, "Artifacts": [{"Uri": f"s3://{BUCKET}/nowhere.zip"}]}
    with refusal("ValidationException", "Specified artifact resource cannot be accessed"):
        fleet.create(recipe(any_name("c"), Manifests=[manifest]))


def test_the_recipe_comes_back_with_the_digest_of_its_artifact(fleet: Fleet) -> None:
    manifest = {"Platform": {"os": "linux"}, "Artifacts": [{"Uri": fleet.artifact({"a": "b"}), "Unarchive": "ZIP"}]}
    arn = fleet.create(recipe(any_name("c"), Manifests=[manifest]))
    answer = fleet.greengrass.get_component(arn=arn, recipeOutputFormat="JSON")
    artifact = json.loads(answer["recipe"])["Manifests"][0]["Artifacts"][0]
    assert artifact["Algorithm"] == "SHA-256"
    assert len(artifact["Digest"]) == 44


def test_an_artifact_can_be_fetched_through_the_service(fleet: Fleet) -> None:
    uri = fleet.artifact({"a": "b"})
    manifest = {"Platform": {"os": "linux"}, "Artifacts": [{"Uri": uri}]}
    arn = fleet.create(recipe(any_name("c"), Manifests=[manifest]))
    answer = fleet.greengrass.get_component_version_artifact(arn=arn, artifactName=uri.rpartition("/")[2])
    with urllib.request.urlopen(answer["preSignedUrl"]) as response:
        assert response.read() == archive({"a": "b"})


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "another format": ({"RecipeFormatVersion": "2021-01-01"}, "RecipeFormatVersion"),
    "no version": ({"ComponentVersion": ""}, "no ComponentVersion"),
    "a version of two parts": ({"ComponentVersion": "1.0"}, "semantic version"),
    "a version part of seven digits": ({"ComponentVersion": "1.0.1000000"}, "semantic version"),
    "a name with a blank": ({"ComponentName": "a b"}, "ComponentName"),
    "a key in lower case": ({"manifests": []}, "unknown key 'manifests'"),
    "a platform of numbers": ({"Manifests": [{"Platform": {"os": 1}}]}, "Platform"),
    "an archive that is no ZIP": (
        {"Manifests": [{"Artifacts": [{"Uri": "s3://bucket/a.tar.gz", "Unarchive": "TAR"}]}]},
        "Unarchive",
    ),
    "an artifact from elsewhere": ({"Manifests": [{"Artifacts": [{"Uri": "https://a.b/c"}]}]}, "s3://bucket/key"),
    "a dependency without a requirement": ({"ComponentDependencies": {"a": {}}}, "VersionRequirement"),
    "a dependency of another kind": (
        {"ComponentDependencies": {"a": {"VersionRequirement": "1.0.0", "DependencyType": "FIRM"}}},
        "DependencyType",
    ),
    "too many bytes": ({"ComponentDescription": "d" * 17_000}, "at most 16384"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_recipe_is_refused_with_its_reason(fleet: Fleet, name: str) -> None:
    changes, complaint = BROKEN[name]
    with refusal("ValidationException", complaint):
        fleet.create(recipe(any_name("c"), **changes))


def test_versions_are_listed_newest_first(fleet: Fleet) -> None:
    name = any_name("c")
    arns = [fleet.create(recipe(name, version)) for version in ("1.9.0", "1.10.0", "1.2.0")]
    component = arns[0].partition(":versions:")[0]
    answer = fleet.greengrass.list_component_versions(arn=component)["componentVersions"]
    assert [each["componentVersion"] for each in answer] == ["1.10.0", "1.9.0", "1.2.0"]
    listed = {each["componentName"]: each for each in fleet.greengrass.list_components()["components"]}
    assert listed[name]["latestVersion"]["componentVersion"] == "1.10.0"
    assert listed[name]["arn"] == component


def test_lists_come_in_pages(fleet: Fleet) -> None:
    name = any_name("c")
    arns = [fleet.create(recipe(name, f"1.{minor}.0")) for minor in range(3)]
    pages = fleet.greengrass.get_paginator("list_component_versions").paginate(
        arn=arns[0].partition(":versions:")[0], PaginationConfig={"PageSize": 2}
    )
    assert [len(page["componentVersions"]) for page in pages] == [2, 1]


def test_tags_are_kept(fleet: Fleet) -> None:
    arn = fleet.create(recipe(any_name("c")))
    fleet.greengrass.tag_resource(resourceArn=arn, tags={"project": "reefloop", "stage": "laptop"})
    fleet.greengrass.untag_resource(resourceArn=arn, tagKeys=["stage"])
    assert fleet.greengrass.list_tags_for_resource(resourceArn=arn)["tags"] == {"project": "reefloop"}


def test_what_does_not_exist_is_not_found(fleet: Fleet) -> None:
    arn = "arn:aws:greengrass:us-east-1:123456789012:components:nothing:versions:1.0.0"
    with refusal("ResourceNotFoundException"):
        fleet.greengrass.describe_component(arn=arn)
    with refusal("ResourceNotFoundException"):
        fleet.greengrass.get_core_device(coreDeviceThingName="nobody")
    with refusal("ResourceNotFoundException"):
        fleet.greengrass.get_deployment(deploymentId="nothing")


# ---- Deployments -----------------------------------------------------------------------------------------------------


def test_a_new_deployment_replaces_the_one_before(fleet: Fleet) -> None:
    group = fleet.group()
    first, second = fleet.deploy(group, {}), fleet.deploy(group, {})
    assert fleet.greengrass.get_deployment(deploymentId=first)["deploymentStatus"] == "INACTIVE"
    latest = fleet.greengrass.list_deployments(targetArn=group)["deployments"]
    assert [(each["deploymentId"], each["revisionId"]) for each in latest] == [(second, "2")]
    every = fleet.greengrass.list_deployments(targetArn=group, historyFilter="ALL")["deployments"]
    assert [each["isLatestForTarget"] for each in every] == [True, False]


def test_a_deployment_of_what_does_not_exist_is_refused(fleet: Fleet) -> None:
    with refusal("ResourceNotFoundException"):
        fleet.deploy(fleet.group(), {"nothing": "1.0.0"})
    with refusal("ResourceNotFoundException"):
        fleet.deploy("arn:aws:iot:us-east-1:123456789012:thinggroup/nobody", {})


def test_a_version_that_is_not_deployable_yet_is_refused(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "DEPLOYABLE_AFTER", timedelta(hours=1))
    name = any_name("c")
    fleet.greengrass.create_component_version(inlineRecipe=json.dumps(recipe(name)))
    with refusal("ValidationException", "not DEPLOYABLE"):
        fleet.deploy(fleet.group(), {name: "1.0.0"})


def test_an_active_deployment_must_be_canceled_before_it_is_deleted(fleet: Fleet) -> None:
    deployment = fleet.deploy(fleet.group(), {})
    with refusal("ConflictException", "cancel it"):
        fleet.greengrass.delete_deployment(deploymentId=deployment)
    fleet.greengrass.cancel_deployment(deploymentId=deployment)
    assert fleet.greengrass.get_deployment(deploymentId=deployment)["deploymentStatus"] == "CANCELED"
    fleet.greengrass.delete_deployment(deploymentId=deployment)
    with refusal("ResourceNotFoundException"):
        fleet.greengrass.get_deployment(deploymentId=deployment)


def test_a_deployment_tells_back_what_was_asked(fleet: Fleet) -> None:
    name = any_name("c")
    fleet.create(recipe(name))
    rollout = {"jobExecutionsRolloutConfig": {"maximumPerMinute": 5}}
    deployment = fleet.deploy(
        fleet.group(), {name: "1.0.0"}, deploymentName="canary", iotJobConfiguration=rollout, tags={"round": "r1"}
    )
    found = fleet.greengrass.get_deployment(deploymentId=deployment)
    assert found["components"][name]["componentVersion"] == "1.0.0"
    assert (found["deploymentName"], found["tags"]) == ("canary", {"round": "r1"})
    assert found["iotJobConfiguration"] == rollout


# ---- Version requirements --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requirement", "inside", "outside"),
    [
        ("1.2.3", ["1.2.3"], ["1.2.4", "1.2.2"]),
        ("=1.2.3", ["1.2.3"], ["1.2.4"]),
        (">=2.0.0 <3.0.0", ["2.0.0", "2.9.9"], ["3.0.0", "1.9.9"]),
        (">=2.0.0,<3.0.0", ["2.0.0"], ["3.0.0"]),
        ("^1.2.3", ["1.2.3", "1.9.0"], ["2.0.0", "1.2.2"]),
        ("^0.2.3", ["0.2.9"], ["0.3.0"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4"]),
        ("~1.2.3", ["1.2.9"], ["1.3.0"]),
        ("~1", ["1.9.0"], ["2.0.0"]),
        ("1.x", ["1.0.0", "1.9.9"], ["2.0.0"]),
        ("1.2", ["1.2.7"], ["1.3.0"]),
        ("*", ["0.0.1"], []),
        ("1.0.0 - 1.4.0", ["1.0.0", "1.4.0"], ["1.4.1"]),
        ("<1.0.0 || >=2.0.0", ["0.9.0", "2.1.0"], ["1.5.0"]),
    ],
)
def test_version_requirements_mean_what_they_mean_in_npm(
    requirement: str, inside: list[str], outside: list[str]
) -> None:
    assert all(satisfies(version, requirement) for version in inside)
    assert not any(satisfies(version, requirement) for version in outside)


def test_a_version_requirement_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="cannot read 'latest'"):
        satisfies("1.0.0", "latest")
