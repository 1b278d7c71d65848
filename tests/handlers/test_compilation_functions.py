import hashlib
import io
import json
import zipfile

import pytest

from reefloop.archive import ArchiveInvalid
from reefloop.compilation import package, prepare, summarize
from reefloop.compilation.prepare import TargetUnknown
from reefloop.compilation.summarize import TooFewTargets
from reefloop.compilation.targets import TARGETS, Target
from reefloop.model_card import ModelInvalid
from reefloop.payloads import Package
from reefloop.storage import ObjectMissing
from tests.any import any_bytes, any_model_card, any_model_files, any_model_version, tar_gz
from tests.handlers.account import ARTIFACTS, DATA, Account


def compiled(account: Account, version: str, files: dict[str, bytes] | None = None) -> package.Event:
    """A registered model and what the compiler made of it, as Package is told of them."""
    if f"models/{version}/model.tar.gz" not in account.keys(DATA):
        account.put(f"models/{version}/model.tar.gz", tar_gz(any_model_files(version)))
    made = tar_gz(files or {"compiled.so": any_bytes(), "compiled.params": any_bytes()})
    uri = account.put(f"models/{version}/compiled/linux-x86_64/model-LINUX_X86_64.tar.gz", made)
    return {"model_version": version, "name": "linux-x86_64", "artifact_uri": uri, "failure_reason": ""}


def not_compiled(event: package.Event, reason: str = "ClientError: unsupported operator") -> package.Event:
    return {**event, "artifact_uri": "", "failure_reason": reason}


def unpacked(account: Account, made: Package) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(account.get(f"s3://{ARTIFACTS}/{made['key']}"))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


class TestPrepare:
    def test_asks_for_a_job_per_target(self, account: Account) -> None:
        version = any_model_version()
        account.put_json(f"models/{version}/model.json", any_model_card(version))
        platform, device = prepare.handler({"model_version": version}, None)
        source = {
            "S3Uri": f"s3://{DATA}/models/{version}/source/model.tar.gz",
            "DataInputConfig": '{"image": [1, 3, 64, 64]}',
            "Framework": "ONNX",
        }
        assert platform == {
            "name": "linux-x86_64",
            "input_config": source,
            "output_config": {
                "S3OutputLocation": f"s3://{DATA}/models/{version}/compiled/linux-x86_64",
                "TargetPlatform": {"Os": "LINUX", "Arch": "X86_64"},
            },
        }
        assert device["input_config"] == source
        assert device["output_config"]["TargetDevice"] == "rasp4b"

    def test_every_target_is_one_that_create_compilation_job_takes(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TARGETS", ",".join(TARGETS))
        version = any_model_version()
        account.put_json(f"models/{version}/model.json", any_model_card(version))
        targets = prepare.handler({"model_version": version}, None)
        for target in targets:
            account.sagemaker.create_compilation_job(
                CompilationJobName=target["name"].replace("_", "-"),
                RoleArn="arn:aws:iam::123456789012:role/any-role",
                InputConfig=target["input_config"],
                OutputConfig=target["output_config"],
                StoppingCondition={"MaxRuntimeInSeconds": 900},
            )
        options = {target["name"]: target["output_config"].get("CompilerOptions") for target in targets}
        assert json.loads(str(options["android-arm64"])) == {"ANDROID_PLATFORM": 29}

    def test_refuses_a_target_that_the_table_does_not_have(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TARGETS", "linux-x86_64, toaster")
        with pytest.raises(TargetUnknown, match="'toaster' is not one of linux-x86_64"):
            prepare.handler({"model_version": any_model_version()}, None)

    def test_asks_for_the_model_when_it_was_never_registered(self, account: Account) -> None:
        with pytest.raises(ObjectMissing, match=r"model\.json does not exist"):
            prepare.handler({"model_version": any_model_version()}, None)


class TestPackage:
    def test_packs_the_compiled_model_beside_the_portable_one(self, account: Account) -> None:
        version = any_model_version()
        made = package.handler(compiled(account, version), None)
        files = unpacked(account, made)
        assert made["outcome"] == "compiled"
        content = account.get(f"s3://{ARTIFACTS}/{made['key']}")
        assert made["key"] == f"models/{version}/packages/{hashlib.sha256(content).hexdigest()[:16]}/linux-x86_64.zip"
        assert made["bytes"] == len(content)
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
        about = {"target": "linux-x86_64", "outcome": "compiled", "model_version": version}
        assert json.loads(files["package.json"]) == about

    def test_lists_the_sum_of_every_other_file(self, account: Account) -> None:
        files = unpacked(account, package.handler(compiled(account, any_model_version()), None))
        listed = dict(reversed(line.split("  ")) for line in files.pop("SHA256SUMS").decode().splitlines())
        assert listed == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}

    def test_packs_the_portable_model_when_compilation_failed(self, account: Account) -> None:
        made = package.handler(not_compiled(compiled(account, any_model_version())), None)
        assert made["outcome"] == "portable"
        assert made["failure_reason"] == "ClientError: unsupported operator"
        assert not [name for name in unpacked(account, made) if name.startswith("compiled/")]

    def test_refuses_a_target_that_takes_no_portable_model(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        strict = {"linux-x86_64": Target("linux-x86_64", device="ml_c5", portable=False)}
        monkeypatch.setattr(package, "TARGETS", strict)
        made = package.handler(not_compiled(compiled(account, any_model_version())), None)
        assert (made["outcome"], made["key"], made["bytes"]) == ("refused", "", 0)
        assert account.keys(ARTIFACTS) == []

    def test_shortens_a_reason_that_would_not_fit_a_state_machines_payload(self, account: Account) -> None:
        event = not_compiled(compiled(account, any_model_version()), reason="x" * 30_000)
        assert len(package.handler(event, None)["failure_reason"]) <= 1000

    def test_run_again_leaves_the_artifact_as_it_is(self, account: Account) -> None:
        event = compiled(account, any_model_version())
        first = package.handler(event, None)
        before = account.s3.head_object(Bucket=ARTIFACTS, Key=first["key"])["LastModified"]
        account.s3.put_bucket_versioning(Bucket=ARTIFACTS, VersioningConfiguration={"Status": "Enabled"})
        assert package.handler(event, None) == first
        [kept] = account.s3.list_object_versions(Bucket=ARTIFACTS)["Versions"]
        assert kept["LastModified"] == before

    def test_a_retry_whose_failure_reads_otherwise_gives_the_same_artifact(self, account: Account) -> None:
        event = compiled(account, any_model_version())
        first = package.handler(not_compiled(event, reason="job a failed"), None)
        assert package.handler(not_compiled(event, reason="job b failed"), None)["key"] == first["key"]

    def test_never_replaces_an_artifact_by_another(self, account: Account) -> None:
        version = any_model_version()
        first = package.handler(compiled(account, version), None)
        content = account.get(f"s3://{ARTIFACTS}/{first['key']}")
        second = package.handler(compiled(account, version), None)
        assert second["key"] != first["key"]
        assert account.get(f"s3://{ARTIFACTS}/{first['key']}") == content

    @pytest.mark.parametrize("name", ["../model.onnx", "/etc/passwd", "a/../../b", "C:\\model.dll", "a\nb"])
    def test_takes_nothing_from_a_compiler_output_with_an_unsafe_name(self, account: Account, name: str) -> None:
        event = compiled(account, any_model_version(), {"fine.so": any_bytes(), name: any_bytes()})
        with pytest.raises(ArchiveInvalid, match="could lead out of the folder"):
            package.handler(event, None)
        assert account.keys(ARTIFACTS) == []

    @pytest.mark.parametrize("missing", ["labels.json", "golden/golden.json"])
    def test_asks_for_a_file_that_every_device_needs(self, account: Account, missing: str) -> None:
        version = any_model_version()
        files = any_model_files(version)
        del files[missing]
        account.put(f"models/{version}/model.tar.gz", tar_gz(files))
        with pytest.raises(ModelInvalid, match=f"lacks {missing}"):
            package.handler(compiled(account, version), None)

    def test_leaves_out_what_a_device_does_not_need(self, account: Account) -> None:
        version = any_model_version()
        account.put(f"models/{version}/model.tar.gz", tar_gz(any_model_files(version) | {"checkpoint.pt": any_bytes()}))
        assert "checkpoint.pt" not in unpacked(account, package.handler(compiled(account, version), None))


class TestSummarize:
    def packages(self, *outcomes: str) -> list[Package]:
        names = list(TARGETS)
        return [
            Package(target=name, outcome=outcome, key="k", bytes=1, failure_reason=f"why {name}")
            for name, outcome in zip(names, outcomes, strict=False)
        ]

    def test_writes_down_what_every_target_got(self, account: Account) -> None:
        version = any_model_version()
        event = {"model_version": version, "packages": self.packages("compiled", "portable")}
        assert summarize.handler(event, None) == event
        assert account.get_json(f"models/{version}/compilation.json") == event

    def test_fails_when_too_few_targets_compiled_and_writes_it_down_all_the_same(self, account: Account) -> None:
        version = any_model_version()
        with pytest.raises(
            TooFewTargets, match=r"0 target\(s\) compiled and minimum_targets is 1 \(linux-x86_64 is portable"
        ):
            summarize.handler({"model_version": version, "packages": self.packages("portable", "refused")}, None)
        assert len(account.get_json(f"models/{version}/compilation.json")["packages"]) == 2

    def test_a_deployment_may_ask_for_none(self, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MINIMUM_TARGETS", "0")
        event = {"model_version": any_model_version(), "packages": self.packages("portable")}
        assert summarize.handler(event, None)["packages"] == event["packages"]
