"""The scoring job: every object of a pool is routed once, people never learn what is known."""

import json
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from PIL import Image

from jobs.images import as_input, load
from tests.unit.jobs.bench import ATTRIBUTE, BUCKET, Bucket, read_lines, score, write_lines
from tests.unit.jobs.images import CLASSES


def brightness_model(folder: Path, *, labels: tuple[str, ...] = CLASSES, sharpness: float = 40) -> Path:
    """A model package whose answer is the channel that is brightest: red, green, blue are its classes."""
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["flat"]),
            helper.make_node("Mul", ["flat", "sharpness"], ["logits"]),
        ],
        "brightness",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor("sharpness", TensorProto.FLOAT, [1], [sharpness])],
    )
    package = folder / "package"
    (package / "golden").mkdir(parents=True, exist_ok=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.save(model, str(package / "model.onnx"))
    (package / "golden" / "0.png").write_bytes(coloured("stripes", 0))
    mean = as_input(load(package / "golden" / "0.png", 32)).mean((0, 2, 3))
    golden = [{"image": "0.png", "label": labels[0], "logits": (mean * sharpness).tolist()}]
    (package / "golden" / "golden.json").write_text(json.dumps(golden))
    card = {"model_version": "m-1", "labels": list(labels), "temperature": 1.0}
    (package / "model.json").write_text(json.dumps({**card, "input": {"name": "image", "shape": [1, 3, 32, 32]}}))
    return packed(package)


def packed(package: Path) -> Path:
    path = package.parent / "model.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(package, arcname=".")
    return path


def coloured(name: str, seed: int, *, difference: int = 60) -> bytes:
    """A picture whose brightest channel is that of the class, by this much."""
    rng = np.random.default_rng([seed, CLASSES.index(name), difference])
    values = rng.integers(90, 100, (32, 32, 3))
    values[..., CLASSES.index(name)] += difference
    buffer = BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def put_pool(
    bucket: Bucket, round_: str, count: int, *, faint: int = 0, source: str = "upload"
) -> list[dict[str, str]]:
    lines = []
    for number in range(count):
        name = CLASSES[number % len(CLASSES)]
        content = coloured(name, number, difference=1 if number < faint else 60)
        lines.append(bucket.put_image(f"images/{source}/{round_}-{number}.png", content, name))
    write_lines(bucket.round(round_) / "pool.manifest", lines)
    return lines


def put_gold(bucket: Bucket, count: int) -> list[dict[str, str]]:
    """Gold of which the first object is less clear than the others, and clearer than a faint one."""
    lines = []
    for number in range(count):
        name = CLASSES[number % len(CLASSES)]
        lines.append(
            bucket.put_image(
                f"gold/images/{number}.png", coloured(name, 10_000 + number, difference=60 if number else 20), name
            )
        )
    bucket.put_gold(lines)
    return lines


def routed(bucket: Bucket, round_: str) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    folder = bucket.round(round_)
    names = ("machine.manifest", "human.manifest", "audit.manifest", "scores.jsonl")
    return json.loads((folder / "routing.json").read_text()), {name: read_lines(folder / name) for name in names}


def refs(lines: list[dict[str, Any]]) -> set[str]:
    return {line["source-ref"] for line in lines}


def test_without_a_champion_people_label_everything(bucket: Bucket, tmp_path: Path) -> None:
    pool, gold = put_pool(bucket, "r1", 18), put_gold(bucket, 5)
    assert score(bucket, tmp_path / "ml", "r1") == 0
    summary, files = routed(bucket, "r1")
    assert refs(files["human.manifest"]) > refs(pool)
    assert refs(files["human.manifest"]) - refs(pool) < refs(gold)
    assert not files["machine.manifest"]
    assert not files["audit.manifest"]
    assert not files["scores.jsonl"]
    assert (summary["uncertain"], summary["honeypots"], summary["threshold"]) == (18, 2, None)


def test_what_the_machine_is_sure_of_is_accepted_and_the_rest_goes_to_people(bucket: Bucket, tmp_path: Path) -> None:
    pool = put_pool(bucket, "r1", 60, faint=20)
    put_gold(bucket, 70)
    assert score(bucket, tmp_path / "ml", "r1", model=brightness_model(tmp_path)) == 0
    summary, files = routed(bucket, "r1")
    machine, human, audit = (refs(files[f"{name}.manifest"]) for name in ("machine", "human", "audit"))
    assert machine == {line["source-ref"] for line in pool[20:]}
    assert audit < machine
    assert len(audit) == 4
    assert human & refs(pool) == {line["source-ref"] for line in pool[:20]} | audit
    assert summary["pool"] == 60 == len(machine | (human & refs(pool)))
    assert summary["gold"]["error_upper_bound"] <= 0.05
    assert len(files["scores.jsonl"]) == 60
    for line in files["machine.manifest"]:
        assert line[f"{ATTRIBUTE}-metadata"]["class-name"] == bucket.truth[line["source-ref"]]
        assert line[f"{ATTRIBUTE}-metadata"]["human-annotated"] == "no"
        assert CLASSES[line[ATTRIBUTE]] == bucket.truth[line["source-ref"]]
    for line in files["scores.jsonl"]:
        assert sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert line["confidence"] == pytest.approx(line["probabilities"][line["label"]], abs=1e-5)


def test_what_devices_were_unsure_of_goes_to_people_however_sure_the_machine_is_now(
    bucket: Bucket, tmp_path: Path
) -> None:
    put_pool(bucket, "r1", 12, source="edge/buoy-1")
    put_gold(bucket, 70)
    assert score(bucket, tmp_path / "ml", "r1", model=brightness_model(tmp_path)) == 0
    summary, files = routed(bucket, "r1")
    assert summary["threshold"] is not None
    assert min(line["confidence"] for line in files["scores.jsonl"]) > summary["threshold"]
    assert (summary["machine"], summary["uncertain"]) == (0, 12)


@pytest.mark.parametrize("gold", [0, 59])
def test_too_little_gold_leaves_everything_to_people(bucket: Bucket, tmp_path: Path, gold: int) -> None:
    pool = put_pool(bucket, "r1", 12)
    if gold:
        put_gold(bucket, gold)
    assert score(bucket, tmp_path / "ml", "r1", model=brightness_model(tmp_path)) == 0
    summary, files = routed(bucket, "r1")
    assert not files["machine.manifest"]
    assert refs(pool) <= refs(files["human.manifest"])
    assert f"{gold} gold objects are too few: at least 60 are needed" in summary["reason"]


def test_people_see_neither_a_label_nor_which_objects_are_known(bucket: Bucket, tmp_path: Path) -> None:
    put_pool(bucket, "r1", 60, faint=30)
    put_gold(bucket, 70)
    assert score(bucket, tmp_path / "ml", "r1", model=brightness_model(tmp_path), honeypot_share=0.4) == 0
    _, files = routed(bucket, "r1")
    assert {tuple(line) for line in files["human.manifest"]} == {("source-ref", "content")}
    order = [line["source-ref"].startswith(f"{BUCKET}gold/") for line in files["human.manifest"]]
    assert sum(order) == 22
    assert order != sorted(order)
    assert order != sorted(order, reverse=True)


def test_a_round_scored_again_asks_the_same_people_the_same(bucket: Bucket, tmp_path: Path) -> None:
    put_pool(bucket, "r1", 40, faint=10)
    put_gold(bucket, 70)
    model = brightness_model(tmp_path)
    written = []
    for attempt in range(2):
        assert score(bucket, tmp_path / f"ml-{attempt}", "r1", model=model) == 0
        written.append((bucket.round("r1") / "human.manifest").read_bytes())
    assert written[0] == written[1]
    assert score(bucket, tmp_path / "ml-2", "r1", model=model, seed=2) == 0
    assert (bucket.round("r1") / "human.manifest").read_bytes() != written[0]


def test_an_unreadable_image_is_reported_and_nobody_is_asked_about_it(bucket: Bucket, tmp_path: Path) -> None:
    pool, gold = put_pool(bucket, "r1", 9), put_gold(bucket, 3)
    (bucket.folder / "images/upload/r1-4.png").write_bytes(b"\xff\xd8 not a picture")
    (bucket.folder / "images/upload/r1-5.png").unlink()
    (bucket.folder / "gold/images/1.png").write_bytes(b"")
    assert score(bucket, tmp_path / "ml", "r1", honeypot_share=0.5) == 0
    summary, files = routed(bucket, "r1")
    assert [one["source-ref"] for one in summary["unreadable"]] == [pool[4]["source-ref"], pool[5]["source-ref"]]
    assert [one["source-ref"] for one in summary["unreadable_gold"]] == [gold[1]["source-ref"]]
    assert "UnidentifiedImageError" in summary["unreadable"][0]["reason"]
    assert not refs(files["human.manifest"]) & {pool[4]["source-ref"], pool[5]["source-ref"], gold[1]["source-ref"]}
    assert summary["uncertain"] + len(summary["unreadable"]) == summary["pool"]


def test_gold_in_the_pool_is_nobodys_work(bucket: Bucket, tmp_path: Path) -> None:
    pool = put_pool(bucket, "r1", 6)
    bucket.put_gold(pool[:2])
    assert score(bucket, tmp_path / "ml", "r1", honeypot_share=0) == 0
    summary, files = routed(bucket, "r1")
    assert (summary["already_gold"], summary["uncertain"]) == (2, 4)
    assert refs(files["human.manifest"]) == refs(pool[2:])


def test_a_class_that_is_no_category_any_more_is_peoples_to_replace(bucket: Bucket, tmp_path: Path) -> None:
    pool = put_pool(bucket, "r1", 30)
    put_gold(bucket, 120)
    gold = [line for line in read_lines(bucket.folder / "gold/gold.manifest") if line[ATTRIBUTE] != 2]
    write_lines(bucket.folder / "gold/gold.manifest", gold)
    model = brightness_model(tmp_path, labels=("stripes", "disc", "extinct"))
    assert score(bucket, tmp_path / "ml", "r1", model=model) == 0
    _, files = routed(bucket, "r1")
    assert refs(files["machine.manifest"]) == {line["source-ref"] for number, line in enumerate(pool) if number % 3 < 2}


def test_a_champion_that_does_not_answer_as_it_did_is_refused(bucket: Bucket, tmp_path: Path) -> None:
    put_pool(bucket, "r1", 3)
    brightness_model(tmp_path)
    golden = tmp_path / "package" / "golden" / "golden.json"
    golden.write_text(json.dumps([{**json.loads(golden.read_text())[0], "logits": [0, 0, 0]}]))
    assert score(bucket, tmp_path / "ml", "r1", model=packed(tmp_path / "package")) == 1
    message = (tmp_path / "ml/output/message").read_text()
    assert "champion m-1 is off by" in message
    assert "golden image 0.png" in message


def test_a_champion_that_is_no_archive_is_refused(bucket: Bucket, tmp_path: Path) -> None:
    put_pool(bucket, "r1", 3)
    (tmp_path / "broken").write_bytes(b"not a tarball")
    assert score(bucket, tmp_path / "ml", "r1", model=tmp_path / "broken") == 1
    assert "cannot be unpacked" in (tmp_path / "ml/output/message").read_text()


@pytest.mark.parametrize(
    ("option", "value"), [("error_budget", 0), ("error_budget", 1), ("audit_share", -1), ("seed", "x")]
)
def test_an_option_that_is_not_allowed_is_refused(bucket: Bucket, tmp_path: Path, option: str, value: object) -> None:
    put_pool(bucket, "r1", 3)
    assert score(bucket, tmp_path / "ml", "r1", **{option: value}) == 1
    message = (tmp_path / "ml/output/message").read_text()
    assert message.startswith("wrong options")
    assert option.replace("_", "-") in message


@given(
    pool=st.integers(1, 30),
    gold=st.integers(0, 12),
    audit=st.sampled_from([0, 0.3]),
    honeypots=st.sampled_from([0, 0.3]),
)
def test_every_object_is_routed_once(
    tmp_path_factory: pytest.TempPathFactory, pool: int, gold: int, audit: float, honeypots: float
) -> None:
    folder = tmp_path_factory.mktemp("routed")
    bucket = Bucket(folder / "bucket", list(CLASSES))
    lines = put_pool(bucket, "r1", pool)
    if gold:
        put_gold(bucket, gold)
    options = {"audit_share": audit, "honeypot_share": honeypots, "error_budget": 0.9}
    assert score(bucket, folder / "ml", "r1", model=brightness_model(folder), **options) == 0
    summary, files = routed(bucket, "r1")
    people, machine = files["human.manifest"], refs(files["machine.manifest"])
    audited = refs(files["audit.manifest"])
    assert len(people) == len(refs(people)) == summary["uncertain"] + summary["audit"] + summary["honeypots"]
    assert summary["machine"] + summary["uncertain"] == pool
    assert machine | (refs(people) & refs(lines)) == refs(lines)
    assert machine & refs(people) == audited
