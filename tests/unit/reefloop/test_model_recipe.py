import base64
import hashlib
import json
from contextlib import suppress
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefloop import contracts
from reefloop.compilation.targets import TARGETS
from reefloop.deployment import recipe
from reefloop.deployment.recipe import NothingToDeploy, PackageInvalid, RecipeTooLarge
from reefloop.payloads import Package
from tests.any import any_package
from tests.edge.recipe_rules import violations


def package(target: str, *, version: str = "v", size_bytes: int = 1) -> Package:
    return any_package(target, key=contracts.package_key(version, target, "0a1b"), bytes=size_bytes)


def replaced(like: str, **fields: Any) -> Package:
    """The package of a target that the table does not have."""
    return cast(Package, {**package(like), **fields})


def render(packages: list[Package], bucket: str = "artifact-bucket") -> dict[str, Any]:
    return recipe.render(model_version="v", component_version="1.1.0", packages=packages, bucket=bucket)


def delivered(made: dict[str, Any]) -> dict[str, Any]:
    """The recipe as devices get it: with what the service computes of each artifact."""
    digest = base64.b64encode(hashlib.sha256().digest()).decode()
    for manifest in made["Manifests"]:
        for artifact in manifest["Artifacts"]:
            artifact |= {"Digest": digest, "Algorithm": "SHA-256"}
    return made


GREENGRASS = [name for name, target in TARGETS.items() if target.greengrass]


@given(names=st.permutations(GREENGRASS))
def test_the_manifest_of_a_board_stands_before_its_architecture(names: list[str]) -> None:
    sizes = [len(manifest["Platform"]) for manifest in render([package(name) for name in names])["Manifests"]]
    assert sizes == sorted(sizes, reverse=True)


@given(names=st.lists(st.sampled_from(list(TARGETS)), unique=True, max_size=20), data=st.data())
def test_any_choice_of_targets_fits_or_is_refused(names: list[str], data: st.DataObject) -> None:
    version = data.draw(st.text("abc-", min_size=1, max_size=80))
    bucket = data.draw(st.text("abc-", min_size=3, max_size=63))
    packages = [package(name, version=version) for name in names]
    try:
        made = render(packages, bucket)
    except NothingToDeploy:
        assert not set(names) & set(GREENGRASS)
    except RecipeTooLarge:
        assert len(set(names) & set(GREENGRASS)) > 10
    else:
        assert len(recipe.encode(delivered(made))) < 8196
        assert len(made["Manifests"]) == len(set(names) & set(GREENGRASS))


def test_keeps_the_rules_of_both_nuclei() -> None:
    assert violations(recipe.encode(render([package(name) for name in TARGETS])).decode()) == []


def test_more_targets_than_fit_are_refused_with_their_number() -> None:
    boards = [
        replaced("linux-arm64", target=f"board-{number}", platform={"board": str(number)}) for number in range(60)
    ]
    with pytest.raises(RecipeTooLarge, match="may have 8000: configure fewer than the 60 Greengrass targets"):
        render(boards)


def test_as_many_targets_as_are_taken_fit_nucleus_lite_as_they_are_delivered() -> None:
    """It takes 8,196 bytes, digests and all."""
    taken: dict[str, Any] = {}
    with suppress(RecipeTooLarge):
        for count in range(1, 100):
            taken = render(
                [replaced("linux-arm64", target=f"board-{n}", platform={"board": str(n)}) for n in range(count)]
            )
    assert 7_500 < len(recipe.encode(delivered(taken))) <= 8_000


def test_a_target_that_the_table_does_not_have_is_deployed_by_what_its_package_says() -> None:
    buoy = replaced("linux-arm64", target="buoy", platform={"os": "linux", "board": "buoy"})
    [manifest] = render([buoy])["Manifests"]
    assert (manifest["Name"], manifest["Platform"]) == ("buoy", {"os": "linux", "board": "buoy"})


def test_a_package_of_an_earlier_version_of_this_project_is_made_again() -> None:
    old = {"target": "linux-arm64", "outcome": "portable", "key": "k", "bytes": 1, "failure_reason": ""}
    with pytest.raises(PackageInvalid, match="linux-arm64 does not say how it is delivered: compile v again"):
        render([cast(Package, old)])


def test_two_targets_for_the_same_devices_are_refused() -> None:
    twin = replaced("linux-arm64", target="twin")
    with pytest.raises(PackageInvalid, match="targets linux-arm64 and twin are for the same devices"):
        render([package("linux-arm64"), twin])


@pytest.mark.parametrize("name", ["", 'a"; reboot; "', "a b", "$(reboot)", "../a", "a\n", "{artifacts:path}"])
def test_a_name_that_a_shell_could_take_for_more_is_refused(name: str) -> None:
    with pytest.raises(PackageInvalid, match="must be letters, digits, hyphens and underscores"):
        render([replaced("linux-arm64", target=name)])


def test_more_bytes_than_a_component_may_have_are_refused() -> None:
    with pytest.raises(RecipeTooLarge, match="2000000001 bytes and may have 2000000000 together"):
        render([package("linux-x86_64", size_bytes=2_000_000_000), package("linux-arm64")])


def test_a_device_links_the_folder_that_the_artifact_unpacks_into() -> None:
    [manifest] = render([package("linux-x86_64")])["Manifests"]
    assert manifest["Lifecycle"] == {
        "run": 'ln -sfn "{artifacts:decompressedPath}/linux-x86_64" "{work:path}/current"',
    }
    assert manifest["Artifacts"][0]["Uri"] == "s3://artifact-bucket/models/v/packages/0a1b/linux-x86_64.zip"
    assert manifest["Platform"] == {"os": "linux", "architecture": "amd64", "runtime": "*"}


def test_the_fingerprint_tells_recipes_apart_and_nothing_else() -> None:
    one, same, other = (render([package("linux-x86_64", version=version)]) for version in ("a", "a", "b"))
    assert recipe.fingerprint(one) == recipe.fingerprint(json.loads(json.dumps(same))) != recipe.fingerprint(other)


def test_says_what_became_of_every_target_when_none_can_be_deployed() -> None:
    with pytest.raises(NothingToDeploy, match="linux-x86_64 refused, android-arm64 compiled"):
        render([any_package("linux-x86_64", "refused"), any_package("android-arm64")])
