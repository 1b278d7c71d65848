"""The summary of a run, from what the account and the devices' logs say, and from nothing else."""

import itertools
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from console.demo.fleet import Fleet
from console.demo.measure import check_recipe
from console.demo.pictures import Collection
from console.demo.summary import Collector
from console.errors import Failure
from console.executions import Execution
from console.photos import Photo
from console.project import Project
from offline.account import Account
from offline.broker import Broker
from reefloop.deployment import records
from reefloop.deployment.records import Stored
from tests.any import any_evaluation, any_package, any_round
from tests.unit.console.packages import PARITY, not_compiled

Put = Callable[[str, object], None]
Keep = Callable[[str, str, dict[str, Any]], None]

TRUTH = {"aa": "crab", "bb": "crab", "cc": "squid", "dd": "squid"}


@dataclass
class Camera:
    """What the fleet knows of a device: where its files are."""

    root: Path
    frames: Path = field(default_factory=Path)

    def stop(self) -> None:
        """It never ran."""


@pytest.fixture
def bucket(account: Account) -> str:
    name = any_round()
    account.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def put(account: Account, bucket: str) -> Put:
    """Writes an object: bytes as they are, a list as JSON Lines, anything else as JSON."""

    def write(key: str, content: object) -> None:
        if isinstance(content, list):
            content = "".join(f"{json.dumps(line)}\n" for line in content).encode()
        elif not isinstance(content, bytes):
            content = json.dumps(content).encode()
        account.client("s3").put_object(Bucket=bucket, Key=key, Body=content)

    return write


@pytest.fixture
def table(account: Account) -> str:
    """The table of what devices said."""
    name = any_round()
    keys = {records.THING: "HASH", records.ITEM: "RANGE"}
    account.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


@pytest.fixture
def keep(account: Account, table: str) -> Keep:
    """Writes a record of a device into the table."""
    numbers = itertools.count(1)

    def write(thing: str, kind: str, body: dict[str, Any]) -> None:
        now = int(1000 * time.time())
        record = Stored(kind, "1795000000000-0a1b2c3d", next(numbers), now, now, body)
        name = records.item(kind, record.boot, record.seq)
        item = records.key(thing, name) | records.write(record, expires_at=now)
        account.client("dynamodb").put_item(TableName=table, Item=item)

    return write


@pytest.fixture
def collector(account: Account, bucket: str, table: str) -> Collector:
    outputs = {"storage": {"DataBucket": bucket, "ArtifactBucket": bucket}, "deployment": {"RecordsTable": table}}
    project = Project(outputs)
    photos = tuple(Photo(Path(name), f"{name:0<64}", ".jpg", label) for name, label in TRUTH.items())
    return Collector(
        account.client, project, Fleet(account.state, project), Collection(("crab", "squid"), {"all": photos})
    )


def source(bucket: str, name: str, folder: str = "images/upload") -> str:
    return f"s3://{bucket}/{folder}/{name:0<16}.jpg"


def labeled(uri: str, label: str, human: str) -> dict[str, Any]:
    metadata = {"class-name": label, "human-annotated": human, "confidence": 0.9}
    return {"source-ref": uri, "species": 0, "species-metadata": metadata}


def execution(**output: Any) -> Execution:
    now = datetime.now(UTC)
    return Execution("arn:aws:states:::execution:loop:round-1", "loop", "SUCCEEDED", now, now, {}, output)


def test_a_round_counts_its_labels_by_who_gave_them(collector: Collector, bucket: str, put: Put) -> None:
    aa, bb, cc = (source(bucket, name) for name in ("aa", "bb", "cc"))
    put(
        "rounds/1/consolidated.manifest",
        [labeled(aa, "crab", "no"), labeled(bb, "crab", "yes"), labeled(cc, "crab", "yes")],
    )
    put("models/1-0a1b2c3d/model.json", {"epochs": 7})
    put("models/1-0a1b2c3d/evaluation.json", any_evaluation("1-0a1b2c3d", error=0.12))

    found = collector.round(
        "1", execution(labeling={"objects": 3}, training={"model_version": "1-0a1b2c3d", "accepted": True})
    )

    assert found == {
        "round": "1",
        "objects": 3,
        "machine_labels": 1,
        "human_labels": 2,
        "label_error": 0.3333,
        "training_epochs": 7,
        "validation": {"accuracy": 0.92, "low": 0.84, "high": 0.96, "objects": 800},
        "test": {"accuracy": 0.88, "low": 0.76, "high": 0.94, "objects": 100},
        "advice": ["Work on avoidable bias."],
        "stage_seconds": {},
    }


def test_a_round_says_how_long_each_stage_took(collector: Collector) -> None:
    began = datetime(2026, 1, 31, 12, tzinfo=UTC)
    stages = [
        replace(execution(), stage=stage, started=began, stopped=began + timedelta(seconds=seconds))
        for stage, seconds in (("labeling", 20.04), ("training", 70))
    ]
    assert collector.round("1", replace(execution(), children=tuple(stages)))["stage_seconds"] == {
        "labeling": 20.0,
        "training": 70.0,
    }


@pytest.mark.parametrize(("accuracy", "high", "learned"), [(0.95, 0.98, True), (0.88, 0.93, True), (0.8, 0.89, False)])
def test_the_demo_fails_where_a_model_surely_learned_too_little(accuracy: float, high: float, learned: bool) -> None:
    worse = {"accuracy": accuracy, "low": 0.7, "high": high, "objects": 70}
    rounds = [{"round": "1", "validation": None}, {"round": "2", "validation": worse}]
    with nullcontext() if learned else pytest.raises(Failure, match=r"round 2 has a validation accuracy of 80\.0%"):
        check_recipe(rounds)


def test_a_round_without_new_images_has_no_numbers_but_its_zeros(collector: Collector) -> None:
    assert collector.round("2", execution(labeling={"objects": 0, "dataset_version": ""})) == {
        "round": "2",
        "objects": 0,
        "machine_labels": 0,
        "human_labels": 0,
        "label_error": None,
        "training_epochs": None,
        "validation": None,
        "test": None,
        "advice": [],
        "stage_seconds": {},
    }


def test_the_human_level_is_what_the_last_round_knows(collector: Collector, put: Put) -> None:
    put("rounds/last/human-level.json", {"who": "team of experts", "candidates": []})
    assert collector.human_level({"1": execution(), "last": execution()})["who"] == "team of experts"
    assert collector.human_level({"1": execution()}) == {}


def test_a_compiled_target_brings_what_was_measured_of_it(collector: Collector) -> None:
    compiled = any_package("ios", bytes=2048, parity=PARITY)
    (found,) = collector.targets({"1": execution(compilation={"packages": [compiled]})})
    assert (found["bytes"], found["artifact_key"], found["parity"]) == (2048, compiled["key"], PARITY)


def test_a_refused_target_has_no_bytes_and_says_why(collector: Collector) -> None:
    refused = not_compiled("imx8mplus")
    (found,) = collector.targets({"1": execution(compilation={"packages": [refused]})})
    assert found == {
        "target": "imx8mplus",
        "outcome": "refused",
        "artifact_key": "",
        "bytes": 0,
        "failure": refused["failure"],
        "parity": None,
    }


def test_the_targets_are_those_of_the_last_round_that_compiled(collector: Collector) -> None:
    packages = [not_compiled(name) for name in ("qcs605", "imx8mplus")]
    rounds = {
        "1": execution(compilation={"packages": packages[:1]}),
        "2": execution(compilation={"packages": packages[1:]}),
        "3": execution(labeling={"objects": 0}),
    }
    assert [target["target"] for target in collector.targets(rounds)] == ["imx8mplus"]
    assert collector.targets({}) == []


def test_what_devices_saw_and_sent_is_measured(collector: Collector, keep: Keep, put: Put, tmp_path: Path) -> None:
    results = tmp_path / "work" / "reefloop.Classifier" / "results"
    results.mkdir(parents=True)
    lines = [
        {"frame": f"{name:0<16}.jpg", "label": "crab", "model_version": "1", "at": f"2026-11-22T10:00:0{second}.000Z"}
        for second, name in enumerate(TRUTH)
    ]
    (results / "0000000001.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    collector.fleet.cameras["north"] = Camera(tmp_path)  # type: ignore[assignment]
    seen = tmp_path / "frame.jpg"
    seen.write_bytes(b"x" * 500)
    collector.fleet.fed["north"] = [Photo(seen, name, ".jpg") for name in TRUTH]
    keep("north", "summary", {"frames": 4, "species": {}})
    keep("north", "health", {"frames_per_second": 0.4, "uptime_seconds": 10, "latency_ms": {"p50": 2.5, "p99": 9.0}})
    keep("north", "alert", {"species": "crab", "probability": 0.97})
    keep("somebody-elses", "alert", {"species": "crab", "probability": 0.97})
    put("images/edge/north/1.jpg", b"z" * 500)
    put("images/edge/somebody-elses/1.jpg", b"z" * 500)
    with collector.fleet:
        broker = collector.fleet.state.only(Broker)
        broker.publish("reefloop/north/alert", b"y" * 80, client="north")
        broker.publish("reefloop/north/ack", b"w" * 900, client="cloud")

    found = collector.work_of_devices()

    assert found == {
        "frames": 4,
        "frames_per_second": 1.0,
        "latency_ms": {"p50": 2.5, "p99": 9.0},
        "alerts": [{"thing": "north", "species": "crab", "alerts": 1, "probability": 0.97}],
        "frames_sent": 1,
        "bytes_sent": 500 + len("reefloop/north/alert") + 80,
        "bytes_send_everything": 2000,
        "edge_accuracy": 0.5,
    }
    assert collector.accuracy_by_model() == {"1": 0.5}
