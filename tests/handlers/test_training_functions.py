import pytest

from reefloop.training import prepare
from reefloop.training.prepare import DatasetMissing, DatasetUnsuitable
from tests.handlers.account import Account

EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:training:one"


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
