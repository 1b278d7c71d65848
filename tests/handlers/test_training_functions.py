import gzip
import io
import json
import tarfile

import pytest

from reefloop.archive import ArchiveInvalid
from reefloop.environment import EnvironmentInvalid
from reefloop.model_card import ModelInvalid
from reefloop.registry import RegistryInvalid
from reefloop.storage import ObjectInvalid, ObjectMissing
from reefloop.training import prepare, register
from reefloop.training.prepare import DatasetMissing, DatasetUnsuitable
from tests.any import any_model_card, any_model_files, any_model_version, any_round, tar_gz
from tests.handlers.account import DATA, GROUP, Account

EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:training:one"


def trained(
    account: Account, model_version: str, files: dict[str, bytes] | None = None, **card: object
) -> register.Event:
    """What the training job left, as Register is told of it."""
    content = tar_gz(any_model_files(model_version, **card) if files is None else files)
    uri = account.put(f"models/{model_version}/job/output/model.tar.gz", content)
    return {"model_version": model_version, "model_artifact_uri": uri, "dataset_version": "d1"}


class TestPrepare:
    def test_names_the_model_after_its_dataset_and_its_execution(self, account: Account) -> None:
        account.put_json("datasets/d1/card.json", {})
        plan = prepare.handler({"dataset_version": "d1", "execution": EXECUTION}, None)
        assert plan == {"model_version": "d1-bd8845e4"}

    def test_a_retried_execution_trains_the_same_version_and_another_one_another(self, account: Account) -> None:
        account.put_json("datasets/d1/card.json", {})
        first, again, other = (
            prepare.handler({"dataset_version": "d1", "execution": execution}, None)["model_version"]
            for execution in (EXECUTION, EXECUTION, EXECUTION + "2")
        )
        assert first == again != other

    @pytest.mark.parametrize("version", ["d1", ""])
    def test_asks_for_a_finished_dataset(self, account: Account, version: str) -> None:
        account.put("datasets/d1/train.manifest", b"")
        with pytest.raises(DatasetMissing, match=f"dataset version '{version}' has no .*card.json"):
            prepare.handler({"dataset_version": version, "execution": EXECUTION}, None)

    def test_refuses_a_dataset_of_boxes(self, account: Account) -> None:
        account.put_json("datasets/d1/card.json", {"task": "detection"})
        with pytest.raises(DatasetUnsuitable, match="'d1' is one for detection, and training makes classifiers only"):
            prepare.handler({"dataset_version": "d1", "execution": EXECUTION}, None)

    def test_names_every_variable_that_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DATA_BUCKET")
        monkeypatch.delenv("IMAGE_URI")
        monkeypatch.setenv("MINIMUM_ACCURACY", "high")
        with pytest.raises(EnvironmentInvalid, match=r"DATA_BUCKET is missing.*IMAGE_URI.*ACCURACY is 'high' and must"):
            register.handler({"model_version": "", "model_artifact_uri": "", "dataset_version": ""}, None)


class TestRegister:
    def test_approves_the_first_good_model(self, account: Account) -> None:
        version = any_model_version()
        verdict = register.handler(trained(account, version), None)
        assert verdict["accepted"], verdict["reasons"]
        [package] = account.packages()
        assert package["ModelApprovalStatus"] == "Approved"
        assert package["CustomerMetadataProperties"] == {
            "model_version": version,
            "dataset_version": "d1",
            "test_accuracy": "0.9",
            "test_objects": "100",
        }
        [container] = package["InferenceSpecification"]["Containers"]
        assert container["ModelDataUrl"] == f"s3://{DATA}/models/{version}/model.tar.gz"
        assert container["Image"].endswith("reefloop:tag")

    def test_lays_the_model_out_for_the_stages_after_it(self, account: Account) -> None:
        version = any_model_version()
        event = trained(account, version)
        register.handler(event, None)
        files = any_model_files(version)
        assert account.get(f"s3://{DATA}/models/{version}/model.tar.gz") == account.get(event["model_artifact_uri"])
        assert account.get_json(f"models/{version}/model.json") == json.loads(files["model.json"])

    def test_gives_the_compiler_exactly_one_file(self, account: Account) -> None:
        version = any_model_version()
        files = any_model_files(version)
        register.handler(trained(account, version, files), None)
        source = gzip.decompress(account.get(f"s3://{DATA}/models/{version}/source/model.tar.gz"))
        with tarfile.open(fileobj=io.BytesIO(source)) as tar:
            [member] = tar.getmembers()
            content = tar.extractfile(member)
            assert content is not None
            assert (member.name, content.read()) == ("model.onnx", files["model.onnx"])

    def test_rejects_a_model_below_the_minimum_and_says_why(self, account: Account) -> None:
        verdict = register.handler(trained(account, any_model_version(), test_accuracy=0.79), None)
        assert not verdict["accepted"]
        assert verdict["reasons"][0] == "test accuracy 0.7900 (100 objects) is below the minimum 0.8"
        assert account.packages()[0]["ModelApprovalStatus"] == "Rejected"

    def test_rejects_a_model_that_is_worse_than_the_champion(self, account: Account) -> None:
        account.register("old-champion", accuracy=0.99)
        verdict = register.handler(trained(account, any_model_version(), test_accuracy=0.85), None)
        assert not verdict["accepted"]
        assert "is worse than that of champion old-champion" in verdict["reasons"][1]

    def test_accepts_a_model_as_good_as_the_champion(self, account: Account) -> None:
        account.register("old-champion", accuracy=0.91)
        verdict = register.handler(trained(account, any_model_version(), test_accuracy=0.9), None)
        assert verdict["accepted"], verdict["reasons"]

    def test_run_again_gives_the_same_verdict_and_registers_nothing_twice(self, account: Account) -> None:
        account.register("old-champion")
        event = trained(account, any_model_version())
        first = register.handler(event, None)
        assert register.handler(event, None) == first
        assert len(account.packages()) == 2

    def test_a_person_has_the_last_word_on_a_registered_model(self, account: Account) -> None:
        event = trained(account, any_model_version())
        register.handler(event, None)
        [package] = account.packages()
        account.sagemaker.update_model_package(
            ModelPackageArn=package["ModelPackageArn"],
            ModelApprovalStatus="Rejected",
            CustomerMetadataProperties=package["CustomerMetadataProperties"],  # moto drops what is not repeated
        )
        assert not register.handler(event, None)["accepted"]

    @pytest.mark.parametrize("missing", ["model.json", "model.onnx"])
    def test_asks_for_a_file_that_training_did_not_leave(self, account: Account, missing: str) -> None:
        version = any_model_version()
        files = any_model_files(version)
        del files[missing]
        with pytest.raises(ModelInvalid, match=f"lacks {missing}"):
            register.handler(trained(account, version, files), None)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"model_version": "another"}, "is about model 'another'"),
            ({"input": {"name": "image", "shape": [1, 3, "H", "W"]}}, "input.shape is .* must be four static sizes"),
            ({"input": {"name": "image", "shape": [0, 3, 8, 8]}}, "four static sizes"),
            ({"input": {}}, "input.shape is None and must be a list"),
            ({"metrics": {"test_accuracy": "good", "test_objects": 1}}, "test_accuracy is 'good' and must be a number"),
            ({"metrics": {"test_accuracy": 90, "test_objects": 1}}, "test_accuracy is 90 on 1 object"),
            ({"metrics": {"test_accuracy": 1.0, "test_objects": 0}}, "on 0 object"),
        ],
    )
    def test_names_what_is_wrong_in_the_models_own_card(
        self, account: Account, change: dict[str, object], message: str
    ) -> None:
        version = any_model_version()
        files = any_model_files(version)
        files["model.json"] = json.dumps(any_model_card(version) | change).encode()
        with pytest.raises(ModelInvalid, match=message):
            register.handler(trained(account, version, files), None)

    def test_names_a_card_that_is_not_json(self, account: Account) -> None:
        version = any_model_version()
        files = any_model_files(version) | {"model.json": b"accuracy: 1"}
        with pytest.raises(ObjectInvalid, match=r"model\.json is not valid JSON"):
            register.handler(trained(account, version, files), None)

    def test_registers_nothing_from_an_archive_that_reaches_out_of_its_folder(self, account: Account) -> None:
        version = any_model_version()
        files = any_model_files(version) | {"../../etc/passwd": b"root"}
        with pytest.raises(ArchiveInvalid, match="lead out of the folder"):
            register.handler(trained(account, version, files), None)
        assert account.packages() == []

    def test_asks_for_the_artifact_when_there_is_none(self, account: Account) -> None:
        event = trained(account, any_model_version()) | {"model_artifact_uri": f"s3://{DATA}/nowhere/model.tar.gz"}
        with pytest.raises(ObjectMissing, match="does not exist"):
            register.handler(event, None)

    def test_asks_to_keep_strangers_out_of_the_model_package_group(self, account: Account) -> None:
        account.sagemaker.create_model_package(ModelPackageGroupName=GROUP, ModelApprovalStatus="Approved")
        with pytest.raises(RegistryInvalid, match="was not registered by this project"):
            register.handler(trained(account, any_round()), None)
