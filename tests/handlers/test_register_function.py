import re
from typing import Any

import pytest

from reefloop.environment import EnvironmentInvalid
from reefloop.model_card import ModelInvalid
from reefloop.registry import RegistryInvalid
from reefloop.storage import ObjectInvalid, ObjectMissing
from reefloop.training import register
from tests.any import any_evaluation, any_model_card, any_model_version
from tests.handlers.account import DATA, GROUP, Account


def evaluated(account: Account, version: str | None = None, **about: Any) -> register.Event:
    """What the evaluation left, as Register is told of it."""
    version = version or any_model_version()
    evaluation = any_evaluation(version, **about)
    account.put_json(f"models/{version}/evaluation.json", evaluation)
    account.put_json(f"models/{version}/model.json", any_model_card(version))
    return {"model_version": version}


def test_a_model_that_the_gate_let_pass_is_approved(account: Account) -> None:
    event = evaluated(account)
    verdict = register.handler(event, None)
    [package] = account.packages()
    assert verdict == {
        "accepted": True,
        "reasons": ["test accuracy 0.9000 (100 objects) reaches the minimum 0.8"],
        "approval": "Approved",
        "model_package_arn": package["ModelPackageArn"],
    }
    assert package["ModelApprovalStatus"] == "Approved"
    assert package["ModelPackageDescription"] == event["model_version"]


def test_the_package_names_the_model_the_image_and_the_metrics(account: Account) -> None:
    event = evaluated(account)
    register.handler(event, None)
    [package] = account.packages()
    folder = f"s3://{DATA}/models/{event['model_version']}"
    [container] = package["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"] == f"{folder}/model.tar.gz"
    assert container["Image"].endswith("reefloop:tag")
    assert package["ModelMetrics"]["ModelQuality"]["Statistics"] == {
        "ContentType": "application/json",
        "S3Uri": f"{folder}/statistics.json",
    }


def test_every_number_of_the_evaluation_is_in_the_registry(account: Account) -> None:
    event = evaluated(account)
    register.handler(event, None)
    numbers = account.packages()[0]["CustomerMetadataProperties"]
    expected = {
        "model_version": event["model_version"],
        "dataset_version": "d1",
        "test_accuracy": "0.9",
        "test_objects": "100",
        "test_error": "0.1",
        "human_error": "0.01",
        "human_high": "0.02",
        "avoidable_bias_value": "0.04",
        "variance_low": "-0.01",
        "calibration_temperature": "1.5",
        "calibration_after": "0.01",
        "champion_p_worse": "0.85546875",
        "champion_only_candidate_right": "5",
        "unreadable_objects": "0",
        "accepted": "true",
    }
    assert expected.items() <= numbers.items()
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
    assert len(numbers) <= 50
    for name, value in numbers.items():
        assert re.fullmatch(r"[\w .:/=+\-@]{1,128}", name)
        assert re.fullmatch(r"[\w .:/=+\-@]{1,256}", value)


def test_a_model_that_the_gate_refused_is_rejected(account: Account) -> None:
    verdict = register.handler(evaluated(account, accepted=False), None)
    assert (verdict["accepted"], verdict["approval"]) == (False, "Rejected")
    assert account.packages()[0]["ModelApprovalStatus"] == "Rejected"


@pytest.mark.parametrize(("passed", "status"), [(True, "PendingManualApproval"), (False, "Rejected")])
def test_where_a_person_approves_what_passed_waits_for_that_person(
    account: Account, monkeypatch: pytest.MonkeyPatch, passed: bool, status: str
) -> None:
    monkeypatch.setenv("APPROVAL", "manual")
    verdict = register.handler(evaluated(account, accepted=passed), None)
    assert (verdict["accepted"], verdict["approval"]) == (passed, status)
    assert account.packages()[0]["ModelApprovalStatus"] == status


def test_run_again_gives_the_same_verdict_and_registers_nothing_twice(account: Account) -> None:
    account.register("old-champion")
    event = evaluated(account)
    first = register.handler(event, None)
    assert register.handler(event, None) == first
    assert len(account.packages()) == 2


@pytest.mark.parametrize(("status", "accepted"), [("Approved", True), ("Rejected", False)])
def test_a_person_has_the_last_word_on_a_registered_model(account: Account, status: str, accepted: bool) -> None:
    event = evaluated(account, accepted=not accepted)
    register.handler(event, None)
    [package] = account.packages()
    account.sagemaker.update_model_package(
        ModelPackageArn=package["ModelPackageArn"],
        ModelApprovalStatus=status,
        CustomerMetadataProperties=package["CustomerMetadataProperties"],  # moto drops what is not repeated
    )
    verdict = register.handler(event, None)
    assert (verdict["accepted"], verdict["approval"]) == (accepted, status)


@pytest.mark.parametrize("missing", ["model.json", "evaluation.json"])
def test_asks_for_a_file_that_the_evaluation_did_not_leave(account: Account, missing: str) -> None:
    event = evaluated(account)
    account.s3.delete_object(Bucket=DATA, Key=f"models/{event['model_version']}/{missing}")
    with pytest.raises(ObjectMissing, match=f"{missing} does not exist"):
        register.handler(event, None)


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
def test_names_what_is_wrong_in_the_models_own_card(account: Account, change: dict[str, object], message: str) -> None:
    event = evaluated(account)
    version = event["model_version"]
    account.put_json(f"models/{version}/model.json", any_model_card(version) | change)
    with pytest.raises(ModelInvalid, match=message):
        register.handler(event, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_version": "another"}, "is about model 'another'"),
        ({"accepted": "yes"}, "accepted is 'yes' and must be true or false"),
        ({"reasons": None}, "reasons is None and must be a list"),
    ],
)
def test_names_what_is_wrong_in_the_evaluation(account: Account, change: dict[str, object], message: str) -> None:
    event = evaluated(account)
    version = event["model_version"]
    account.put_json(f"models/{version}/evaluation.json", any_evaluation(version) | change)
    with pytest.raises(ModelInvalid, match=message):
        register.handler(event, None)
    assert account.packages() == []


def test_names_an_evaluation_that_is_not_json(account: Account) -> None:
    event = evaluated(account)
    account.put(f"models/{event['model_version']}/evaluation.json", b"accepted: yes")
    with pytest.raises(ObjectInvalid, match=r"evaluation\.json is not valid JSON"):
        register.handler(event, None)


def test_asks_to_keep_strangers_out_of_the_model_package_group(account: Account) -> None:
    event = evaluated(account)
    account.sagemaker.create_model_package(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="Approved",
        ModelPackageDescription=event["model_version"],
    )
    with pytest.raises(RegistryInvalid, match="was not registered by this project"):
        register.handler(event, None)


def test_names_every_variable_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATA_BUCKET")
    monkeypatch.delenv("IMAGE_URI")
    monkeypatch.delenv("APPROVAL")
    with pytest.raises(EnvironmentInvalid, match=r"DATA_BUCKET is missing.*IMAGE_URI is missing.*APPROVAL is missing"):
        register.handler({"model_version": ""}, None)
