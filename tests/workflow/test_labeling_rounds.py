"""Rounds of labels, executed, by everybody who may label: teams, chained jobs, the station, boxes, a model's help.

They share an account; what a round leaves in the bucket is removed before the next.
"""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from console.photos import read_photos
from console.upload import DataBucket, label_categories
from offline.account import Account
from offline.runners import storage
from offline.scenes import make_scenes
from reefloop.contracts import GOLD_MANIFEST, LABEL_CATEGORIES
from reefloop.labeling.ground_truth import AUTOMATED_LEAST_OBJECTS
from tests.workflow.deployed import SPECIES, Deployed, synthesize
from tests.workflow.in_flight import eventually
from tests.workflow.people import Divided, sit_down

ROUND = "first"


@pytest.fixture(scope="module")
def crew() -> Divided:
    return Divided()


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory, crew: Divided) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("labeling")
    with Account(folder / "account", crew=crew) as account:
        account.bootstrap()
        yield Deployed(account, crew.truth, folder)


@pytest.fixture
def loop(account: Deployed) -> Iterator[Deployed]:
    """The account with an empty bucket, once it has one."""
    yield account
    account.account.faults.clear()
    keys = [{"Key": key} for key in account.keys("")]
    for start in range(0, len(keys), 1000):
        account.client("s3").delete_objects(
            Bucket=account.project.data_bucket, Delete={"Objects": keys[start : start + 1000]}
        )


def deploy(loop: Deployed, name: str, **changes: Any) -> None:
    """Deploy the labeling stack with these settings, and the first time what it needs."""
    alone = ["--exclusively"] if hasattr(loop, "project") else []
    loop.deploy(synthesize(loop.folder / name, **changes), "reefloop-labeling", *alone)


def bring(loop: Deployed, crew: Divided, *, gold: int = 3, pool: int = 3, hard: int = 0) -> list[str]:
    """Gold and a pool of so many scenes per species, of which some are hard; returns the sources of the hard ones."""
    bucket = DataBucket(loop.account.client, loop.project.data_bucket)
    for seed, per_class in ((1, gold), (2, pool)):
        scenes = make_scenes(loop.folder / f"scenes-{seed}", SPECIES, per_class, seed)
        photos = read_photos((path, box.label) for path, box in scenes).photos
        crew.truth.update({photo.digest: photo.label for photo in photos})
        crew.boxes.update({_digest(path.read_bytes()): [box] for path, box in scenes})
        if seed == 1:
            bucket.upload_gold(photos, SPECIES)
        else:
            bucket.upload(photos)
    crew.hard = {photo.digest for photo in photos[:hard]}
    return [f"s3://{loop.project.data_bucket}/images/upload/{photo.name}" for photo in photos[:hard]]


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def labeled(loop: Deployed) -> dict[str, dict[str, Any]]:
    """The lines of the dataset by source."""
    splits = ("train", "validation", "test", "audit")
    lines = [line for split in splits for line in loop.read_lines(f"datasets/{ROUND}/{split}.manifest")]
    return {line["source-ref"]: line for line in lines}


def fates(loop: Deployed) -> dict[str, int]:
    """How many objects of the round met each fate, those that none met left out."""
    names = ("human", "machine", "uncertain", "unanswered", "withdrawn", "unreadable", "gold", "duplicate")
    found = loop.read_json(f"rounds/{ROUND}/fates.json")
    return {name: found[name] for name in names if found[name]}


def test_experts_settle_what_labelers_disagree_on_and_expired_work_is_offered_again(
    loop: Deployed, crew: Divided
) -> None:
    deploy(loop, "teams", labeling={"page": "custom"}, jobs={"instance_count": 2})
    hard = bring(loop, crew, hard=2)
    loop.account.faults.expire_labeling(after_objects=5)

    execution = loop.run("labeling", {"round": ROUND}, "teams")

    assert execution["status"] == "SUCCEEDED", execution
    jobs = loop.read_json(f"rounds/{ROUND}/labeling-jobs.json")
    assert [(job["team"], job["attempt"], job["status"]) for job in jobs] == [
        ("labelers", 0, "Completed"),
        ("labelers", 1, "Completed"),
        ("experts", 0, "Completed"),
    ]
    expired, rest, experts = (Counter(job["counters"]) for job in jobs)
    assert expired["HumanLabeled"] == 5
    assert expired["FailedNonRetryableError"] == rest["HumanLabeled"] > 0
    assert experts["HumanLabeled"] >= len(hard)
    assert fates(loop) == {"human": 12}
    lines = labeled(loop)
    assert len(lines) == 12
    for source in hard:
        assert lines[source]["species-metadata"]["class-name"] == loop.truth_of(source)
    assert {key.split("/")[3] for key in loop.keys(f"rounds/{ROUND}/routing/")} == {"algo-1", "algo-2"}


def test_at_the_station_a_round_waits_for_its_votes_and_goes_on_where_it_was_stopped(
    loop: Deployed, crew: Divided
) -> None:
    deploy(loop, "station", labeling={"provider": "station"})
    hard = bring(loop, crew, pool=2, hard=1)
    execution = loop.start("labeling", {"round": ROUND}, "abandoned")
    published = f"rounds/{ROUND}/station/labelers/0-0.json"
    eventually(lambda: published in loop.keys(f"rounds/{ROUND}/station/"))
    early = sit_down(loop, crew, ROUND, "labelers", at_most=4)
    loop.client("stepfunctions").stop_execution(executionArn=execution)
    token = loop.read_json(published)["token"]

    execution = loop.start("labeling", {"round": ROUND}, "resumed")
    eventually(lambda: loop.read_json(published)["token"] != token)
    votes = early + sit_down(loop, crew, ROUND, "labelers")
    eventually(lambda: loop.keys(f"rounds/{ROUND}/station/experts/"))
    sit_down(loop, crew, ROUND, "experts")

    ended = loop.end_of(execution)
    assert ended["status"] == "SUCCEEDED", ended
    jobs = loop.read_json(f"rounds/{ROUND}/labeling-jobs.json")
    assert {(job["team"], job["status"]) for job in jobs} == {("labelers", "Completed"), ("experts", "Completed")}
    assert votes == 3 * jobs[0]["counters"]["HumanLabeled"]
    assert fates(loop) == {"human": 8}
    [source] = hard
    assert labeled(loop)[source]["species-metadata"]["class-name"] == loop.truth_of(source)


def test_boxes_are_drawn_corrected_by_experts_and_merged(loop: Deployed, crew: Divided) -> None:
    deploy(loop, "boxes", task="detection")
    hard = bring(loop, crew, pool=2, hard=1)
    bring_gold_boxes(loop, crew)

    execution = loop.run("labeling", {"round": ROUND}, "boxes")

    assert execution["status"] == "SUCCEEDED", execution
    jobs = loop.read_json(f"rounds/{ROUND}/labeling-jobs.json")
    assert [job["team"] for job in jobs] == ["labelers", "experts"]
    assert fates(loop) == {"human": 8}
    [source] = hard
    [annotation] = labeled(loop)[source]["species"]["annotations"]
    [box] = crew.boxes[_digest(loop.read(source.split("/", 3)[3]))]
    assert SPECIES[annotation["class_id"]] == box.label
    assert abs(annotation["left"] - box.left) <= 2


def bring_gold_boxes(loop: Deployed, crew: Divided) -> None:
    """Give the gold of a bucket its boxes in place of its classes."""
    lines = []
    for line in loop.read_lines(GOLD_MANIFEST):
        [box] = crew.boxes[_digest(loop.read(line["source-ref"].split("/", 3)[3]))]
        sides = {side: round(getattr(box, side)) for side in ("left", "top", "width", "height")}
        number = SPECIES.index(box.label)
        line["species"] = {
            "image_size": [{"width": 128, "height": 96, "depth": 3}],
            "annotations": [{"class_id": number, **sides}],
        }
        line["species-metadata"] |= {
            "type": "groundtruth/object-detection",
            "objects": [{"confidence": 1.0}],
            "class-map": {str(number): box.label},
        }
        lines.append(f"{json.dumps(line)}\n")
    loop.client("s3").put_object(Bucket=loop.project.data_bucket, Key=GOLD_MANIFEST, Body="".join(lines))


def test_ground_truth_labels_by_itself_what_its_model_learned_and_hands_the_model_on(
    loop: Deployed, crew: Divided
) -> None:
    deploy(loop, "automated", labeling={"automated": True, "workers_per_object": 1})
    bring_many(loop, crew, AUTOMATED_LEAST_OBJECTS)

    execution = loop.run("labeling", {"round": ROUND}, "automated")

    assert execution["status"] == "SUCCEEDED", execution
    job = loop.read_json(f"rounds/{ROUND}/labeling-jobs.json")[0]
    assert job["active_learning_model_arn"].startswith("arn:aws:sagemaker:us-east-1:123456789012:model/")
    assert job["counters"]["MachineLabeled"] > AUTOMATED_LEAST_OBJECTS / 3
    assert sum(fates(loop).values()) == AUTOMATED_LEAST_OBJECTS


def bring_many(loop: Deployed, crew: Divided, objects: int) -> None:
    """A pool of small pictures whose species is in their colour."""
    many = storage.Many(loop.client("s3"))
    bucket = f"s3://{loop.project.data_bucket}"
    colours = np.random.default_rng(1).uniform(40, 215, (len(SPECIES), 3))
    gold = []
    for number in range(objects + 8):
        name = SPECIES[number % len(SPECIES)]
        noise = np.random.default_rng(number).normal(colours[number % len(SPECIES)], 40, (16, 16, 3))
        body = io.BytesIO()
        Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(body, "PNG")
        crew.truth[_digest(body.getvalue())] = name
        folder = "images/upload" if number < objects else "gold/images"
        many.write(uri := f"{bucket}/{folder}/{number}.png", body.getvalue())
        if number >= objects:
            about = {"class-name": name, "confidence": 1.0, "type": "groundtruth/image-classification"}
            gold.append({"source-ref": uri, "species": SPECIES.index(name), "species-metadata": about})
    many.write(f"{bucket}/{GOLD_MANIFEST}", "".join(f"{json.dumps(line)}\n" for line in gold).encode())
    many.write(f"{bucket}/{LABEL_CATEGORIES}", json.dumps(label_categories(SPECIES)).encode())
