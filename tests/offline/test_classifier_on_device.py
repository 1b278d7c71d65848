"""The real component on core devices of both kinds: code, model and settings come by deployment; frames leave by S3,
what it says by the nucleus, through the topic rules and the ingest function into the table."""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from offline.device import CoreDevice
from reefloop.contracts import CLASSIFIER_COMPONENT, MODEL_COMPONENT, package_key
from reefloop.deployment.recipe import render
from tests.any import any_package
from tests.edge import model_packages
from tests.edge.model_packages import SHUFFLED, image
from tests.edge.recipe_rules import violations
from tests.offline.fleet import BUCKET, Fleet, eventually, opened
from tests.offline.hearing import Hearing

COMPONENT = Path(__file__).parents[2] / "edge" / CLASSIFIER_COMPONENT
DATA = "data-of-the-reef"
TARGET = "linux-x86_64"
LITE, CLASSIC = "aws_nucleus_lite", "aws_nucleus_classic"
SETTINGS: dict[str, Any] = {
    "bucket": DATA,
    "watch_list": ["red", "blue"],
    "alert_frames": 1,
    "poll_seconds": 0.1,
    "summary_seconds": 0.5,
    "visit_gap_seconds": 0.2,
    "review_frames_per_hour": 3600,
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with opened(tmp_path_factory.mktemp("account")) as fleet:
        fleet.s3.create_bucket(Bucket=DATA)
        yield fleet


@pytest.fixture(scope="module")
def hearing(fleet: Fleet) -> Hearing:
    return Hearing(fleet.account)


@pytest.fixture(scope="module")
def code(fleet: Fleet) -> str:
    """The component version that `cdk deploy` makes of the folder: an asset named by its hash, the recipe filled in."""
    content = zipped(COMPONENT)
    asset = hashlib.sha256(content).hexdigest()
    fleet.s3.put_object(Bucket=BUCKET, Key=f"{asset}.zip", Body=content)
    text = (COMPONENT / "recipe.json").read_text()
    recipe = json.loads(text.replace("ASSET_URI", f"s3://{BUCKET}/{asset}.zip").replace("ASSET", asset))
    recipe["ComponentConfiguration"]["DefaultConfiguration"] |= SETTINGS
    assert violations(json.dumps(recipe)) == []
    fleet.create(recipe)
    return str(recipe["ComponentVersion"])


@pytest.fixture(scope="module")
def models(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Component versions of models: one that is good, and one whose answers are not those that it was shipped with."""
    folder = tmp_path_factory.mktemp("models")
    return {
        "good": publish_model(fleet, folder, "r1-good", "1.1.0"),
        "bad": publish_model(fleet, folder, "r2-bad", "1.2.0", portable=SHUFFLED),
    }


def zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            archive.write(path, path.relative_to(folder))
    return buffer.getvalue()


def publish_model(fleet: Fleet, folder: Path, version: str, component_version: str, **contents: Any) -> str:
    """The component version that the deployment stage makes of a model."""
    key = package_key(version, TARGET, "0a1b")
    content = zipped(model_packages.write(folder / version, version=version, **contents))
    fleet.s3.put_object(Bucket=BUCKET, Key=key, Body=content)
    package = any_package(TARGET, "portable", key=key, bytes=len(content))
    recipe = render(model_version=version, component_version=component_version, packages=[package], bucket=BUCKET)
    assert violations(json.dumps(recipe)) == []
    fleet.create(recipe)
    return component_version


def frames(fleet: Fleet, device: CoreDevice) -> list[str]:
    """The names of the frames that came from a device."""
    prefix = f"images/edge/{device.thing}/"
    found = fleet.s3.list_objects_v2(Bucket=DATA, Prefix=prefix).get("Contents", [])
    return [item["Key"].removeprefix(prefix) for item in found]


def see(device: CoreDevice, name: str, colour: str) -> str:
    """The camera writes a picture; the name that it would have in the bucket."""
    content = image(colour)
    draft = device.frames.parent / f".{name}"
    draft.write_bytes(content)
    draft.replace(device.frames / f"{name}.png")
    return f"{hashlib.sha256(content).hexdigest()[:16]}.png"


def serve(fleet: Fleet, hearing: Hearing, device: CoreDevice, group: str, model: str) -> None:
    """Deploy a model and wait until the device says that it serves it."""
    assert device.wait_for(fleet.deploy(group, {MODEL_COMPONENT: model})) == "SUCCEEDED"
    eventually(lambda: hearing.model(device.thing).get("self_test") == "passed")


@pytest.mark.parametrize("runtime", [LITE, CLASSIC])
def test_what_a_device_sees_arrives_and_a_bad_model_never_serves(
    fleet: Fleet, hearing: Hearing, code: str, models: dict[str, str], runtime: str
) -> None:
    base, canary = fleet.group(), fleet.group()
    with fleet.device(base, canary, runtime=runtime) as device:
        thing = device.thing
        assert device.wait_for(fleet.deploy(base, {CLASSIFIER_COMPONENT: code})) == "SUCCEEDED"
        serve(fleet, hearing, device, canary, models["good"])
        told = hearing.model(thing)
        assert (told["version"], told["target"]) == ("r1-good", TARGET)

        see(device, "sure", "red")
        unsure = see(device, "unsure", "grey")
        eventually(lambda: [body["species"] for body in hearing.bodies(thing, "alert")][:1] == ["red"])
        eventually(lambda: unsure in frames(fleet, device))
        eventually(lambda: sum(body["frames"] for body in hearing.bodies(thing, "summary")) == 2)

        assert device.wait_for(fleet.deploy(canary, {MODEL_COMPONENT: models["bad"]})) == "SUCCEEDED"
        eventually(lambda: hearing.model(thing)["self_test"] == "failed")
        assert "expected 'red'" in hearing.model(thing)["reason"]
        before = len(hearing.bodies(thing, "alert"))
        see(device, "again", "red")
        eventually(lambda: len(hearing.bodies(thing, "alert")) > before)
        assert hearing.bodies(thing, "alert")[-1]["model"] == "r1-good"

        assert device.wait_for(fleet.deploy(canary, {MODEL_COMPONENT: models["good"]})) == "SUCCEEDED"
        eventually(lambda: hearing.model(thing)["self_test"] == "passed")
        ran = {CLASSIFIER_COMPONENT: (code, "RUNNING"), MODEL_COMPONENT: (models["good"], "FINISHED")}
        eventually(lambda: fleet.installed(device) == ran)


def test_a_new_watch_list_applies_without_a_restart(
    fleet: Fleet, hearing: Hearing, code: str, models: dict[str, str]
) -> None:
    base, canary = fleet.group(), fleet.group()
    with fleet.device(base, canary, runtime=LITE) as device:
        assert device.wait_for(fleet.deploy(base, {CLASSIFIER_COMPONENT: code})) == "SUCCEEDED"
        serve(fleet, hearing, device, canary, models["good"])
        boots = {record.boot for record in hearing.records(device.thing, "health")}
        merged = {"merge": json.dumps({"watch_list": ["green"]})}
        request = {CLASSIFIER_COMPONENT: {"componentVersion": code, "configurationUpdate": merged}}
        deployment = fleet.greengrass.create_deployment(targetArn=base, components=request)["deploymentId"]
        assert device.wait_for(deployment) == "SUCCEEDED"

        def watched() -> bool:
            see(device, f"green-{time.monotonic_ns()}", "green")
            return any(body["species"] == "green" for body in hearing.bodies(device.thing, "alert"))

        eventually(watched)
        assert {record.boot for record in hearing.records(device.thing, "alert")} == boots


@pytest.mark.parametrize("runtime", [LITE, CLASSIC])
def test_alerts_from_before_the_nucleus_died_without_a_link_arrive_once(
    fleet: Fleet, hearing: Hearing, code: str, models: dict[str, str], runtime: str
) -> None:
    base, canary = fleet.group(), fleet.group()
    with fleet.device(base, canary, runtime=runtime) as device:
        thing = device.thing
        assert device.wait_for(fleet.deploy(base, {CLASSIFIER_COMPONENT: code})) == "SUCCEEDED"
        serve(fleet, hearing, device, canary, models["good"])
        device.link.cut()
        for colour in ("red", "blue"):
            see(device, colour, colour)
            # A frame leaves the folder once what was made of it is on the disk.
            eventually(lambda: not list(device.frames.glob("*.png")))
        device.kill_nucleus()
        device.link.restore()

        eventually(lambda: len(hearing.bodies(thing, "alert")) >= 2)
        records = hearing.records(thing, "alert")
        assert sorted(record.body["species"] for record in records) == ["blue", "red"]
        assert len({(record.boot, record.seq) for record in records}) == 2
