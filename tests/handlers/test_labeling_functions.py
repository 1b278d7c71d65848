import json
from datetime import datetime
from typing import Any

import pytest

from reefloop import contracts, payloads
from reefloop.labeling import check_import, list_pool
from reefloop.labeling.categories import CategoriesInvalid
from reefloop.labeling.check_import import ImportInvalid
from reefloop.labeling.imported import LabelInvalid
from reefloop.labeling.manifest import ManifestInvalid
from reefloop.labeling.rounds import RoundInvalid
from reefloop.storage import ObjectInvalid, ObjectMissing
from tests.any import any_bytes, any_model_version, any_round
from tests.handlers.account import DATA, Account


def pooled(account: Account, round_: str) -> list[str]:
    """The keys in a round's pool."""
    lines = account.get_lines(f"rounds/{round_}/pool.manifest")
    return [line["source-ref"].removeprefix(f"s3://{DATA}/") for line in lines]


def inputs(answer: payloads.Pool) -> dict[str, dict[str, str]]:
    return {item["InputName"]: item["S3Input"] for item in answer["processing_inputs"]}


def input_uris(answer: payloads.Pool) -> dict[str, str]:
    return {name: item["S3Uri"] for name, item in inputs(answer).items()}


def labeled(key: str, name: str = "crab") -> dict[str, object]:
    return {"source-ref": f"s3://{DATA}/{key}", "kind": 0, "kind-metadata": {"class-name": name}}


class TestListPool:
    def test_takes_the_images_below_images_and_nothing_else(self, account: Account) -> None:
        for key in ("images/upload/a.jpg", "images/upload/b.JPEG", "images/edge/t1/c.png"):
            account.put(key, any_bytes())
        for key in ("images/notes.txt", "images/clip.mp4", "images/jpg", "other/d.jpg"):
            account.put(key, any_bytes())
        account.put("images/empty.jpg", b"")
        round_ = any_round()

        assert list_pool.handler({"round": round_}, None)["objects"] == 3
        assert pooled(account, round_) == ["images/edge/t1/c.png", "images/upload/a.jpg", "images/upload/b.JPEG"]

    def test_says_how_many_objects_became_what(self, account: Account, capsys: pytest.CaptureFixture[str]) -> None:
        account.put("images/a.jpg", b"same")
        account.put("images/b.jpg", b"same")
        account.put("images/notes.txt", any_bytes())
        round_ = any_round()
        list_pool.handler({"round": round_}, None)
        assert json.loads(capsys.readouterr().out) == {"round": round_, "new": 1, "known": 1, "ignored": 1}

    def test_leaves_out_and_names_a_key_that_would_lead_a_job_elsewhere(
        self, account: Account, capsys: pytest.CaptureFixture[str]
    ) -> None:
        misnamed = ["images/../../model.png", "images/./a.png", "images//a.png", f"images/{'é' * 126}.png"]
        for key in [*misnamed, "images/..a/b..png"]:
            account.put(key, any_bytes())
        round_ = any_round()
        list_pool.handler({"round": round_}, None)
        assert pooled(account, round_) == ["images/..a/b..png"]
        *named, tally = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert sorted(one["misnamed"] for one in named) == sorted(misnamed)
        assert tally == {"round": round_, "new": 1, "misnamed": 4}

    def test_leaves_out_what_an_earlier_round_had_whatever_its_name_is_now(self, account: Account) -> None:
        account.put("images/a.jpg", b"first")
        list_pool.handler({"round": any_round()}, None)
        account.put("images/renamed.jpg", b"first")
        account.put("images/b.jpg", b"second")
        round_ = any_round()
        assert list_pool.handler({"round": round_}, None)["objects"] == 1
        assert pooled(account, round_) == ["images/b.jpg"]

    def test_takes_an_image_again_when_its_content_changed(self, account: Account) -> None:
        account.put("images/a.jpg", b"before")
        list_pool.handler({"round": any_round()}, None)
        account.put("images/a.jpg", b"after")
        assert list_pool.handler({"round": any_round()}, None)["objects"] == 1

    def test_leaves_out_gold_images_and_images_imported_with_their_labels(self, account: Account) -> None:
        for key in ("images/gold.jpg", "images/imported.jpg", "images/new.jpg"):
            account.put(key, any_bytes())
        account.put_lines(contracts.GOLD_MANIFEST, [labeled("images/gold.jpg")])
        imported, round_ = any_round(), any_round()
        account.put_lines(f"rounds/{imported}/import.manifest", [labeled("images/imported.jpg")])
        account.put_json(f"datasets/{imported}/card.json", {})
        list_pool.handler({"round": round_}, None)
        assert pooled(account, round_) == ["images/new.jpg"]

    def test_an_import_that_never_became_a_dataset_takes_nothing(self, account: Account) -> None:
        account.put("images/a.jpg", any_bytes())
        account.put(f"rounds/{any_round()}/import.manifest", b"not even JSON")
        assert list_pool.handler({"round": any_round()}, None)["objects"] == 1

    def test_a_round_run_again_keeps_its_pool(self, account: Account) -> None:
        account.put("images/a.jpg", any_bytes())
        round_ = any_round()
        first = list_pool.handler({"round": round_}, None)
        account.put("images/b.jpg", any_bytes())
        assert list_pool.handler({"round": round_}, None) == first
        assert datetime.fromisoformat(first["listed"]).tzinfo
        assert pooled(account, round_) == ["images/a.jpg"]

    def test_a_round_that_found_nothing_looks_again(self, account: Account) -> None:
        round_ = any_round()
        assert list_pool.handler({"round": round_}, None)["objects"] == 0
        account.put("images/a.jpg", any_bytes())
        assert list_pool.handler({"round": round_}, None)["objects"] == 1

    def test_takes_again_what_an_earlier_round_left_over_until_a_round_does_not(self, account: Account) -> None:
        for name in ("left", "labeled"):
            account.put(f"images/{name}.jpg", name.encode())
        first, second, third = any_round(), any_round(), any_round()
        list_pool.handler({"round": first}, None)
        [left] = [line for line in account.get_lines(f"rounds/{first}/pool.manifest") if "left" in line["source-ref"]]
        account.put_lines(f"rounds/{first}/left-over.manifest", [left])
        list_pool.handler({"round": second}, None)
        assert pooled(account, second) == ["images/left.jpg"]
        list_pool.handler({"round": third}, None)
        assert pooled(account, third) == []

    def test_gives_each_instance_its_share_of_the_pool_and_all_that_is_known(self, account: Account) -> None:
        account.put("images/upload/new.jpg", any_bytes())
        account.put_lines(contracts.GOLD_MANIFEST, [labeled("gold/images/known.png")] * 2)
        account.put_json("datasets/d1/card.json", {})
        account.put_lines("datasets/d1/audit.manifest", [labeled("images/audited.png")])
        round_ = any_round()
        answer = list_pool.handler({"round": round_}, None)
        prefix = {"prefix": f"s3://{DATA}/"}
        assert account.get_json(f"rounds/{round_}/images.json") == [prefix, "images/upload/new.jpg"]
        known = account.get_json(f"rounds/{round_}/known-images.json")
        assert known == [prefix, "gold/images/known.png", "images/audited.png"]
        assert inputs(answer)["images"]["S3DataDistributionType"] == "ShardedByS3Key"
        assert inputs(answer)["known"]["S3DataDistributionType"] == "FullyReplicated"
        assert inputs(answer)["previous"]["S3Uri"] == f"s3://{DATA}/datasets/d1/"

    def test_no_model_scores_boxes(self, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        account.put("images/a.jpg", any_bytes())
        account.register(any_model_version())
        monkeypatch.setenv("TASK", "detection")
        assert "model" not in inputs(list_pool.handler({"round": any_round()}, None))

    def test_gives_the_scoring_job_no_model_before_one_was_approved(self, account: Account) -> None:
        account.put("images/a.jpg", any_bytes())
        account.register(any_model_version(), approved=False)
        round_ = any_round()
        assert input_uris(list_pool.handler({"round": round_}, None)) == {
            "pool": f"s3://{DATA}/rounds/{round_}/pool.manifest",
            "gold": f"s3://{DATA}/gold/",
            "images": f"s3://{DATA}/rounds/{round_}/images.json",
        }

    def test_gives_the_scoring_job_the_newest_approved_model(self, account: Account) -> None:
        champion = any_model_version()
        account.register(any_model_version())
        account.register(champion)
        account.register(any_model_version(), approved=False)
        answer = list_pool.handler({"round": any_round()}, None)
        assert input_uris(answer)["model"] == f"s3://{DATA}/models/{champion}/model.tar.gz"

    def test_gives_inputs_that_create_processing_job_takes(self, account: Account) -> None:
        account.put("images/a.jpg", any_bytes())
        account.register(any_model_version())
        answer = list_pool.handler({"round": any_round()}, None)
        account.sagemaker.create_processing_job(
            ProcessingJobName="job",
            ProcessingInputs=answer["processing_inputs"],
            ProcessingResources={
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 1}
            },
            AppSpecification={"ImageUri": "image"},
            RoleArn="arn:aws:iam::123456789012:role/any-role",
        )
        assert inputs(answer)["images"]["S3DataType"] == "ManifestFile"

    @pytest.mark.parametrize("round_", ["", "a/b", "../up", " a", "a b", "é", "x" * 64, None])
    def test_refuses_a_round_that_cannot_be_part_of_a_key(self, account: Account, round_: str) -> None:
        with pytest.raises(RoundInvalid, match="1 to 63 letters"):
            list_pool.handler({"round": round_}, None)

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ([], 'no list "labels"'),
            ({"labels": []}, "at least 2"),
            ({"labels": [{"label": "crab"}]}, "at least 2"),
            ({"labels": [{"label": "crab"}, {"label": "crab"}]}, "'crab' more than once"),
            ({"labels": [{"label": "crab"}, {"label": "x" * 257}]}, "1 to 256 characters"),
            ({"labels": [{"label": "crab"}, {"label": 7}]}, "label '7'"),
            ({"labels": [{"label": "crab"}, "squid"]}, "label 'None'"),
            ({"labels": [{"label": "crab"}, {"label": "(cannot tell)"}]}, "the lack of an answer"),
        ],
    )
    def test_refuses_label_categories_that_ground_truth_would_refuse(
        self, account: Account, config: object, message: str
    ) -> None:
        account.put_json(contracts.LABEL_CATEGORIES, config)
        with pytest.raises(CategoriesInvalid, match=message):
            list_pool.handler({"round": any_round()}, None)

    def test_asks_for_label_categories_when_there_are_none(self, account: Account) -> None:
        account.s3.delete_object(Bucket=DATA, Key=contracts.LABEL_CATEGORIES)
        with pytest.raises(ObjectMissing, match=r"gold/label-categories\.json does not exist"):
            list_pool.handler({"round": any_round()}, None)

    def test_names_a_label_category_file_that_is_not_json(self, account: Account) -> None:
        account.put(contracts.LABEL_CATEGORIES, b"{'labels': []}")
        with pytest.raises(ObjectInvalid, match=r"label-categories\.json is not valid JSON"):
            list_pool.handler({"round": any_round()}, None)

    def test_refuses_a_gold_image_of_another_bucket(self, account: Account) -> None:
        account.put_lines(contracts.GOLD_MANIFEST, [labeled("a.jpg"), {"source-ref": "s3://elsewhere/a.jpg"}])
        with pytest.raises(ManifestInvalid, match=r"gold\.manifest line 2: source-ref is 's3://elsewhere/a\.jpg'"):
            list_pool.handler({"round": any_round()}, None)


class TestCheckImport:
    def test_counts_the_lines_of_a_good_import(self, account: Account) -> None:
        round_ = any_round()
        account.put_lines(f"rounds/{round_}/import.manifest", [labeled("a.jpg"), labeled("b.png", "squid")])
        answer = check_import.handler({"round": round_}, None)
        assert answer["objects"] == 2
        assert input_uris(answer)["round"] == f"s3://{DATA}/rounds/{round_}/"

    def test_takes_what_windows_tools_write(self, account: Account) -> None:
        round_ = any_round()
        text = "\r\n".join(["\ufeff" + json.dumps(labeled("a.jpg")), "", json.dumps(labeled("b.jpg"))])
        account.put(f"rounds/{round_}/import.manifest", text.encode())
        assert check_import.handler({"round": round_}, None)["objects"] == 2

    @pytest.mark.parametrize(
        ("line", "error", "message"),
        [
            (labeled("a.jpg", "whale"), LabelInvalid, "class-name 'whale', which is not among"),
            ({"source-ref": f"s3://{DATA}/a.jpg"}, LabelInvalid, "has 0 labels"),
            ({**labeled("a.jpg"), "b": 1, "b-metadata": {"class-name": "crab"}}, LabelInvalid, "has 2 labels"),
            ({**labeled("a.jpg"), "kind-metadata": {"objects": []}}, LabelInvalid, "has 0 labels"),
            (labeled("images/../a.jpg"), ManifestInvalid, "cannot be a file's path"),
            (labeled("a.gif"), ManifestInvalid, "must be s3://data-bucket/<key> of an image"),
            ({"source": "text"}, ManifestInvalid, "source-ref is None"),
            (["a.jpg"], ManifestInvalid, "must be a JSON object"),
        ],
    )
    def test_names_the_line_that_is_wrong(
        self, account: Account, line: object, error: type[Exception], message: str
    ) -> None:
        round_ = any_round()
        account.put_lines(f"rounds/{round_}/import.manifest", [labeled("fine.jpg"), line])
        with pytest.raises(error, match=rf"import\.manifest line 2.*{message}"):
            check_import.handler({"round": round_}, None)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({}, ""),
            ({"boxes": []}, ""),
            ({"class_map": {"0": "whale"}}, "class-name 'whale', which is not among"),
            ({"class_map": {}}, "class-name None"),
            ({"boxes": [{"class_id": 0, "left": -1, "top": 0, "width": 2, "height": 2}]}, "whole pixels from 0 up"),
            ({"boxes": [{"class_id": 0, "left": 1.5, "top": 0, "width": 2, "height": 2}]}, "whole pixels from 0 up"),
            ({"boxes": ["box"]}, "whole pixels from 0 up"),
            ({"boxes": None}, "must be"),
        ],
    )
    def test_boxes_are_checked_one_by_one(
        self, account: Account, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str
    ) -> None:
        monkeypatch.setenv("TASK", "detection")
        round_ = any_round()
        boxes = change.get("boxes", [{"class_id": 0, "left": 0, "top": 0, "width": 2, "height": 2}])
        line = {
            "source-ref": f"s3://{DATA}/a.jpg",
            "kind": {"annotations": boxes},
            "kind-metadata": {"class-map": change.get("class_map", {"0": "crab"})},
        }
        account.put_lines(f"rounds/{round_}/import.manifest", [line])
        if message:
            with pytest.raises(LabelInvalid, match=rf"import\.manifest line 1.*{message}"):
                check_import.handler({"round": round_}, None)
        else:
            assert check_import.handler({"round": round_}, None)["objects"] == 1

    def test_names_a_line_that_is_not_json(self, account: Account) -> None:
        round_ = any_round()
        account.put(f"rounds/{round_}/import.manifest", b"\n\n{'source-ref': 'a'}\n")
        with pytest.raises(ManifestInvalid, match="line 3 is not JSON"):
            check_import.handler({"round": round_}, None)

    def test_refuses_an_empty_import(self, account: Account) -> None:
        round_ = any_round()
        account.put(f"rounds/{round_}/import.manifest", b"\n")
        with pytest.raises(ImportInvalid, match="has no line"):
            check_import.handler({"round": round_}, None)

    def test_asks_for_the_import_when_there_is_none(self, account: Account) -> None:
        with pytest.raises(ObjectMissing, match=r"import\.manifest does not exist"):
            check_import.handler({"round": any_round()}, None)
