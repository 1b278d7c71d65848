"""Labeling jobs of the offline account: Ground Truth's checks, its counters and the files that it leaves."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from offline.runners.labeling import rules
from offline.services.sagemaker import jobs
from tests.offline.bench import BUCKET, Bench, status, until
from tests.offline.labeling import WORKERS, Scripted, counters, label, labeling_bench, output, responses


@pytest.fixture(scope="module")
def crew() -> Scripted:
    return Scripted()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, crew: Scripted) -> Iterator[Bench]:
    with labeling_bench(tmp_path_factory.mktemp("account"), crew) as bench:
        yield bench


@pytest.fixture(autouse=True)
def _no_faults_left(bench: Bench) -> Iterator[None]:
    yield
    bench.faults.clear()


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

    answers = responses(bench, job)["0"]
    assert set(responses(bench, job)) == {"0", "1"}
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
    assert counters(job) == {"TotalLabeled": 1, "HumanLabeled": 1, "FailedNonRetryableError": 1}
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

    assert (crew.asked[-1]["team"], crew.asked[-1]["workers"]) == ("labelers", 2)
    assert crew.asked[-1]["categories"] == ["crab", "squid", "fish"]


def test_a_job_is_initializing_before_it_is_in_progress(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "FIRST_STATE_SECONDS", 600)
    job = label(bench, ["crab"], wait=False)

    assert job["LabelingJobStatus"] == "Initializing"
    bench.sagemaker.stop_labeling_job(LabelingJobName=job["LabelingJobName"])
    bench.job("labeling", job["LabelingJobName"])


def test_six_hundred_objects_take_seconds(bench: Bench) -> None:
    line = {"source-ref": bench.put("one-of-many.jpg", "crab crab crab")}
    manifest = bench.put("tasks/many.manifest", [line] * 600)

    started = time.monotonic()
    job = label(bench, [], manifest=manifest)

    assert job["LabelCounters"]["TotalLabeled"] == 600
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"LabelCategoryConfigS3Uri": f"s3://{BUCKET}/one.json"}, "at least two labels"),
        ({"HumanTaskConfig": {"UiConfig": {"UiTemplateS3Uri": f"s3://{BUCKET}/one.json"}}}, "crowd-image-classifier"),
        ({"manifest": f"s3://{BUCKET}/one.json"}, "line 1 is not a JSON object with a source-ref"),
        ({"manifest": f"s3://{BUCKET}/latin.manifest"}, "line 2 is not UTF-8"),
        ({"manifest": f"s3://{BUCKET}/long.manifest"}, "line 1 has 100"),
        ({"manifest": f"s3://{BUCKET}/dollar.manifest"}, "must not begin with '$'"),
        ({"LabelCategoryConfigS3Uri": f"s3://{BUCKET}/long.json"}, "1 to 256 characters"),
    ],
)
def test_inputs_that_ground_truth_would_refuse_fail_the_job(bench: Bench, change: dict[str, Any], reason: str) -> None:
    bench.put("one.json", {"labels": [{"label": "crab"}]})
    bench.put("long.json", {"labels": [{"label": "crab"}, {"label": "c" * 257}]})
    image = bench.put("image.jpg", "crab")
    bench.put(
        "latin.manifest",
        f'{{"source-ref": "{image}"}}\n{{"source-ref": "{image}", "who": "Ren\u00e9"}}'.encode("latin-1"),
    )
    bench.put("long.manifest", [{"source-ref": image, "note": "n" * 100_000}])
    bench.put("dollar.manifest", [{"source-ref": image, "$note": ""}])

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
    until(lambda: bench.job("labeling", name, wait=False)["LabelingJobStatus"], lambda status: status == "InProgress")

    bench.sagemaker.stop_labeling_job(LabelingJobName=name)

    assert status(bench.job("labeling", name)) == "Stopped"


def test_work_that_nobody_takes_expires(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.account.state, "crew", None)
    monkeypatch.setitem(rules.DEFAULT_AVAILABILITY_SECONDS, False, 0.2)

    job = label(bench, ["crab"])

    assert job["LabelingJobStatus"] == "Failed"
    assert "expired" in job["FailureReason"]
    assert job["LabelCounters"]["FailedNonRetryableError"] == 1


def test_objects_that_nobody_took_in_time_fail_and_the_others_keep_their_labels(bench: Bench) -> None:
    bench.faults.expire_labeling(after_objects=2)

    job = label(bench, ["crab", "crab", "crab", "crab"])

    assert job["LabelingJobStatus"] == "Completed"
    assert counters(job) == {"TotalLabeled": 2, "HumanLabeled": 2, "FailedNonRetryableError": 2}
    lines = output(bench, job)
    assert ["species" in line for line in lines] == [True, True, False, False]
    assert all("Annotation tasks expired" in line["species-metadata"]["failure-reason"] for line in lines[2:])
    assert set(responses(bench, job)) == {"0", "1"}


def test_an_object_with_some_of_its_answers_is_consolidated_from_those(bench: Bench) -> None:
    (line,) = output(bench, label(bench, ["crab crab"]))

    assert line["species-metadata"]["confidence"] == 1.0


def test_a_job_that_is_stopped_half_way_keeps_what_people_said_so_far(bench: Bench) -> None:
    bench.faults.stall_job("labeling", after_objects=1)
    name = label(bench, ["crab", "squid"], wait=False)["LabelingJobName"]
    until(lambda: bench.job("labeling", name, wait=False)["LabelCounters"]["HumanLabeled"], bool)

    bench.sagemaker.stop_labeling_job(LabelingJobName=name)

    job = bench.job("labeling", name)
    assert job["LabelingJobStatus"] == "Stopped"
    assert [line["species"] for line in output(bench, job)] == [0]
    assert counters(job) == {"TotalLabeled": 1, "HumanLabeled": 1, "Unlabeled": 1}


def test_a_job_that_fails_half_way_says_why(bench: Bench) -> None:
    bench.faults.fail_job("labeling", "InternalServerError: the workforce went home", after_objects=1)

    job = label(bench, ["crab", "squid"])

    assert (job["LabelingJobStatus"], job["FailureReason"]) == (
        "Failed",
        "InternalServerError: the workforce went home",
    )
    assert set(responses(bench, job)) == {"0"}


@pytest.mark.parametrize("conditions", [{"MaxHumanLabeledObjectCount": 2}, {"MaxPercentageOfInputDatasetLabeled": 50}])
def test_a_stopping_condition_stops_the_job(bench: Bench, conditions: dict[str, int]) -> None:
    job = label(bench, ["crab"] * 4, StoppingConditions=conditions)

    assert job["LabelingJobStatus"] == "Stopped"
    assert len(output(bench, job)) == 2
