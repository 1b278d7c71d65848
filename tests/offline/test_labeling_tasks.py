"""Task types beside image classification: boxes, reviews of boxes, the account's own functions."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from offline.boxes import Box
from tests.offline.bench import BUCKET, Bench, any_name
from tests.offline.labeling import Scripted, counters, functions, label, labeling_bench, output, responses

CRAB = Box("crab", 10, 20, 30, 40)
FISH = Box("fish", 60, 10, 20, 20)
PAGES = {
    "boxes": '<crowd-bounding-box name="boundingBox" labels="{{ task.input.labels | to_json | escape }}">',
    "review": """<crowd-bounding-box name="boundingBox" labels="{{ task.input.labels | to_json | escape }}"
      initial-value="[{% for box in task.input.manifestLine.boxes.annotations %} ... {% endfor %}]">""",
    "verdict": """<crowd-image-classifier name="crowd-image-classifier" categories="['right', 'wrong']"
      overlay='{"boundingBox": {{ task.input.manifestLine["boxes"].annotations | to_json }}}'>""",
    "custom": '<crowd-image-classifier name="species" src="{{ task.input.picture | grant_read_access }}" '
    'categories="{{ task.input.names | to_json | escape }}">',
}


@pytest.fixture(scope="module")
def crew() -> Scripted:
    return Scripted()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, crew: Scripted) -> Iterator[Bench]:
    with labeling_bench(tmp_path_factory.mktemp("account"), crew) as bench:
        for name, page in PAGES.items():
            bench.put(f"{name}.liquid.html", page)
        yield bench


@pytest.fixture(autouse=True)
def _nobody_has_said_anything(crew: Scripted) -> Iterator[None]:
    yield
    crew.drawings, crew.say = [], ""


def picture(colour: tuple[int, int, int] = (0, 90, 160), size: tuple[int, int] = (100, 80)) -> bytes:
    body = io.BytesIO()
    Image.new("RGB", size, colour).save(body, "PNG")
    return body.getvalue()


def page(name: str) -> dict[str, Any]:
    return {"UiConfig": {"UiTemplateS3Uri": f"s3://{BUCKET}/{name}.liquid.html"}}


# ---- Boxes -----------------------------------------------------------------------------------------------------------


def moved(box: Box, by: float) -> Box:
    return Box(box.label, box.left + by, box.top, box.width, box.height)


def draw(bench: Bench, **request: Any) -> dict[str, Any]:
    human = {**functions("BoundingBox"), **page("boxes"), **request.pop("HumanTaskConfig", {})}
    return label(bench, [picture()], **{"LabelAttributeName": "boxes", **request}, HumanTaskConfig=human)


def test_boxes_that_most_people_drew_are_consolidated_at_the_median(bench: Bench, crew: Scripted) -> None:
    crew.drawings = [[CRAB, FISH], [moved(CRAB, 2)], [moved(CRAB, 3), moved(FISH, 1)]]

    job = draw(bench)

    (line,) = output(bench, job)
    assert line["boxes"] == {
        "image_size": [{"width": 100, "height": 80, "depth": 3}],
        "annotations": [
            {"class_id": 0, "left": 12, "top": 20, "width": 30, "height": 40},
            {"class_id": 2, "left": 60, "top": 10, "width": 20, "height": 20},
        ],
    }
    about = line["boxes-metadata"]
    assert about["objects"] == [{"confidence": 1.0}, {"confidence": 0.67}]
    assert about["class-map"] == {"0": "crab", "2": "fish"}
    assert (about["type"], about["human-annotated"]) == ("groundtruth/object-detection", "yes")


def test_a_drawing_is_kept_as_the_page_submits_it(bench: Bench, crew: Scripted) -> None:
    crew.drawings = [[CRAB]]

    (answers,) = responses(bench, draw(bench)).values()

    assert answers[0]["answerContent"] == {
        "boundingBox": {
            "boundingBoxes": [{"height": 40, "label": "crab", "left": 10, "top": 20, "width": 30}],
            "inputImageProperties": {"height": 80, "width": 100},
        }
    }


def test_a_picture_without_anything_in_it_is_labeled_with_no_boxes(bench: Bench, crew: Scripted) -> None:
    crew.drawings = [[], [], []]

    (line,) = output(bench, draw(bench))

    assert line["boxes"]["annotations"] == []
    assert line["boxes-metadata"]["class-map"] == {}


def test_what_is_no_image_fails_its_object(bench: Bench, crew: Scripted) -> None:
    crew.drawings = [[CRAB]]
    lines = [{"source-ref": bench.put("text.png", "no image")}, {"source-ref": bench.put("image.txt", picture())}]

    job = draw(bench, manifest=bench.put("tasks/no-images.manifest", lines))

    reasons = [line["boxes-metadata"]["failure-reason"] for line in output_of_failed(bench, job)]
    assert "is not an image" in reasons[0]
    assert "image to label is .jpg" in reasons[1]


def output_of_failed(bench: Bench, job: dict[str, Any]) -> list[dict[str, Any]]:
    assert job["LabelingJobStatus"] == "Failed"
    return output(bench, job)


@pytest.mark.parametrize(
    ("drawings", "status"),
    [([[CRAB], [CRAB]], "unadjusted"), ([[CRAB], [moved(CRAB, 3)]], "adjusted")],
)
def test_an_adjustment_shows_the_earlier_boxes_and_says_whether_anybody_changed_them(
    bench: Bench, crew: Scripted, drawings: list[list[Box]], status: str
) -> None:
    crew.drawings = [[CRAB]] * 3
    earlier = draw(bench)["LabelingJobOutput"]["OutputDatasetS3Uri"]
    crew.drawings = drawings

    job = draw(
        bench,
        manifest=earlier,
        LabelAttributeName="boxes-adjusted",
        HumanTaskConfig={**functions("AdjustmentBoundingBox"), **page("review")},
    )

    assert crew.asked[-1]["shown"] == [CRAB]
    (line,) = output(bench, job)
    assert line["boxes-adjusted-metadata"]["adjustment-status"] == status
    assert line["boxes"]["annotations"][0]["left"] == 10


def test_a_verification_gives_a_verdict_on_the_earlier_boxes(bench: Bench, crew: Scripted) -> None:
    crew.drawings = [[CRAB]] * 3
    earlier = draw(bench)["LabelingJobOutput"]["OutputDatasetS3Uri"]
    crew.say = "wrong wrong right"
    bench.put("verdicts.json", {"labels": [{"label": "right"}, {"label": "wrong"}]})

    job = draw(
        bench,
        manifest=earlier,
        LabelAttributeName="boxes-verified",
        LabelCategoryConfigS3Uri=f"s3://{BUCKET}/verdicts.json",
        HumanTaskConfig={**functions("VerificationBoundingBox"), **page("verdict")},
    )

    (line,) = output(bench, job)
    assert line["boxes-verified"] == "1"
    about = line["boxes-verified-metadata"]
    assert (about["class-name"], about["confidence"], about["type"]) == (
        "wrong",
        0.67,
        "groundtruth/label-verification",
    )


def test_a_review_must_write_to_another_attribute_than_it_reads(bench: Bench) -> None:
    job = draw(bench, HumanTaskConfig={**functions("AdjustmentBoundingBox"), **page("review")})

    assert job["LabelingJobStatus"] == "Failed"
    assert "LabelAttributeName 'boxes' is the one of the labels that are reviewed" in job["FailureReason"]


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [("BoundingBox", "custom", "no crowd-bounding-box"), ("AdjustmentBoundingBox", "boxes", "shows no boxes")],
)
def test_a_page_that_does_not_ask_what_the_task_type_needs_fails_the_job(
    bench: Bench, kind: str, name: str, reason: str
) -> None:
    job = draw(bench, HumanTaskConfig={**functions(kind), **page(name)})

    assert reason in job["FailureReason"]


# ---- The account's own functions -------------------------------------------------------------------------------------

OWN = """
import json

def prepare(event, context):
    line = event["dataObject"]
    assert event["version"] == "2018-10-16" and event["labelingJobArn"].startswith("arn:aws:sagemaker:")
    if line["content"] == 3:
        raise RuntimeError("there is no content 3")
    return {
        "taskInput": {"picture": line["source-ref"], "names": ["crab", "squid", "(cannot tell)"]},
        "isHumanAnnotationRequired": line["content"] != 1,
        "humanAnnotationRequired": "true" if line["content"] != 2 else "false",
    }

def consolidate(event, context):
    import boto3
    bucket, key = event["payload"]["s3Uri"].removeprefix("s3://").split("/", 1)
    items = json.loads(boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    name = event["labelAttributeName"]
    said = {
        item["datasetObjectId"]: [json.loads(one["annotationData"]["content"]) for one in item["annotations"]]
        for item in items
    }
    return [
        {"datasetObjectId": index, "consolidatedAnnotation": {"content": {name: {
            "label": answers[0]["species"]["label"], "votes": len(answers),
            "categories": event["labelCategories"], "role": event["roleArn"]}}}}
        for index, answers in said.items() if answers[0]["species"]["label"] != "squid"
    ]
"""


@pytest.fixture(scope="module")
def own(bench: Bench) -> dict[str, Any]:
    """HumanTaskConfig of a custom task with functions of the account."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("own.py", OWN)
    arns = [
        bench.account.client("lambda").create_function(
            FunctionName=any_name("SageMaker"),
            Runtime="python3.13",
            Timeout=60,
            Role=bench.role,
            Handler=f"own.{handler}",
            Code={"ZipFile": code.getvalue()},
        )["FunctionArn"]
        for handler in ("prepare", "consolidate")
    ]
    after = {"AnnotationConsolidationLambdaArn": arns[1]}
    return {"PreHumanTaskLambdaArn": arns[0], "AnnotationConsolidationConfig": after, **page("custom")}


def test_a_custom_task_shows_what_its_function_prepared_and_takes_the_label_of_the_other(
    bench: Bench, crew: Scripted, own: dict[str, Any]
) -> None:
    job = label(bench, ["crab crab", "crab", "crab", "crab", "squid"], HumanTaskConfig=own)

    assert crew.asked[-1]["categories"] == ["crab", "squid", "(cannot tell)"]
    labeled, excused, excused_too, broken, refused = output(bench, job)
    assert labeled["species"] == {
        "label": "crab",
        "votes": 2,
        "categories": ["crab", "squid", "fish"],
        "role": bench.role,
    }
    assert labeled["species-metadata"]["type"] == "groundtruth/custom"
    assert "species-metadata" not in {**excused, **excused_too}
    assert "there is no content 3" in broken["species-metadata"]["failure-reason"]
    assert "returned no label for this object" in refused["species-metadata"]["failure-reason"]
    assert counters(job) == {"TotalLabeled": 1, "HumanLabeled": 1, "FailedNonRetryableError": 2, "Unlabeled": 2}


def test_a_function_that_is_gone_fails_the_objects_with_the_reason(bench: Bench, own: dict[str, Any]) -> None:
    gone = {"AnnotationConsolidationLambdaArn": "arn:aws:lambda:us-east-1:123456789012:function:gone"}

    job = label(bench, ["crab"], HumanTaskConfig={**own, "AnnotationConsolidationConfig": gone})

    assert job["LabelingJobStatus"] == "Failed"
    assert "function:gone" in job["FailureReason"]
