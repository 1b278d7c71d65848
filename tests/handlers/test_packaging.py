"""What a target's devices download: complete, the same for the same content, and nothing that a stranger put there."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable
from typing import Any

import pytest

from reefloop.archive import ArchiveInvalid, Limits
from reefloop.compilation import artifact, package
from reefloop.compilation.targets import TARGETS
from reefloop.model_card import ModelInvalid
from reefloop.payloads import Package, PackageInput, Parity
from tests.any import any_bytes, any_model_card, any_model_files, any_model_version, tar_gz
from tests.handlers.account import ARTIFACTS, DATA, Account

LINUX = "linux-x86_64"
OWN = "own-0123456789ab"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/inference:1"


def wrote(account: Account, version: str, content: bytes) -> str:
    """What the compiler wrote, by its address."""
    return account.put(f"models/{version}/compiled/{LINUX}/model-LINUX_X86_64.tar.gz", content)


def compiled(
    account: Account, version: str = "", files: dict[str, bytes] | None = None, target: str = LINUX
) -> PackageInput:
    """A trained model and what the compiler made of it, as Package is told of them."""
    version = version or any_model_version()
    if f"models/{version}/model.tar.gz" not in account.keys(DATA):
        account.put(f"models/{version}/model.tar.gz", tar_gz(any_model_files(version)))
        account.put_json(f"models/{version}/model.json", any_model_card(version))
    made = tar_gz(files or {"compiled.so": any_bytes(), "compiled.params": any_bytes()})
    return PackageInput(
        model_version=version,
        record=TARGETS[target].record(),
        artifact_uri=wrote(account, version, made),
        inference_image=IMAGE,
        failure_reason="",
    )


def not_compiled(event: PackageInput, reason: str = "FAILED: operators are not implemented") -> PackageInput:
    return {**event, "artifact_uri": "", "failure_reason": reason}


def packaged(event: PackageInput) -> Package:
    return package.handler(event, None)["package"]


def unpacked(account: Account, made: Package) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(account.get(f"s3://{ARTIFACTS}/{made['key']}"))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def inputs(event: PackageInput) -> dict[str, tuple[str, str]]:
    """What the job that measures the package is given: by name, where it lies and how it is listed."""
    found: list[Any] = [*package.handler(event, None)["processing_inputs"]]
    assert all(one["S3Input"]["LocalPath"] == f"/opt/ml/processing/input/{one['InputName']}" for one in found)
    return {one["InputName"]: (one["S3Input"]["S3Uri"], one["S3Input"]["S3DataType"]) for one in found}


class TestCompiled:
    def test_stands_beside_the_portable_model(self, account: Account) -> None:
        event = compiled(account)
        version, made = event["model_version"], packaged(event)
        content = account.get(f"s3://{ARTIFACTS}/{made['key']}")
        assert made == {
            "target": LINUX,
            "outcome": "compiled",
            "delivery": "greengrass",
            "platform": {"os": "linux", "architecture": "amd64", "runtime": "*"},
            "runtime": "dlr",
            "key": f"models/{version}/packages/{hashlib.sha256(content).hexdigest()[:16]}/{LINUX}.zip",
            "bytes": len(content),
            "artifact_uri": event["artifact_uri"],
            "inference_image": IMAGE,
            "failure": None,
            "parity": None,
        }
        files = unpacked(account, made)
        assert sorted(files) == [
            "SHA256SUMS",
            "compiled/compiled.params",
            "compiled/compiled.so",
            "golden/crab.png",
            "golden/golden.json",
            "labels.json",
            "model.json",
            "model.onnx",
            "package.json",
        ]
        about = {"target": LINUX, "outcome": "compiled", "model_version": version}
        assert json.loads(files["package.json"]) == about

    def test_lists_the_sum_of_every_other_file(self, account: Account) -> None:
        files = unpacked(account, packaged(compiled(account)))
        listed = files.pop("SHA256SUMS").decode().splitlines()
        assert listed == [f"{hashlib.sha256(files[name]).hexdigest()}  {name}" for name in sorted(files)]

    def test_leaves_out_what_a_device_does_not_need(self, account: Account) -> None:
        version = any_model_version()
        account.put(f"models/{version}/model.tar.gz", tar_gz(any_model_files(version) | {"model.pth": any_bytes()}))
        account.put_json(f"models/{version}/model.json", any_model_card(version))
        assert "model.pth" not in unpacked(account, packaged(compiled(account, version)))

    def test_run_again_leaves_the_artifact_as_it_is(self, account: Account) -> None:
        event = compiled(account)
        first = packaged(event)
        account.s3.put_bucket_versioning(Bucket=ARTIFACTS, VersioningConfiguration={"Status": "Enabled"})
        assert packaged(event) == first
        assert len(account.s3.list_object_versions(Bucket=ARTIFACTS)["Versions"]) == 1

    def test_never_replaces_an_artifact_by_another(self, account: Account) -> None:
        version = any_model_version()
        first = packaged(compiled(account, version))
        content = account.get(f"s3://{ARTIFACTS}/{first['key']}")
        assert packaged(compiled(account, version))["key"] != first["key"]
        assert account.get(f"s3://{ARTIFACTS}/{first['key']}") == content

    def test_is_of_the_platform_and_delivery_that_the_record_says(self, account: Account) -> None:
        event = compiled(account)
        event["record"] |= {"name": "buoy", "greengrass": {}}
        made = packaged(event)
        assert (made["target"], made["delivery"], made["platform"]) == ("buoy", "artifact", {})
        assert made["key"].endswith("/buoy.zip")

    def test_keeps_what_was_measured(self, account: Account) -> None:
        event = compiled(account)
        parity: Parity = {"runtime": "onnxruntime", "p50_ms": 1.0}  # type: ignore[typeddict-item]
        made = package.make(data_bucket=DATA, artifact_bucket=ARTIFACTS, parity=parity, **event)
        assert made["parity"] == parity
        assert made | {"parity": None} == packaged(event)


class TestNotCompiled:
    def test_the_portable_model_ships_where_the_policy_allows(self, account: Account) -> None:
        made = packaged(not_compiled(compiled(account)))
        assert (made["outcome"], made["runtime"]) == ("portable", "onnxruntime")
        assert (made["artifact_uri"], made["inference_image"]) == ("", "")
        assert made["failure"]
        assert made["failure"]["kind"] == "operator"
        assert "operators are not implemented" in made["failure"]["reason"]
        files = unpacked(account, made)
        assert not [name for name in files if name.startswith("compiled/")]
        assert json.loads(files["package.json"])["outcome"] == "portable"

    def test_nothing_ships_where_it_does_not(self, account: Account) -> None:
        made = packaged(not_compiled(compiled(account, target="ios"), "rule: Core ML takes no ONNX"))
        assert (made["outcome"], made["key"], made["bytes"], made["runtime"]) == ("refused", "", 0, "coreml")
        assert made["failure"]
        assert (made["failure"]["kind"], made["failure"]["reason"]) == ("rule", "Core ML takes no ONNX")
        assert account.keys(ARTIFACTS) == []

    def test_a_reason_that_would_not_fit_a_state_machines_payload_is_shortened(self, account: Account) -> None:
        failure = packaged(not_compiled(compiled(account), reason="x" * 30_000))["failure"]
        assert failure
        assert len(failure["reason"]) <= 1000

    def test_a_retry_whose_failure_reads_otherwise_gives_the_same_artifact(self, account: Account) -> None:
        event = compiled(account)
        first = packaged(not_compiled(event, reason="job a failed"))
        assert packaged(not_compiled(event, reason="job b failed"))["key"] == first["key"]


def cut_off(files: Iterable[str]) -> bytes:
    return tar_gz(dict.fromkeys(files, any_bytes(1000)))[:-100]


class TestUnusable:
    """What the compiler wrote and cannot be given to a device is the failure of its own target."""

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (tar_gz({"fine.so": b"x", "../model.onnx": b"x"}), "could lead out of the folder"),
            (tar_gz({"/etc/passwd": b"x"}), "could lead out of the folder"),
            (cut_off(["compiled.so"]), "it was cut off"),
            (b"no archive", "is no readable .tar.gz"),
            (tar_gz({}), "holds nothing"),
            (tar_gz({"compiled.so": b""}), "holds nothing"),
        ],
    )
    def test_ships_the_portable_model_in_its_place(self, account: Account, content: bytes, reason: str) -> None:
        event = compiled(account)
        wrote(account, event["model_version"], content)
        made = packaged(event)
        assert made["outcome"] == "portable"
        assert made["failure"]
        assert made["failure"]["kind"] == "service"
        assert reason in made["failure"]["reason"]
        assert not [name for name in unpacked(account, made) if name.startswith("compiled/")]
        assert len(account.keys(ARTIFACTS)) == 1

    def test_what_is_gone_is_a_failure_too(self, account: Account) -> None:
        event = compiled(account)
        bucket, _, key = event["artifact_uri"].removeprefix("s3://").partition("/")
        account.s3.delete_object(Bucket=bucket, Key=key)
        failure = packaged(event)["failure"]
        assert failure
        assert "does not exist" in failure["reason"]

    def test_model_and_compiled_files_share_what_greengrass_takes(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(artifact, "Limits", lambda **given: Limits(**({"unpacked_bytes": 4000} | given)))
        fits = packaged(compiled(account, files={"compiled.so": any_bytes(3000)}))
        assert fits["outcome"] == "compiled"
        made = packaged(compiled(account, files={"compiled.so": any_bytes(3999)}))
        assert made["outcome"] == "portable"
        assert made["failure"]
        assert "the most allowed" in made["failure"]["reason"]

    @pytest.mark.parametrize("missing", ["labels.json", "golden/golden.json"])
    def test_a_model_that_lacks_what_every_device_needs_is_the_failure_of_all(
        self, account: Account, missing: str
    ) -> None:
        event = compiled(account)
        files = any_model_files(event["model_version"])
        del files[missing]
        account.put(f"models/{event['model_version']}/model.tar.gz", tar_gz(files))
        with pytest.raises(ModelInvalid, match=f"lacks {missing}"):
            package.handler(event, None)

    def test_a_model_that_is_damaged_is_the_failure_of_all(self, account: Account) -> None:
        event = compiled(account)
        account.put(f"models/{event['model_version']}/model.tar.gz", cut_off(["model.onnx"]))
        with pytest.raises(ArchiveInvalid, match="it was cut off; nothing of it was used"):
            package.handler(not_compiled(event), None)


class TestMeasured:
    def test_with_the_test_split_where_it_is_still_there(self, account: Account) -> None:
        event = compiled(account)
        key = packaged(event)["key"]
        account.put_json("datasets/d1/test-images.json", [])
        assert inputs(event) == {
            "package": (f"s3://{ARTIFACTS}/{key}", "S3Prefix"),
            "dataset": (f"s3://{DATA}/datasets/d1/", "S3Prefix"),
            "images": (f"s3://{DATA}/datasets/d1/test-images.json", "ManifestFile"),
        }

    def test_by_its_golden_images_alone_when_the_dataset_is_gone(self, account: Account) -> None:
        assert inputs(compiled(account)).keys() == {"package"}

    def test_not_at_all_where_it_cannot_run(self, account: Account) -> None:
        assert inputs(compiled(account, target="android-arm64")) == {}

    def test_not_at_all_when_nothing_was_compiled(self, account: Account) -> None:
        assert inputs(not_compiled(compiled(account))) == {}


class TestOwnModel:
    def event(self, account: Account, source: dict[str, bytes], target: str = LINUX) -> PackageInput:
        account.put(f"models/{OWN}/source/model.tar.gz", tar_gz(source))
        return {
            "model_version": OWN,
            "record": TARGETS[target].record(),
            "artifact_uri": wrote(account, OWN, tar_gz({"model.so": b"so", "model.json": b"{}"})),
            "inference_image": "",
            "failure_reason": "",
        }

    def test_holds_what_was_compiled_and_cannot_be_measured(self, account: Account) -> None:
        event = self.event(account, {"resnet-symbol.json": b"{}", "resnet-0000.params": b"p"})
        files = unpacked(account, packaged(event))
        assert sorted(files) == ["SHA256SUMS", "compiled/model.json", "compiled/model.so", "package.json"]
        assert json.loads(files["package.json"])["model_version"] == OWN
        account.put_json("datasets/d1/test-images.json", [])
        assert inputs(event) == {}

    def test_is_portable_when_it_is_onnx(self, account: Account) -> None:
        made = packaged(not_compiled(self.event(account, {"export/net.onnx": b"graph"})))
        assert (made["outcome"], made["runtime"]) == ("portable", "onnxruntime")
        files = unpacked(account, made)
        assert sorted(files) == ["SHA256SUMS", "model.onnx", "package.json"]
        assert files["model.onnx"] == b"graph"

    def test_is_refused_when_it_is_not(self, account: Account) -> None:
        event = self.event(account, {"net.h5": b"keras"}, target="android-arm64")
        made = packaged(not_compiled(event, "limit: ResourceLimitExceeded"))
        assert (made["outcome"], made["key"]) == ("refused", "")
        assert made["failure"]
        assert made["failure"]["kind"] == "limit"
        assert account.keys(ARTIFACTS) == []

    @pytest.mark.parametrize("source", [None, b"no tarball", tar_gz({"../net.onnx": b"graph"})])
    def test_is_refused_for_the_same_reason_when_its_source_cannot_be_read(
        self, account: Account, source: bytes | None
    ) -> None:
        event = not_compiled(self.event(account, {"net.onnx": b"graph"}), "source: it was cut off")
        account.s3.delete_object(Bucket=DATA, Key=f"models/{OWN}/source/model.tar.gz")
        if source:
            account.put(f"models/{OWN}/source/model.tar.gz", source)
        made = packaged(event)
        assert (made["outcome"], made["key"]) == ("refused", "")
        assert made["failure"]
        assert (made["failure"]["kind"], made["failure"]["reason"]) == ("source", "it was cut off")
        assert account.keys(ARTIFACTS) == []
