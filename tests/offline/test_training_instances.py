"""What a training job of the offline account meets on its instances: others of its kind, and their end."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from offline.account import Account
from tests.offline.bench import BUCKET, Bench, any_name, unpacked

# Goes on from the last epoch that a checkpoint has, and says so. What it was killed in the middle of is lost.
EPOCHS = """
import json, os, pathlib, signal, sys, time
root = pathlib.Path(os.environ["ML_ROOT"])
values = json.loads((root / "input/config/hyperparameters.json").read_text())
checkpoints = root / "checkpoints"
def stop(*_):
    (checkpoints / "stopped").write_text("in time")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
done = max([int(path.stem) for path in checkpoints.glob("*.epoch")], default=0)
print("starting after", done, sorted(path.name for path in root.glob("*/*") if path.name != "config"))
for epoch in range(done + 1, int(values["epochs"]) + 1):
    (checkpoints / f"{epoch}.epoch").write_text("weights")
    (checkpoints / f"{epoch - 1}.epoch").unlink(missing_ok=True)
    print(f"epoch={epoch}", flush=True)
    if epoch in json.loads(values.get("slow", "[]")):
        time.sleep(30)
(root / "model/epochs").write_text(str(epoch))
"""
# Each host meets the others through the first, as distributed training does.
HOSTS = """
import json, os, pathlib, socket, sys, time
root = pathlib.Path(os.environ["ML_ROOT"])
found = json.loads((root / "input/config/resourceconfig.json").read_text())
values = json.loads((root / "input/config/hyperparameters.json").read_text())
hosts, mine = found["hosts"], found["current_host"]
if values.get("fail") == str(hosts.index(mine)):
    (root / "output/failure").write_text("the second host has no GPU")
    sys.exit(1)
if "fail" in values:
    time.sleep(60)
address = (hosts[0], int(values["port"]))
if mine == hosts[0]:
    with socket.create_server(address) as server:
        for _ in hosts[1:]:
            with server.accept()[0] as met:
                met.sendall(b"hello")
else:
    for _ in range(1200):
        try:
            with socket.create_connection(address) as met:
                assert met.recv(5) == b"hello"
            break
        except OSError:
            time.sleep(0.05)
    else:
        sys.exit("nobody there")
shards = sorted(path.name for path in (root / "input/data/shards").glob("*"))
(root / f"model/{hosts.index(mine)}.json").write_text(json.dumps({"hosts": hosts, "mine": mine, "shards": shards}))
"""


@pytest.fixture(scope="module")
def bench(account: Account) -> Bench:
    return Bench(account)


@pytest.fixture(scope="module")
def epochs(bench: Bench) -> str:
    return bench.image(EPOCHS)


@pytest.fixture(scope="module")
def hosts(bench: Bench) -> str:
    return bench.image(HOSTS)


def spot(**request: Any) -> dict[str, Any]:
    condition = {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900}
    return {"EnableManagedSpotTraining": True, "StoppingCondition": condition, **request}


def channel(uri: str, **source: Any) -> dict[str, Any]:
    mode = {"InputMode": source.pop("mode")} if "mode" in source else {}
    where = {"S3DataType": "S3Prefix", "S3Uri": uri, **source}
    return {"ChannelName": "shards", "DataSource": {"S3DataSource": where}, **mode}


def log(bench: Bench, job: dict[str, Any]) -> str:
    return (bench.account.state.folder / "jobs" / job["TrainingJobName"] / "log.txt").read_text()


def phases(job: dict[str, Any]) -> list[str]:
    return [transition["Status"] for transition in job["SecondaryStatusTransitions"]]


def test_a_spot_training_goes_on_from_its_checkpoints_on_fresh_instances(bench: Bench, epochs: str) -> None:
    name = any_name("spot")
    place = f"s3://{BUCKET}/checkpoints/{name}"
    bench.faults.interrupt_training(times=2, match=lambda job: job["TrainingJobName"] == name)

    job = bench.train(
        epochs,
        TrainingJobName=name,
        HyperParameters={"epochs": "5", "slow": "[1, 2]"},
        CheckpointConfig={"S3Uri": place},
        **spot(),
    )

    assert job["TrainingJobStatus"] == "Completed", job
    life = ["Starting", "Downloading", "Training"]
    assert phases(job) == [*life, "Interrupted", *life, "Interrupted", *life, "Uploading", "Completed"]
    starts = [line for line in log(bench, job).splitlines() if line.startswith("starting")]
    assert starts == [
        "starting after 0 ['data', 'data']",
        "starting after 1 ['1.epoch', 'data', 'data', 'stopped']",
        "starting after 2 ['2.epoch', 'data', 'data', 'stopped']",
    ]
    assert unpacked(bench.get(job["ModelArtifacts"]["S3ModelArtifacts"])) == {"epochs": b"5"}
    assert job["BillableTimeInSeconds"] < job["TrainingTimeInSeconds"]


def test_a_checkpoint_that_the_job_deletes_is_deleted_in_s3(bench: Bench, epochs: str) -> None:
    folder = f"checkpoints/{any_name('kept')}"
    bench.train(epochs, HyperParameters={"epochs": "3"}, CheckpointConfig={"S3Uri": f"s3://{BUCKET}/{folder}"})
    assert bench.keys(f"{folder}/") == ["3.epoch"]
    bench.train(epochs, HyperParameters={"epochs": "4"}, CheckpointConfig={"S3Uri": f"s3://{BUCKET}/{folder}"})
    assert bench.keys(f"{folder}/") == ["4.epoch"]


def test_on_demand_instances_are_never_taken_away(bench: Bench, epochs: str) -> None:
    bench.faults.interrupt_training()
    job = bench.train(epochs, HyperParameters={"epochs": "2"})
    assert "Interrupted" not in phases(job)
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"]


def test_a_job_that_gets_no_spot_instances_in_time_is_stopped(bench: Bench, epochs: str) -> None:
    bench.faults.starve_training()
    demand = bench.train(epochs, HyperParameters={"epochs": "1"})
    assert demand["TrainingJobStatus"] == "Completed"

    job = bench.train(epochs, HyperParameters={"epochs": "1"}, **spot())

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")
    assert "FailureReason" not in job


def test_a_job_whose_instances_never_come_back_leaves_its_checkpoints(bench: Bench, epochs: str) -> None:
    folder = f"checkpoints/{any_name('lost')}"
    bench.faults.interrupt_training(for_good=True)

    job = bench.train(
        epochs,
        HyperParameters={"epochs": "2", "slow": "[1]"},
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/{folder}"},
        **spot(),
    )

    assert (job["TrainingJobStatus"], phases(job)[-2:]) == ("Stopped", ["Interrupted", "MaxWaitTimeExceeded"])
    assert bench.keys(f"{folder}/") == ["1.epoch", "stopped"]


def test_hosts_of_a_job_reach_each_other_and_leave_one_model(bench: Bench, hosts: str, port: int) -> None:
    for number in range(5):
        bench.put(f"many/{number}.txt", "x")

    job = bench.train(
        hosts,
        instances=3,
        HyperParameters={"port": str(port)},
        InputDataConfig=[channel(f"s3://{BUCKET}/many/", S3DataDistributionType="ShardedByS3Key")],
    )

    assert job["TrainingJobStatus"] == "Completed", job
    model = unpacked(bench.get(job["ModelArtifacts"]["S3ModelArtifacts"]))
    seen = [json.loads(model[f"{number}.json"]) for number in range(3)]
    assert [host["mine"] for host in seen] == seen[0]["hosts"] == sorted(seen[0]["hosts"])
    assert sorted(name for host in seen for name in host["shards"]) == [f"{number}.txt" for number in range(5)]


def test_a_host_that_fails_ends_the_others_and_says_why(bench: Bench, hosts: str) -> None:
    job = bench.train(hosts, instances=2, HyperParameters={"fail": "1"})
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: the second host has no GPU, exit code: 1"


def test_a_streamed_folder_is_there_and_cannot_be_written_to(bench: Bench) -> None:
    bench.put("streamed/a/one.txt", "one")
    script = """
import json, os, pathlib
data = pathlib.Path(os.environ["ML_ROOT"]) / "input/data/shards"
found = sorted(path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file())
modes = {oct(path.stat().st_mode & 0o222) for path in (data, *data.rglob("*"))}
(data.parents[2] / "model/found.json").write_text(json.dumps([found, sorted(modes)]))
"""
    job = bench.train(bench.image(script), InputDataConfig=[channel(f"s3://{BUCKET}/streamed/", mode="FastFile")])
    assert job["TrainingJobStatus"] == "Completed", job
    model = unpacked(bench.get(job["ModelArtifacts"]["S3ModelArtifacts"]))
    assert json.loads(model["found.json"]) == [["a/one.txt"], ["0o0"]]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"mode": "FastFile", "S3DataType": "ManifestFile"}, "FastFile takes the S3DataType S3Prefix"),
        ({"mode": "FastFile", "S3DataType": "AugmentedManifestFile"}, "FastFile takes the S3DataType S3Prefix"),
        ({"mode": "Pipe"}, "input modes File and FastFile"),
    ],
)
def test_input_that_cannot_be_had_that_way_is_refused(
    bench: Bench, epochs: str, source: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        bench.train(epochs, InputDataConfig=[channel(f"s3://{BUCKET}/many/", **source)])


def test_a_folder_to_stream_is_named_as_a_whole(bench: Bench, epochs: str) -> None:
    bench.put("many/0.txt", "x")
    job = bench.train(epochs, InputDataConfig=[channel(f"s3://{BUCKET}/man", mode="FastFile")])
    assert "is part of a name" in job["FailureReason"]
