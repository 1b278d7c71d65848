import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefloop import contracts
from reefloop.compilation.targets import TARGETS, Target
from reefloop.deployment import recipe
from reefloop.deployment.recipe import NothingToDeploy, RecipeTooLarge
from reefloop.payloads import Package
from tests.any import any_model_version
from tests.edge.recipe_rules import violations


def package(target: str, *, version: str = "v", size_bytes: int = 1) -> Package:
    key = contracts.package_key(version, target, "0a1b")
    return Package(target=target, outcome="compiled", key=key, bytes=size_bytes, failure_reason="")


def render(packages: list[Package], bucket: str = "artifact-bucket") -> dict[str, object]:
    return recipe.render(model_version="v", component_version="1.1.0", packages=packages, bucket=bucket)


GREENGRASS = [name for name, target in TARGETS.items() if target.greengrass]


@given(names=st.permutations(GREENGRASS))
def test_the_manifest_of_a_board_stands_before_its_architecture(names: list[str]) -> None:
    sizes = [len(manifest["Platform"]) for manifest in render([package(name) for name in names])["Manifests"]]
    assert sizes == sorted(sizes, reverse=True)


@given(names=st.lists(st.sampled_from(list(TARGETS)), unique=True), data=st.data())
def test_any_choice_of_targets_fits_or_is_refused(names: list[str], data: st.DataObject) -> None:
    version = data.draw(st.text("abc-", min_size=1, max_size=80))
    bucket = data.draw(st.text("abc-", min_size=3, max_size=63))
    packages = [package(name, version=version) for name in names]
    try:
        made = render(packages, bucket)
    except NothingToDeploy:
        assert not set(names) & set(GREENGRASS)
    else:
        assert len(recipe.encode(made)) < 8196
        assert len(made["Manifests"]) == len(set(names) & set(GREENGRASS))


def test_keeps_the_rules_of_both_nuclei() -> None:
    assert violations(recipe.encode(render([package(name) for name in TARGETS])).decode()) == []


def test_more_targets_than_fit_are_refused_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    many = {
        f"board-{number}": Target(f"board-{number}", device="rasp4b", greengrass={"os": "linux"})
        for number in range(60)
    }
    monkeypatch.setattr(recipe, "TARGETS", many)
    with pytest.raises(RecipeTooLarge, match="may have 8000: configure fewer than the 60 Greengrass targets"):
        render([package(name) for name in many])


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
    refused = Package(target="linux-x86_64", outcome="refused", key="", bytes=0, failure_reason="")
    with pytest.raises(NothingToDeploy, match="linux-x86_64 refused, android-arm64 compiled"):
        render([refused, package("android-arm64", version=any_model_version())])
