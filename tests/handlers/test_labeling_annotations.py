"""The two functions of this project's own classification task, as Ground Truth calls them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefloop.labeling import consolidate_annotations, pre_annotation
from reefloop.labeling.consolidate_annotations import PayloadRefused
from reefloop.labeling.ground_truth import CANNOT_TELL
from reefloop.labeling.vote import majority
from reefloop.storage import ObjectInvalid
from tests.handlers.account import DATA, Account

PAYLOAD = (
    "rounds/r/labeling-jobs/labelers/j/annotations/consolidated-annotation/consolidation-request/iteration-1/1.json"
)


def annotation(label: object, worker: str = "private.us-east-1.w") -> dict[str, Any]:
    content = json.dumps({"crowd-image-classifier": {"label": label}})
    return {"workerId": worker, "annotationData": {"content": content}}


def consolidated(account: Account, *batch: list[Any], categories: list[str] | None = None) -> list[dict[str, Any]]:
    """What the function makes of one batch: the value of each object's label attribute."""
    payload = [
        {"datasetObjectId": str(number), "dataObject": {"s3Uri": "s3://b/k"}, "annotations": annotations}
        for number, annotations in enumerate(batch)
    ]
    event: consolidate_annotations.Event = {
        "version": "2018-10-16",
        "labelingJobArn": "arn:aws:sagemaker:us-east-1:1:labeling-job/j",
        "labelCategories": categories or ["crab", "squid"],
        "labelAttributeName": "species",
        "roleArn": "arn:aws:iam::1:role/r",
        "payload": {"s3Uri": account.put_json(PAYLOAD, payload)},
    }
    answer = consolidate_annotations.handler(event, None)
    assert [one["datasetObjectId"] for one in answer] == [str(number) for number in range(len(batch))]
    return [one["consolidatedAnnotation"]["content"]["species"] for one in answer]


class TestBeforePeople:
    def test_shows_the_image_and_what_there_is_to_choose_from_and_nothing_else(self, account: Account) -> None:
        line = {"source-ref": f"s3://{DATA}/a.jpg", "content": "c", "species-metadata": {"class-name": "crab"}}
        answer = pre_annotation.handler({"version": "2018-10-16", "labelingJobArn": "a", "dataObject": line}, None)
        assert answer["taskInput"] == {"taskObject": f"s3://{DATA}/a.jpg", "labels": ["crab", "squid", CANNOT_TELL]}

    def test_says_in_both_spellings_that_people_are_needed(self, account: Account) -> None:
        event: pre_annotation.Event = {
            "version": "",
            "labelingJobArn": "",
            "dataObject": {"source-ref": "s3://b/a.jpg"},
        }
        answer = pre_annotation.handler(event, None)
        assert (answer["isHumanAnnotationRequired"], answer["humanAnnotationRequired"]) == (True, "true")


class TestVote:
    def test_the_most_votes_win_and_their_share_is_the_confidence(self, account: Account) -> None:
        [value] = consolidated(account, [annotation("squid"), annotation("crab"), annotation("squid")])
        assert value == {
            "class-name": "squid", "class": 1, "confidence": 0.67, "answers": 3, "cannot-tell": 0, "unusable": 0,
        }  # fmt: skip

    def test_of_equal_votes_the_category_that_comes_first_wins(self, account: Account) -> None:
        tie = [annotation("squid"), annotation("crab")]
        assert consolidated(account, tie)[0]["class-name"] == "crab"
        assert consolidated(account, tie, categories=["squid", "crab"])[0]["class-name"] == "squid"

    def test_who_cannot_tell_votes_for_nothing_and_lowers_the_confidence(self, account: Account) -> None:
        told, nobody = consolidated(account, [annotation(CANNOT_TELL), annotation("crab")], [annotation(CANNOT_TELL)])
        assert (told["class-name"], told["confidence"], told["cannot-tell"]) == ("crab", 0.5, 1)
        assert (nobody["class-name"], nobody["class"], nobody["confidence"]) == ("", -1, 0.0)

    @pytest.mark.parametrize(
        "broken",
        [
            {},
            None,
            "text",
            {"annotationData": None},
            {"annotationData": {"content": "not JSON"}},
            {"annotationData": {"content": "[]"}},
            {"annotationData": {"content": '{"crowd-image-classifier": {}}'}},
            {"annotationData": {"s3Uri": "s3://b/k"}},
            annotation(7),
            annotation("whale"),
        ],
    )
    def test_a_broken_annotation_is_counted_and_the_others_decide(self, account: Account, broken: object) -> None:
        [value] = consolidated(account, [broken, annotation("crab")])
        assert (value["class-name"], value["answers"], value["unusable"]) == ("crab", 1, 1)

    def test_an_object_without_annotations_has_no_label_and_takes_no_other_with_it(self, account: Account) -> None:
        nothing, something = consolidated(account, [], [annotation("crab")])
        assert (nothing["class-name"], something["class-name"]) == ("", "crab")

    @given(st.lists(st.none() | st.sampled_from(["crab", "squid", CANNOT_TELL, "whale", ""])))
    def test_every_annotation_is_counted_once_and_the_winner_has_the_most(self, labels: list[str | None]) -> None:
        value = majority(labels, ["crab", "squid"])
        assert value["answers"] + value["cannot-tell"] + value["unusable"] == len(labels)
        assert 0 <= value["confidence"] <= 1
        best = max(labels.count("crab"), labels.count("squid"))
        assert (labels.count(value["class-name"]) == best) if best else value["class-name"] == ""


class TestPayload:
    @pytest.mark.parametrize(
        "uri", ["s3://elsewhere/rounds/a.json", f"s3://{DATA}/gold/gold.manifest", "rounds/a.json"]
    )
    def test_is_read_from_the_rounds_of_this_bucket_only(self, account: Account, uri: str) -> None:
        event: Any = {"labelCategories": [], "labelAttributeName": "species", "payload": {"s3Uri": uri}}
        with pytest.raises(PayloadRefused, match="must lie below s3://data-bucket/rounds/"):
            consolidate_annotations.handler(event, None)

    def test_that_is_not_json_is_named(self, account: Account) -> None:
        event: Any = {
            "labelCategories": [],
            "labelAttributeName": "species",
            "payload": {"s3Uri": account.put(PAYLOAD, b"{")},
        }
        with pytest.raises(ObjectInvalid, match=r"1\.json is not valid JSON"):
            consolidate_annotations.handler(event, None)
