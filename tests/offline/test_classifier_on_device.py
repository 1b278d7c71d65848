"""The real component on a core device: code and model come by deployment, frames leave by S3."""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from offline.device import CoreDevice
from reefloop.contracts import CLASSIFIER_COMPONENT, MODEL_COMPONENT, device_key, package_key
from reefloop.deployment.recipe import render
from tests.any import any_package
from tests.edge import model_packages
from tests.edge.model_packages import SHUFFLED, image
from tests.edge.recipe_rules import violations
from tests.offline.fleet import BUCKET, Fleet, opened

COMPONENT = Path(__file__).parents[2] / "edge" / CLASSIFIER_COMPONENT
DATA = "data-of-the-reef"
TARGET = "linux-x86_64"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with opened(tmp_path_factory.mktemp("account")) as fleet:
        fleet.s3.create_bucket(Bucket=DATA)
        yield fleet


def zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            archive.write(path, path.relative_to(folder))
    return buffer.getvalue()


def publish_classifier(fleet: Fleet) -> str:
    """The component version that `cdk deploy` makes of the folder: an asset named by its hash, the recipe filled in."""
    content = zipped(COMPONENT)
    asset = hashlib.sha256(content).hexdigest()
    fleet.s3.put_object(Bucket=BUCKET, Key=f"{asset}.zip", Body=content)
    text = (COMPONENT / "recipe.json").read_text()
    recipe = json.loads(text.replace("ASSET_URI", f"s3://{BUCKET}/{asset}.zip").replace("ASSET", asset))
    recipe["ComponentConfiguration"]["DefaultConfiguration"] |= {
        "bucket": DATA,
        "poll_seconds": "0.1",
        "summary_seconds": "0.5",
    }
    assert violations(json.dumps(recipe)) == []
    fleet.create(recipe)
    return str(recipe["ComponentVersion"])


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


def report(fleet: Fleet, device: CoreDevice) -> dict[str, Any]:
    try:
        body = fleet.s3.get_object(Bucket=DATA, Key=device_key(device.thing, "status.json"))["Body"].read()
    except ClientError:
        return {}
    found: dict[str, Any] = json.loads(body)
    return found


def keys(fleet: Fleet, prefix: str) -> list[str]:
    return [item["Key"] for item in fleet.s3.list_objects_v2(Bucket=DATA, Prefix=prefix).get("Contents", [])]


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def test_a_model_is_deployed_serves_is_replaced_and_comes_back(fleet: Fleet, tmp_path: Path) -> None:
    base, canary = fleet.group(), fleet.group()
    code = publish_classifier(fleet)
    good = publish_model(fleet, tmp_path, "r1-good", "1.1.0")
    bad = publish_model(fleet, tmp_path, "r2-bad", "1.2.0", portable=SHUFFLED)
    with fleet.device(base, canary) as device:

        def passed(version: str) -> bool:
            told = report(fleet, device)
            return (told.get("model_version"), told.get("self_test")) == (version, "passed")

        assert device.wait_for(fleet.deploy(base, {CLASSIFIER_COMPONENT: code})) == "SUCCEEDED"
        assert device.wait_for(fleet.deploy(canary, {MODEL_COMPONENT: good})) == "SUCCEEDED"
        eventually(lambda: passed("r1-good"))
        assert report(fleet, device)["target"] == TARGET

        (device.frames / "sure.png").write_bytes(image("red"))
        (device.frames / "unsure.jpg").write_bytes(image("grey", form="JPEG"))
        eventually(lambda: bool(keys(fleet, device_key(device.thing, "summaries/"))))
        name = hashlib.sha256(image("grey", form="JPEG")).hexdigest()[:16]
        eventually(lambda: keys(fleet, "images/edge/") == [f"images/edge/{device.thing}/{name}.jpg"])

        assert device.wait_for(fleet.deploy(canary, {MODEL_COMPONENT: bad})) == "SUCCEEDED"
        eventually(lambda: report(fleet, device)["self_test"] == "failed")
        assert "expected 'red'" in report(fleet, device)["reason"]

        assert device.wait_for(fleet.deploy(canary, {MODEL_COMPONENT: good})) == "SUCCEEDED"
        eventually(lambda: passed("r1-good"))
        assert fleet.installed(device) == {
            CLASSIFIER_COMPONENT: (code, "RUNNING"),
            MODEL_COMPONENT: (good, "FINISHED"),
        }
