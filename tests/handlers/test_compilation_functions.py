"""Prepare and Summarize: what is asked of Neo for each target, and what is told of it afterwards."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from reefloop.compilation import prepare, summarize
from reefloop.compilation.failures import REASON_BYTES, explain
from reefloop.compilation.prepare import TargetUnknown
from reefloop.compilation.summarize import TooFewTargets
from reefloop.compilation.targets import DEFAULT, TARGETS, Target
from reefloop.model_card import ModelInvalid
from reefloop.payloads import CompilationOutput, CompilationTarget, Failure, OwnModel, Package, PrepareInput
from reefloop.storage import ObjectMissing
from tests.any import any_bytes, any_model_card, any_model_files, any_model_version, any_package, tar_gz
from tests.handlers.account import DATA, Account

OWN = "own-0123456789ab"


def event(version: str, configured: Sequence[Target] = (), **more: Any) -> PrepareInput:
    """What the state machine gives: its own input, and the configured targets."""
    records = [target.record() for target in configured or map(TARGETS.__getitem__, DEFAULT)]
    own = [target.record() for target in configured if target is not TARGETS.get(target.name)]
    given = {"input": {"model_version": version, **more}, "targets": records, "own_targets": own}
    return given  # type: ignore[return-value]


def trained(account: Account) -> str:
    """A model as training leaves it."""
    version = any_model_version()
    account.put_json(f"models/{version}/model.json", any_model_card(version))
    account.put(f"models/{version}/model.tar.gz", tar_gz(any_model_files(version)))
    account.put(f"models/{version}/source/model.tar.gz", tar_gz({"model.onnx": any_bytes()}))
    account.put(f"models/{version}/source/pytorch.tar.gz", tar_gz({"model.pth": any_bytes()}))
    return version


def own(account: Account, files: dict[str, bytes] | None = None, **fields: Any) -> OwnModel:
    """A model from elsewhere, MXNet's unless the fields say otherwise."""
    names = files or {"net-symbol.json": b"{}", "net-0000.params": any_bytes()}
    uri = account.put(f"models/{OWN}/source/model.tar.gz", tar_gz(names))
    model = OwnModel(uri=uri, framework="MXNET", framework_version="", data_input_config='{"data":[1,3,224,224]}')
    return {**model, **fields}  # type: ignore[typeddict-item]


def prepared(*arguments: Any, **named: Any) -> dict[str, CompilationTarget]:
    return {target["name"]: target for target in prepare.handler(event(*arguments, **named), None)}


class TestPrepare:
    def test_asks_for_a_job_per_configured_target(self, account: Account) -> None:
        version = trained(account)
        targets = prepared(version, [TARGETS["linux-x86_64"], TARGETS["raspberry-pi-4"]])
        source = {
            "S3Uri": f"s3://{DATA}/models/{version}/source/model.tar.gz",
            "DataInputConfig": '{"image": [1, 3, 64, 64]}',
            "Framework": "ONNX",
        }
        assert targets["linux-x86_64"] == {
            "name": "linux-x86_64",
            "record": TARGETS["linux-x86_64"].record(),
            "delivery": "greengrass",
            "refusal": "",
            "input_config": source,
            "output_config": {
                "S3OutputLocation": f"s3://{DATA}/models/{version}/compiled/linux-x86_64",
                "TargetPlatform": {"Os": "LINUX", "Arch": "X86_64"},
            },
            "instance_type": "ml.m5.xlarge",
        }
        assert targets["raspberry-pi-4"]["input_config"] == source
        assert targets["raspberry-pi-4"]["output_config"]["TargetDevice"] == "rasp4b"
        assert targets["raspberry-pi-4"]["instance_type"] == ""

    def test_every_ready_made_target_is_one_that_create_compilation_job_takes(self, account: Account) -> None:
        targets = prepared(trained(account), list(TARGETS.values()))
        possible = [target for target in targets.values() if not target["refusal"]]
        for target in possible:
            account.sagemaker.create_compilation_job(
                CompilationJobName=target["name"].replace("_", "-"),
                RoleArn="arn:aws:iam::123456789012:role/any-role",
                InputConfig=target["input_config"],
                OutputConfig=target["output_config"],
                StoppingCondition={"MaxRuntimeInSeconds": 900},
            )
        assert {target["name"] for target in possible} >= {*DEFAULT, "ml_c5", "ml_g4dn"}
        assert json.loads(str(targets["android-arm64"]["output_config"]["CompilerOptions"])) == {"ANDROID_PLATFORM": 29}

    def test_a_target_that_takes_no_onnx_is_compiled_from_pytorch(self, account: Account) -> None:
        version = trained(account)
        config = prepared(version, [TARGETS["ios"]])["ios"]["input_config"]
        assert config["Framework"] == "PYTORCH"
        assert f"models/{version}/source/ios" in str(config["S3Uri"])
        [image] = json.loads(str(config["DataInputConfig"]))
        assert (image["shape"], image["type"], image["scale"]) == ([1, 3, 64, 64], "Image", 1 / 255)

    def test_what_one_target_lacks_is_its_own_refusal(self, account: Account) -> None:
        version = trained(account)
        account.s3.delete_object(Bucket=DATA, Key=f"models/{version}/source/pytorch.tar.gz")
        targets = prepared(version)
        assert [name for name, target in targets.items() if target["refusal"]] == ["ios"]
        assert targets["ios"]["refusal"].startswith("source: model ")
        assert targets["ios"]["input_config"] == {}

    @pytest.mark.parametrize(
        ("target", "refusal"),
        [
            (Target("a", device="lambda", compiler_options={"gpu-code": "sm_72"}), "options: "),
            (
                Target("a", platform={"Os": "ANDROID", "Arch": "ARM64"}, compiler_options={"ANDROID_PLATFORM": 99}),
                "options: ",
            ),
            (Target("a", device="ml_eia2"), "rule: "),
        ],
    )
    def test_a_target_that_neo_would_refuse_is_refused_with_the_kind_of_reason(
        self, account: Account, target: Target, refusal: str
    ) -> None:
        assert prepared(trained(account), [target])["a"]["refusal"].startswith(refusal)

    def test_an_execution_may_name_targets_of_the_table_and_of_the_deployment(self, account: Account) -> None:
        ours = Target("our-board", platform={"Os": "LINUX", "Arch": "ARM64"})
        targets = prepared(trained(account), [ours], targets=["ml_c5", "our-board", "ml_c5"])
        assert list(targets) == ["ml_c5", "our-board"]
        assert targets["ml_c5"]["instance_type"] == "ml.c5.xlarge"

    def test_a_target_of_ones_own_need_not_be_configured_for_the_loops_model(self, account: Account) -> None:
        ours = Target(
            "jetpack-4", device="jetson_nano", compiler_options={"JETPACK_VERSION": "4.6", "gpu_code": "sm_53"}
        )
        model = own(
            account, {"net.pb": any_bytes()}, framework="TENSORFLOW", data_input_config='{"input":[1,224,224,3]}'
        )
        given = {**event(OWN, model=model, targets=["jetpack-4"]), "own_targets": [ours.record()]}
        [target] = prepare.handler(given, None)  # type: ignore[arg-type]
        assert target["refusal"] == ""
        assert json.loads(target["output_config"]["CompilerOptions"]) == ours.compiler_options  # type: ignore[arg-type]

    def test_a_targets_name_means_what_the_deployment_says(self, account: Account) -> None:
        ours = Target("jetson-nano", platform={"Os": "LINUX", "Arch": "ARM64"})
        config = prepared(trained(account), [ours], targets=["jetson-nano"])["jetson-nano"]["output_config"]
        assert "TargetDevice" not in config

    def test_refuses_a_target_that_nobody_has(self, account: Account) -> None:
        with pytest.raises(TargetUnknown, match="'toaster' is not one of linux-x86_64"):
            prepare.handler(event(trained(account), targets=["toaster"]), None)

    def test_asks_for_the_model_when_it_was_never_trained(self, account: Account) -> None:
        with pytest.raises(ObjectMissing, match=r"model\.json does not exist"):
            prepare.handler(event(any_model_version()), None)

    def test_a_card_of_another_model_is_refused(self, account: Account) -> None:
        version = any_model_version()
        account.put_json(f"models/{version}/model.json", any_model_card("another"))
        with pytest.raises(ModelInvalid, match="must be about"):
            prepare.handler(event(version), None)


class TestPrepareAModelFromElsewhere:
    def test_is_asked_for_in_its_own_words_and_measured_nowhere(self, account: Account) -> None:
        model = own(account, framework_version="1.8")
        target = prepared(OWN, targets=["linux-x86_64"], model=model)["linux-x86_64"]
        assert (target["refusal"], target["instance_type"]) == ("", "")
        assert target["input_config"] == {
            "S3Uri": model["uri"],
            "Framework": "MXNET",
            "DataInputConfig": '{"data":[1,3,224,224]}',
            "FrameworkVersion": "1.8",
        }

    def test_sends_no_version_where_the_request_must_not_have_one(self, account: Account) -> None:
        target = prepared(OWN, targets=["qcs605"], model=own(account, framework_version="1.8"))["qcs605"]
        assert "FrameworkVersion" not in target["input_config"]

    def test_sends_no_input_for_a_framework_that_has_none(self, account: Account) -> None:
        model = own(account, {"trees.model": any_bytes()}, framework="XGBOOST", data_input_config="")
        target = prepared(OWN, targets=["linux-x86_64"], model=model)["linux-x86_64"]
        assert target["refusal"] == ""
        assert "DataInputConfig" not in target["input_config"]

    @pytest.mark.parametrize(
        ("fields", "refusal"),
        [
            ({"framework": "SKLEARN"}, "rule: "),
            ({"framework_version": "9.9"}, "rule: "),
            ({"data_input_config": '{"data":[1,224,224,3]}'}, "input: "),
            ({"data_input_config": "224"}, "input: "),
        ],
    )
    def test_what_neo_would_refuse_is_refused_before_a_job(
        self, account: Account, fields: dict[str, Any], refusal: str
    ) -> None:
        targets = prepared(OWN, targets=["linux-arm64"], model=own(account, **fields))
        assert targets["linux-arm64"]["refusal"].startswith(refusal)

    @pytest.mark.parametrize("files", [{"net.onnx": b"?"}, {"net-symbol.json": b"{}"}, {"../net-symbol.json": b"{}"}])
    def test_a_tarball_that_holds_something_else_is_refused(self, account: Account, files: dict[str, bytes]) -> None:
        targets = prepared(OWN, targets=["linux-arm64"], model=own(account, files))
        assert targets["linux-arm64"]["refusal"].startswith("source: ")

    def test_what_a_stranger_called_his_files_does_not_fill_the_payload(self, account: Account) -> None:
        files = {f"{'/'.join(letter * 180 for _ in range(5))}": b"" for letter in "abcde"}
        items = prepared(OWN, targets=list(TARGETS), model=own(account, files))
        refusal = items["linux-arm64"]["refusal"]
        assert refusal.startswith("source: ")
        assert len(refusal) == REASON_BYTES - 2
        packages = [any_package(name, "portable", failure=explain(refusal)) for name in TARGETS]
        payload = json.dumps({"targets": list(items.values()), "packages": packages})
        assert len(payload) < 256 * 1024 / 2, "half of it is for whoever names rounds and buckets"

    def test_a_tarball_that_is_gone_refuses_every_target(self, account: Account) -> None:
        model = own(account)
        account.s3.delete_object(Bucket=DATA, Key=f"models/{OWN}/source/model.tar.gz")
        targets = prepared(OWN, targets=["linux-arm64", "qcs605"], model=model)
        assert all(target["refusal"].startswith("source: ") for target in targets.values())


FAILED = Failure(kind="operator", reason="ClientError: {Gelu} is not implemented", advice="replace it")


def packaged(version: str, *packages: Package) -> CompilationOutput:
    """What Summarize is told."""
    return CompilationOutput(model_version=version, packages=list(packages))


class TestSummarize:
    def test_writes_down_what_every_target_got(self, account: Account) -> None:
        version = any_model_version()
        told = packaged(version, any_package("linux-x86_64"), any_package("linux-arm64", "portable", failure=FAILED))
        assert summarize.handler(told, None) == told
        assert account.get_json(f"models/{version}/compilation.json") == told

    def test_fails_when_too_few_targets_compiled_and_writes_it_down_all_the_same(self, account: Account) -> None:
        version = any_model_version()
        packages = [any_package("linux-x86_64", "portable", failure=FAILED), any_package("ios", "refused")]
        with pytest.raises(
            TooFewTargets, match=r"0 target\(s\) compiled and 1 must \(linux-x86_64 is portable: operator: ClientError"
        ):
            summarize.handler(packaged(version, *packages), None)
        assert len(account.get_json(f"models/{version}/compilation.json")["packages"]) == 2

    def test_a_deployment_may_ask_for_none(self, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MINIMUM_TARGETS", "0")
        told = packaged(any_model_version(), any_package("linux-x86_64", "portable"))
        assert summarize.handler(told, None)["packages"] == told["packages"]

    @pytest.mark.parametrize(("outcome", "enough"), [("compiled", True), ("portable", False)])
    def test_an_execution_for_fewer_targets_needs_all_of_its_own(
        self, account: Account, monkeypatch: pytest.MonkeyPatch, outcome: Any, enough: bool
    ) -> None:
        monkeypatch.setenv("MINIMUM_TARGETS", "2")
        told = packaged(any_model_version(), any_package("linux-x86_64", outcome))
        if enough:
            assert summarize.handler(told, None) == told
        else:
            with pytest.raises(TooFewTargets, match=r"and 1 must"):
                summarize.handler(told, None)


class TestRegistry:
    @pytest.fixture
    def version(self, account: Account) -> str:
        version = any_model_version()
        account.register(version)
        return version

    def noted(self, account: Account) -> dict[str, str]:
        [package] = account.packages()
        properties: dict[str, str] = package["CustomerMetadataProperties"]
        return properties

    def test_a_registered_model_says_what_each_target_got(self, account: Account, version: str) -> None:
        parity = {"p50_ms": 3.14159, "p99_ms": 4.0, "instance_type": "ml.m5.xlarge"}
        packages = [
            any_package("linux-x86_64", bytes=3 << 20, parity=parity),
            any_package("ios", "refused", failure=FAILED),
        ]
        summarize.handler(packaged(version, *packages), None)
        noted = self.noted(account)
        assert noted["target:linux-x86_64"] == "compiled 3.0 MiB p50 3.14 ms p99 4.00 ms on ml.m5.xlarge"
        assert noted["target:ios"] == "refused: operator: ClientError: Gelu is not implemented"
        assert noted["model_version"] == version

    def test_a_later_compilation_takes_the_place_of_an_earlier_one(self, account: Account) -> None:
        version = any_model_version()
        account.register(version, numbers={"target:linux-x86_64": "compiled 1.0 MiB"})
        summarize.handler(packaged(version, any_package("linux-arm64")), None)
        assert [name for name in self.noted(account) if name.startswith("target:")] == ["target:linux-arm64"]

    def test_more_targets_than_there_is_room_for_keep_the_first(self, account: Account, version: str) -> None:
        others = len(self.noted(account))
        packages: list[Package] = [{**any_package(), "target": f"board-{number}"} for number in range(60)]
        summarize.handler(packaged(version, *packages), None)
        noted = self.noted(account)
        assert len(noted) == 50
        assert f"target:board-{49 - others}" in noted
        assert f"target:board-{50 - others}" not in noted

    def test_a_reason_of_any_length_and_alphabet_fits(self, account: Account, version: str) -> None:
        failure = {**FAILED, "reason": "\u202e<b>déjà\n" + 500 * "x"}
        summarize.handler(packaged(version, any_package(), any_package("ios", "refused", failure=failure)), None)
        value = self.noted(account)["target:ios"]
        assert value.startswith("refused: operator: b d j xxx")
        assert len(value) == 256

    def test_a_model_from_elsewhere_is_in_no_registry(self, account: Account, version: str) -> None:
        summarize.handler(packaged(OWN, any_package()), None)
        assert not [name for name in self.noted(account) if name.startswith("target:")]
