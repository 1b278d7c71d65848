"""Labeling jobs of the offline account: Ground Truth's checks, its counters and the files that it leaves."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.offline.bench import BUCKET, Bench, any_name, opened, status

BOXES = {"PreHumanTaskLambdaArn": "arn:aws:lambda:us-east-1:432418664414:function:PRE-BoundingBox"}
CLASSES = ["crab", "squid", "fish"]
WORKERS = ("private.us-east-1.a", "private.us-east-1.b", "private.us-east-1.c")
PRE = "arn:aws:lambda:us-east-1:432418664414:function:PRE-ImageMultiClass"
ACS = "arn:aws:lambda:us-east-1:432418664414:function:ACS-ImageMultiClass"
TEMPLATE = '<crowd-image-classifier name="crowd-image-classifier" categories="{{ task.input.labels | to_json }}">'


@dataclass
class Scripted:
    """People who answer what the image's own bytes say: `crab squid crab` is one word per worker."""

    asked: list[tuple[str, int]] = field(default_factory=list)

    def answers(self, image: bytes, categories: list[str], workers: int, team: str) -> list[tuple[str, str, float]]:
        self.asked.append((team, workers))
        words = image.decode().split()
        known = [word for word in words[:workers] if word in categories]
        return [(WORKERS[number], word, 2.5 + number) for number, word in enumerate(known)]


@pytest.fixture(scope="module")
def crew() -> Scripted:
    return Scripted()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, crew: Scripted) -> Iterator[Bench]:
    with opened(tmp_path_factory.mktemp("account"), crew=crew) as bench:
        pool = {"UserPool": "us-east-1_abc", "ClientId": "c"}
        bench.sagemaker.create_workforce(WorkforceName="people", CognitoConfig=pool)
        member = {**pool, "UserGroup": "labelers"}
        bench.sagemaker.create_workteam(
            WorkteamName="labelers", Description="all", MemberDefinitions=[{"CognitoMemberDefinition": member}]
        )
        bench.put("categories.json", {"labels": [{"label": name} for name in CLASSES]})
        bench.put("template.liquid.html", TEMPLATE)
        yield bench


def label(bench: Bench, images: Sequence[str], *, wait: bool = True, **request: Any) -> dict[str, Any]:
    """Run a labeling job over images with this content."""
    name = any_name("labeling")
    lines = [
        {"source-ref": bench.put(f"images/{name}/{number}.jpg", content), "content": number}
        for number, content in enumerate(images)
    ]
    human = {
        "WorkteamArn": "arn:aws:sagemaker:us-east-1:123456789012:workteam/private-crowd/labelers",
        "UiConfig": {"UiTemplateS3Uri": f"s3://{BUCKET}/template.liquid.html"},
        "PreHumanTaskLambdaArn": PRE,
        "TaskTitle": "Which species?",
        "TaskDescription": "Choose the species",
        "NumberOfHumanWorkersPerDataObject": 3,
        "TaskTimeLimitInSeconds": 300,
        "AnnotationConsolidationConfig": {"AnnotationConsolidationLambdaArn": ACS},
        **request.pop("HumanTaskConfig", {}),
    }
    manifest = request.pop("manifest", None) or bench.put(f"tasks/{name}.manifest", lines)
    bench.sagemaker.create_labeling_job(
        LabelingJobName=name,
        HumanTaskConfig=human,
        InputConfig={"DataSource": {"S3DataSource": {"ManifestS3Uri": manifest}}},
        **{
            "LabelAttributeName": "species",
            "OutputConfig": {"S3OutputPath": f"s3://{BUCKET}/rounds/r1/labeling-jobs"},
            "RoleArn": bench.role,
            "LabelCategoryConfigS3Uri": f"s3://{BUCKET}/categories.json",
            **request,
        },
    )
    return bench.job("labeling", name, wait=wait)


def output(bench: Bench, job: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines of the output manifest."""
    return [json.loads(line) for line in bench.get(job["LabelingJobOutput"]["OutputDatasetS3Uri"]).splitlines()]


def test_the_output_manifest_has_the_majoritys_labels_in_the_order_of_the_input(bench: Bench) -> None:
    job = label(bench, ["crab crab squid", "squid squid squid", "fish fish fish"])

    assert job["LabelingJobStatus"] == "Completed", job
    uri = f"s3://{BUCKET}/rounds/r1/labeling-jobs/{job['LabelingJobName']}/manifests/output/output.manifest"
    assert job["LabelingJobOutput"]["OutputDatasetS3Uri"] == uri
    lines = output(bench, job)
    assert [line["content"] for line in lines] == [0, 1, 2]
    assert [line["species"] for line in lines] == [0, 1, 2]
    assert [line["species-metadata"]["class-name"] for line in lines] == ["crab", "squid", "fish"]
    assert [line["species-metadata"]["confidence"] for line in lines] == [0.67, 1.0, 1.0]
    metadata = lines[0]["species-metadata"]
    assert (metadata["human-annotated"], metadata["type"]) == ("yes", "groundtruth/image-classification")
    assert metadata["job-name"].endswith(job["LabelingJobName"])


def test_the_confidence_of_a_single_worker_is_zero(bench: Bench) -> None:
    job = label(bench, ["crab crab crab"], HumanTaskConfig={"NumberOfHumanWorkersPerDataObject": 1})

    assert output(bench, job)[0]["species-metadata"]["confidence"] == 0.0


def test_every_workers_answer_is_kept_by_the_index_of_its_object(bench: Bench) -> None:
    job = label(bench, ["crab crab squid", "fish fish fish"])

    prefix = f"rounds/r1/labeling-jobs/{job['LabelingJobName']}/annotations/worker-response/iteration-1/"
    first, second = sorted(bench.keys(prefix))
    assert (first.split("/")[0], second.split("/")[0]) == ("0", "1")
    answers = json.loads(bench.get(f"s3://{BUCKET}/{prefix}{first}"))["answers"]
    assert [answer["workerId"] for answer in answers] == list(WORKERS)
    labels = [answer["answerContent"]["crowd-image-classifier"]["label"] for answer in answers]
    assert labels == ["crab", "crab", "squid"]
    assert [answer["timeSpentInSeconds"] for answer in answers] == [2.5, 3.5, 4.5]
    assert all(answer["acceptanceTime"] < answer["submissionTime"] for answer in answers)


def test_the_other_files_lie_where_ground_truth_writes_them(bench: Bench) -> None:
    job = label(bench, ["crab crab crab"])

    keys = bench.keys(f"rounds/r1/labeling-jobs/{job['LabelingJobName']}/")
    folders = {key.rpartition("/")[0] for key in keys}
    assert folders == {
        "annotations/worker-response/iteration-1/0",
        "annotations/consolidated-annotation/consolidation-request/iteration-1",
        "annotations/consolidated-annotation/consolidation-response/iteration-1",
        "manifests/intermediate/1",
        "manifests/output",
    }


def test_an_object_that_nobody_knows_fails_alone_and_says_why(bench: Bench) -> None:
    job = label(bench, ["crab crab crab", "a thing without a name"])

    assert job["LabelingJobStatus"] == "Completed"
    counters = {name: count for name, count in job["LabelCounters"].items() if count}
    assert counters == {"TotalLabeled": 1, "HumanLabeled": 1, "FailedNonRetryableError": 1}
    labeled, failed = output(bench, job)
    assert "species" in labeled
    assert "species" not in failed
    assert "no worker knew what" in failed["species-metadata"]["failure-reason"]


def test_a_missing_image_fails_its_object(bench: Bench) -> None:
    lines = [{"source-ref": f"s3://{BUCKET}/missing.jpg"}, {"source-ref": bench.put("here.jpg", "crab")}]
    job = label(bench, [], manifest=bench.put("tasks/missing.manifest", lines))

    assert job["LabelCounters"]["FailedNonRetryableError"] == 1
    assert "missing.jpg" in output(bench, job)[0]["species-metadata"]["failure-reason"]


def test_a_job_whose_objects_all_fail_is_failed(bench: Bench) -> None:
    job = label(bench, ["nothing known"])

    assert job["LabelingJobStatus"] == "Failed"
    assert "every object failed" in job["FailureReason"]


def test_the_crew_is_told_the_team_and_how_many_workers_each_object_gets(bench: Bench, crew: Scripted) -> None:
    label(bench, ["crab crab"], HumanTaskConfig={"NumberOfHumanWorkersPerDataObject": 2})

    assert crew.asked[-1] == ("labelers", 2)


def test_a_job_is_initializing_before_it_is_in_progress(bench: Bench) -> None:
    assert label(bench, ["crab"], wait=False)["LabelingJobStatus"] == "Initializing"


def test_six_hundred_objects_take_seconds(bench: Bench) -> None:
    line = {"source-ref": bench.put("one-of-many.jpg", "crab crab crab")}
    manifest = bench.put("tasks/many.manifest", [line] * 600)

    started = time.monotonic()
    job = label(bench, [], manifest=manifest)

    assert job["LabelCounters"]["TotalLabeled"] == 600
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"HumanTaskConfig": {"PreHumanTaskLambdaArn": PRE.replace("ImageMultiClass", "BoundingBox")}},
            "PRE-BoundingBox",
        ),
        ({"LabelCategoryConfigS3Uri": f"s3://{BUCKET}/one.json"}, "at least two labels"),
        ({"HumanTaskConfig": {"UiConfig": {"UiTemplateS3Uri": f"s3://{BUCKET}/one.json"}}}, "crowd-image-classifier"),
        ({"manifest": f"s3://{BUCKET}/one.json"}, "line 1 is not a JSON object with a source-ref"),
    ],
)
def test_inputs_that_ground_truth_would_refuse_fail_the_job(bench: Bench, change: dict[str, Any], reason: str) -> None:
    bench.put("one.json", {"labels": [{"label": "crab"}]})

    job = label(bench, ["crab"], **change)

    assert job["LabelingJobStatus"] == "Failed"
    assert reason in job["FailureReason"]


@pytest.mark.parametrize(
    "change",
    [
        {"LabelAttributeName": "species-metadata"},
        {"HumanTaskConfig": {"WorkteamArn": "arn:aws:sagemaker:us-east-1:123456789012:workteam/private-crowd/nobody"}},
    ],
)
def test_requests_that_ground_truth_would_refuse_make_no_job(bench: Bench, change: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as refused:
        label(bench, ["crab"], **change)

    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_without_people_a_job_waits_until_it_is_stopped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.account.state, "crew", None)
    name = label(bench, ["crab"], wait=False)["LabelingJobName"]
    time.sleep(0.5)
    assert bench.job("labeling", name, wait=False)["LabelingJobStatus"] == "InProgress"

    bench.sagemaker.stop_labeling_job(LabelingJobName=name)

    assert status(bench.job("labeling", name)) == "Stopped"


def test_work_that_nobody_takes_expires(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.account.state, "crew", None)
    monkeypatch.setattr("offline.runners.labeling._DEFAULT_AVAILABILITY_SECONDS", 0.2)

    job = label(bench, ["crab"])

    assert job["LabelingJobStatus"] == "Failed"
    assert "expired" in job["FailureReason"]
    assert job["LabelCounters"]["FailedNonRetryableError"] == 1
