"""What training and processing jobs of the offline account do with their containers."""

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from offline.account import Account
from offline.services.sagemaker import jobs
from tests.offline.bench import BUCKET, Bench, any_name, status, unpacked, until

# What SageMaker's own containers do, in small: read what they are given, work, write what is asked of them.
TRAIN = """
import json, os, pathlib, signal, sys, time
root = pathlib.Path(os.environ["ML_ROOT"])
values = json.loads((root / "input/config/hyperparameters.json").read_text())
if values.get("fail"):
    (root / "output/failure").write_text(values["fail"])
    sys.exit(3)
data = root / "input/data"
found = {str(path.relative_to(data)): path.read_text() for path in data.glob("**/*") if path.is_file()}
saved = root / "checkpoints/last.json"
if saved.exists():
    print("epoch=%s restored" % json.loads(saved.read_text())["epoch"])
for epoch in range(int(values.get("epochs", 2))):
    print(f"epoch={epoch} train:accuracy=0.{epoch}5 noise")
    saved.write_text(json.dumps({"epoch": epoch}))
    time.sleep(float(values.get("sleep", 0)))
seen = {name: os.environ.get(name) for name in ("TRAINING_JOB_NAME", "GREETING", "FROM_IMAGE", "AWS_ENDPOINT_URL")}
(root / "model/seen.json").write_text(json.dumps({"argv": sys.argv[1:], "files": found, "values": values, "env": seen}))
"""
STUBBORN = """
import os, pathlib, signal, time
root = pathlib.Path(os.environ["ML_ROOT"])
def leave(*_):
    (root / "model/last-words.txt").write_text("saved")
    raise SystemExit
signal.signal(signal.SIGTERM, leave)
print("epoch=0 started")
while True:
    time.sleep(0.02)
"""
PROCESS = """
import json, os, pathlib, sys, time
root = pathlib.Path(os.environ["ML_ROOT"])
inputs = (root / "processing/input").glob("**/*")
files = sorted(str(path.relative_to(root / "processing")) for path in inputs if path.is_file())
host = json.loads((root / "config/resourceconfig.json").read_text())["current_host"]
if "--fail" in sys.argv and host == sys.argv[-1]:
    (root / "output/message").write_text("the pool has no manifest")
    sys.exit(1)
if "--fail" in sys.argv:
    time.sleep(600)
(root / f"processing/output/round/{host}.json").write_text(json.dumps({"argv": sys.argv[1:], "files": files}))
"""


@pytest.fixture(scope="module")
def bench(account: Account) -> Bench:
    return Bench(account)


@pytest.fixture(scope="module")
def train(bench: Bench) -> str:
    return bench.image(TRAIN)


@pytest.fixture(scope="module")
def process(bench: Bench) -> str:
    return bench.image(PROCESS)


def channel(name: str, uri: str, kind: str = "S3Prefix") -> dict[str, Any]:
    return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": uri}}}


def source(uri: str, folder: str, *, kind: str = "S3Prefix", sharded: bool = False) -> dict[str, Any]:
    distribution = "ShardedByS3Key" if sharded else "FullyReplicated"
    return {
        "InputName": folder,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"/opt/ml/processing/input/{folder}",
            "S3DataType": kind,
            "S3InputMode": "File",
            "S3DataDistributionType": distribution,
        },
    }


def outputs(key: str) -> dict[str, Any]:
    output = {
        "S3Uri": f"s3://{BUCKET}/{key}",
        "LocalPath": "/opt/ml/processing/output/round",
        "S3UploadMode": "EndOfJob",
    }
    return {"Outputs": [{"OutputName": "round", "S3Output": output}]}


def test_a_training_job_gets_what_it_asked_for_and_leaves_its_model(bench: Bench, train: str) -> None:
    bench.put("datasets/v1/train.manifest", "lines")
    bench.put("images/upload/a.jpg", "pixels of a")
    bench.put("images/upload/b.jpg", "pixels of b")
    manifest = json.dumps([{"prefix": f"s3://{BUCKET}/"}, "images/upload/a.jpg"])
    listing = bench.put("datasets/v1/training-images.json", manifest)

    job = bench.train(
        train,
        HyperParameters={"epochs": "2", "seed": "7"},
        InputDataConfig=[
            channel("dataset", f"s3://{BUCKET}/datasets/v1/"),
            channel("images", listing, "ManifestFile"),
        ],
        Environment={"GREETING": "hello"},
    )

    assert job["TrainingJobStatus"] == "Completed", job
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://{BUCKET}/training/{job['TrainingJobName']}/output/model.tar.gz"
    seen = json.loads(unpacked(bench.get(uri))["seen.json"])
    assert seen["argv"] == ["train"]
    assert seen["values"] == {"epochs": "2", "seed": "7"}
    assert seen["files"] == {
        "dataset/train.manifest": "lines",
        "dataset/training-images.json": manifest,
        "images/images/upload/a.jpg": "pixels of a",
    }
    assert seen["env"]["TRAINING_JOB_NAME"] == job["TrainingJobName"]
    assert seen["env"]["GREETING"] == "hello"
    assert seen["env"]["AWS_ENDPOINT_URL"] == bench.account.endpoint


def test_metrics_are_the_last_values_that_the_jobs_own_expressions_find(bench: Bench, train: str) -> None:
    definitions = [
        {"Name": "train:accuracy", "Regex": "train:accuracy=([0-9.]+)"},
        {"Name": "never", "Regex": "validation:accuracy=([0-9.]+)"},
    ]

    job = bench.train(train, HyperParameters={"epochs": "3"}, AlgorithmSpecification={"MetricDefinitions": definitions})

    metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert metrics == {"train:accuracy": pytest.approx(0.25)}


def test_a_training_job_goes_through_the_states_of_the_service(bench: Bench, train: str) -> None:
    job = bench.train(train)

    passed = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert passed == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all(transition["EndTime"] >= transition["StartTime"] for transition in job["SecondaryStatusTransitions"])
    assert job["SecondaryStatus"] == "Completed"
    assert job["TrainingStartTime"] <= job["TrainingEndTime"]


def test_a_training_job_is_in_progress_before_it_is_completed(
    bench: Bench, train: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "FIRST_STATE_SECONDS", 600)
    job = bench.train(train, wait=False)

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("InProgress", "Starting")
    assert "ModelArtifacts" not in job or job["ModelArtifacts"]["S3ModelArtifacts"] == ""
    bench.sagemaker.stop_training_job(TrainingJobName=job["TrainingJobName"])
    bench.job("training", job["TrainingJobName"])


def test_the_failure_file_becomes_the_failure_reason(bench: Bench, train: str) -> None:
    job = bench.train(train, HyperParameters={"fail": "the split has no validation objects"})

    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: the split has no validation objects, exit code: 3"


def test_a_channel_without_objects_fails_the_job_before_it_starts(bench: Bench, train: str) -> None:
    job = bench.train(train, InputDataConfig=[channel("dataset", f"s3://{BUCKET}/nothing/here/")])

    assert job["TrainingJobStatus"] == "Failed"
    assert "no objects found under s3://bench/nothing/here/" in job["FailureReason"]


def test_an_image_that_nobody_built_fails_the_job(bench: Bench, train: str) -> None:
    missing = f"{train.rpartition(':')[0]}:missing"

    job = bench.train(missing)

    assert job["TrainingJobStatus"] == "Failed"
    assert f"Cannot pull the image {missing}" in job["FailureReason"]


def test_a_stopped_training_job_may_save_its_model(bench: Bench) -> None:
    name = bench.train(bench.image(STUBBORN), wait=False)["TrainingJobName"]
    log = bench.account.state.folder / "jobs" / name / "log.txt"
    until(lambda: log.exists() and log.read_text(), lambda text: text and "started" in text)

    bench.sagemaker.stop_training_job(TrainingJobName=name)
    job = bench.job("training", name)

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert unpacked(bench.get(job["ModelArtifacts"]["S3ModelArtifacts"])) == {"last-words.txt": b"saved"}


def test_a_job_that_ignores_sigterm_is_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offline.runners.container.GRACE_SECONDS", 0.3)
    deaf = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('started')\ntime.sleep(600)"
    name = bench.train(bench.image(deaf), wait=False)["TrainingJobName"]
    log = bench.account.state.folder / "jobs" / name / "log.txt"
    until(lambda: log.exists() and log.read_text(), bool)

    bench.sagemaker.stop_training_job(TrainingJobName=name)

    assert status(bench.job("training", name)) == "Stopped"


def test_a_job_that_runs_too_long_is_stopped(bench: Bench, train: str) -> None:
    started = time.monotonic()
    job = bench.train(train, HyperParameters={"sleep": "600"}, StoppingCondition={"MaxRuntimeInSeconds": 1}, wait=True)

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert time.monotonic() - started < 120


def test_checkpoints_are_kept_in_s3_and_given_to_the_next_job(bench: Bench, train: str) -> None:
    place = {"S3Uri": f"s3://{BUCKET}/checkpoints/{any_name('run')}"}

    first = bench.train(train, HyperParameters={"epochs": "4"}, CheckpointConfig=place)
    second = bench.train(train, HyperParameters={"epochs": "1"}, CheckpointConfig=place)

    assert first["TrainingJobStatus"] == second["TrainingJobStatus"] == "Completed"
    log = (bench.account.state.folder / "jobs" / second["TrainingJobName"] / "log.txt").read_text()
    assert "epoch=3 restored" in log


def test_a_planned_failure_ends_the_job_with_its_reason(bench: Bench, train: str) -> None:
    name = any_name("unlucky")
    bench.faults.fail_job("training", "ClientError: no capacity", match=lambda one: one["TrainingJobName"] == name)

    job = bench.train(train, TrainingJobName=name)

    assert (job["TrainingJobStatus"], job["FailureReason"]) == ("Failed", "ClientError: no capacity")


def test_a_processing_job_reads_its_inputs_and_writes_its_outputs(bench: Bench, process: str) -> None:
    bench.put("rounds/r1/pool.manifest", "pool")
    bench.put("images/c.jpg", "c")
    listing = bench.put("rounds/r1-images.json", json.dumps([{"prefix": f"s3://{BUCKET}/"}, "images/c.jpg"]))

    job = bench.process(
        process,
        AppSpecification={"ContainerArguments": ["score", "--seed", "1"]},
        ProcessingInputs=[
            source(f"s3://{BUCKET}/rounds/r1/", "pool"),
            source(f"s3://{BUCKET}/rounds/r1/pool.manifest", "single"),
            source(listing, "images", kind="ManifestFile"),
        ],
        ProcessingOutputConfig=outputs("rounds/r1/scored"),
    )

    assert job["ProcessingJobStatus"] == "Completed", job
    written = json.loads(bench.get(f"s3://{BUCKET}/rounds/r1/scored/algo-1.json"))
    assert written == {
        "argv": ["score", "--seed", "1"],
        "files": ["input/images/images/c.jpg", "input/pool/pool.manifest", "input/single/pool.manifest"],
    }


@pytest.mark.parametrize("kind", ["S3Prefix", "ManifestFile"])
def test_sharding_gives_each_host_its_share_and_keeps_every_hosts_output(bench: Bench, process: str, kind: str) -> None:
    names = [f"{number}.txt" for number in range(5)]
    for name in names:
        bench.put(f"shards/{name}", "x")
    uri = f"s3://{BUCKET}/shards/"
    if kind == "ManifestFile":
        uri = bench.put("shards.json", json.dumps([{"prefix": uri}, *names]))

    job = bench.process(
        process,
        instances=2,
        ProcessingInputs=[source(uri, "pool", kind=kind, sharded=True), source(uri, "known", kind=kind)],
        ProcessingOutputConfig=outputs(f"sharded/{kind}"),
    )

    assert job["ProcessingJobStatus"] == "Completed", job
    files = [json.loads(bench.get(f"s3://{BUCKET}/sharded/{kind}/algo-{host}.json"))["files"] for host in (1, 2)]
    shares = [[file for file in host if file.startswith("input/pool/")] for host in files]
    assert sorted(len(share) for share in shares) == [2, 3]
    assert sorted(shares[0] + shares[1]) == [f"input/pool/{name}" for name in names]
    assert [sum(file.startswith("input/known/") for file in host) for host in files] == [5, 5]


def test_the_message_of_a_failed_processing_job_is_its_exit_message(bench: Bench, process: str) -> None:
    job = bench.process(
        process,
        AppSpecification={"ContainerArguments": ["--fail", "algo-1"]},
        ProcessingOutputConfig=outputs("no"),
    )

    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Failed", "the pool has no manifest")
    assert "exit code: 1" in job["FailureReason"]
    assert bench.keys("no/") == []


def test_an_instance_that_fails_ends_the_others_and_its_job(bench: Bench, process: str) -> None:
    started = time.monotonic()

    job = bench.process(process, instances=2, AppSpecification={"ContainerArguments": ["--fail", "algo-2"]})

    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Failed", "the pool has no manifest")
    assert "exit code: 1" in job["FailureReason"]
    assert time.monotonic() - started < 120


@pytest.mark.parametrize("folder", ["/etc/pool", "/opt/ml/input/pool", "opt/ml/processing/pool", None])
def test_an_input_outside_of_opt_ml_processing_is_refused(bench: Bench, folder: str | None) -> None:
    item = source(f"s3://{BUCKET}/anything/", "pool")
    item["S3Input"]["LocalPath"] = folder
    if folder is None:
        del item["S3Input"]["LocalPath"]

    with pytest.raises(ClientError, match=r"input pool: LocalPath .* must begin with /opt/ml/processing/"):
        bench.process("never-pulled", ProcessingInputs=[item])


def test_an_input_that_this_account_cannot_read_is_refused(bench: Bench) -> None:
    with pytest.raises(ClientError, match="input pool: this account reads S3Input alone"):
        bench.process("never-pulled", ProcessingInputs=[{"InputName": "pool"}])


def test_an_output_outside_of_opt_ml_fails_the_job(bench: Bench, process: str) -> None:
    config = outputs("anything")
    config["Outputs"][0]["S3Output"]["LocalPath"] = "/etc/pool"

    job = bench.process(process, ProcessingOutputConfig=config)

    assert "LocalPath '/etc/pool': this account has paths below /opt/ml/ alone" in job["FailureReason"]
