"""The scoring job: every object of a pool is routed once, people never learn what is known."""

import json
import tarfile
from collections import Counter
from collections.abc import Iterable
from io import BytesIO
from operator import itemgetter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from PIL import Image

from jobs import manifest
from jobs.images import as_input, load
from jobs.labeling.audit import is_audited
from jobs.labeling.predictions import FILE
from jobs.labeling.routing import honeypots_for
from tests.unit.jobs.bench import ATTRIBUTE, BUCKET, Bucket, read_lines, score, write_lines
from tests.unit.jobs.images import CLASSES

BROKEN = {
    "no JSON": b'{"source-ref": \n',
    "no object": b'["source-ref"]\n',
    "no UTF-8": b'{"source-ref": "s3://data-bucket/\xff.png"}\n',
    "too long": json.dumps({"source-ref": f"{BUCKET}images/a.png", "note": "x" * 100_000}).encode() + b"\n",
    "no source-ref": b'{"content": "c"}\n',
    "no text": b'{"source-ref": 7}\n',
    "another folder": b'{"source-ref": "s3://data-bucket/../../etc/passwd"}\n',
    "no bucket": b'{"source-ref": "images/a.png"}\n',
    "no content": b'{"source-ref": "s3://data-bucket/images/a.png", "content": null}\n',
}


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


def put_audit(bucket: Bucket, version: str, count: int, *, unlabeled: int = 0, source: str = "upload") -> None:
    """The audit of an earlier dataset, every object as clear as those of a pool."""
    lines = []
    for number in range(count):
        name = CLASSES[number % len(CLASSES)]
        key = f"images/{source}/{version}-audit-{number}.png"
        line = bucket.put_image(key, coloured(name, 20_000 + number, difference=59), name)
        lines.append(line if number < unlabeled else bucket.labeled(line, name))
    write_lines(bucket.dataset(version) / "audit.manifest", lines)


NAMES = ("machine.manifest", "human.manifest", "audit.manifest", FILE)


def routed(bucket: Bucket, round_: str, host: str = "algo-1") -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    folder = bucket.round(round_) / "routing" / host
    return json.loads((folder / "routing.json").read_text()), {name: read_lines(folder / name) for name in NAMES}


def refs(lines: Iterable[dict[str, Any]]) -> set[str]:
    return {line["source-ref"] for line in lines}


def test_without_a_champion_people_label_everything(bucket: Bucket, tmp_path: Path) -> None:
    pool, gold = put_pool(bucket, "r1", 18), put_gold(bucket, 5)
    assert score(bucket, tmp_path / "ml", "r1") == 0
    summary, files = routed(bucket, "r1")
    assert refs(files["human.manifest"]) > refs(pool)
    assert refs(files["human.manifest"]) - refs(pool) < refs(gold)
    assert not files["machine.manifest"]
    assert refs(files["audit.manifest"]) == {line["source-ref"] for line in pool if is_audited(line["content"], 0.1)}
    assert refs(files[FILE]) == refs(pool)
    assert (summary["human"], summary["honeypots"], summary["acceptance"]) == (18, 2, {})
    assert summary["reason"] == "there is no champion yet: people label everything"


def test_what_the_machine_is_sure_of_is_accepted_and_the_rest_goes_to_people(bucket: Bucket, tmp_path: Path) -> None:
    pool = put_pool(bucket, "r1", 60, faint=20)
    put_gold(bucket, 70)
    assert score(bucket, tmp_path / "ml", "r1", model=brightness_model(tmp_path)) == 0
    summary, files = routed(bucket, "r1")
    machine, human, audit = (refs(files[f"{name}.manifest"]) for name in ("machine", "human", "audit"))
    assert machine == refs(pool[20:])
    assert audit == {line["source-ref"] for line in pool if is_audited(line["content"], 0.1)}
    assert human & refs(pool) == refs(pool[:20]) | audit
    assert summary["checked"] == len(audit & machine) > 0
    assert (summary["pool"], summary["machine"], summary["human"]) == (60, 40, 20)
    assert summary["acceptance"][""]["upper_bound"] <= 0.05
    for line in files["machine.manifest"]:
        assert line[f"{ATTRIBUTE}-metadata"]["class-name"] == bucket.truth[line["source-ref"]]
        assert line[f"{ATTRIBUTE}-metadata"]["human-annotated"] == "no"
        assert CLASSES[line[ATTRIBUTE]] == bucket.truth[line["source-ref"]]


def test_predictions_are_labels_as_ground_truth_writes_them_with_every_probability(
    bucket: Bucket, tmp_path: Path
) -> None:
    pool = put_pool(bucket, "r1", 9, faint=3)
    put_gold(bucket, 3)
    assert score(bucket, tmp_path / "ml", "r1", model=brightness_model(tmp_path)) == 0
    _, files = routed(bucket, "r1")
    assert [line["source-ref"] for line in files[FILE]] == [line["source-ref"] for line in pool]
    for line, listed in zip(files[FILE], pool, strict=True):
        about = line.pop(f"{ATTRIBUTE}-metadata")
        probabilities, runner_up = about.pop("probabilities"), about.pop("runner-up")
        assert line == {**listed, "fingerprint": line["fingerprint"], ATTRIBUTE: CLASSES.index(about["class-name"])}
        assert list(probabilities) == list(CLASSES)
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert sorted(probabilities, key=probabilities.__getitem__)[-2:] == [runner_up, about["class-name"]]
        assert about.pop("confidence") == pytest.approx(max(probabilities.values()), abs=1e-6)
        assert about.pop("margin") == pytest.approx(max(probabilities.values()) - probabilities[runner_up], abs=2e-6)
        # https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html (image classification job output)
        assert about == {
            "class-name": about["class-name"],
            "type": "groundtruth/image-classification",
            "job-name": "model/m-1",
            "human-annotated": "no",
            "creation-date": "2026-01-31T12:00:00.000000",
        }


def test_what_devices_were_unsure_of_goes_to_people_however_sure_the_machine_is_now(
    bucket: Bucket, tmp_path: Path
) -> None:
    put_pool(bucket, "r1", 12, source="edge/buoy-1")
    put_gold(bucket, 70)
    assert score(bucket, tmp_path / "ml", "r1", model=brightness_model(tmp_path)) == 0
    summary, files = routed(bucket, "r1")
    threshold = summary["acceptance"][""]["threshold"]
    assert threshold is not None
    assert min(line[f"{ATTRIBUTE}-metadata"]["confidence"] for line in files[FILE]) > threshold
    assert (summary["machine"], summary["human"]) == (0, 12)


@pytest.mark.parametrize("gold", [0, 59])
def test_too_little_evidence_leaves_everything_to_people(bucket: Bucket, tmp_path: Path, gold: int) -> None:
    pool = put_pool(bucket, "r1", 12)
    if gold:
        put_gold(bucket, gold)
    assert score(bucket, tmp_path / "ml", "r1", model=brightness_model(tmp_path)) == 0
    summary, files = routed(bucket, "r1")
    assert not files["machine.manifest"]
    assert refs(pool) <= refs(files["human.manifest"])
    assert f"{gold} known objects are too few: at least 60 are needed" in summary["reason"]


def test_what_people_said_of_earlier_audits_is_evidence_as_well(bucket: Bucket, tmp_path: Path) -> None:
    put_pool(bucket, "r2", 12)
    put_gold(bucket, 10)
    put_audit(bucket, "r1", 70)
    model = brightness_model(tmp_path)
    assert score(bucket, tmp_path / "ml", "r2", model=model, previous="r1") == 0
    summary, files = routed(bucket, "r2")
    assert summary["evidence"] == {"gold": 10, "audit": 70, "unlabeled": 0}
    assert summary["machine"] == 12
    assert not [line for line in files["human.manifest"] if "-audit-" in line["source-ref"]]
    # Frames that devices selected are drawn otherwise.
    put_audit(bucket, "r1", 70, source="edge/buoy-1")
    assert score(bucket, tmp_path / "ml", "r2", model=model, previous="r1") == 0
    assert routed(bucket, "r2")[0]["evidence"] == {"gold": 10, "audit": 0, "unlabeled": 0}


def test_an_audited_object_that_people_could_not_label_counts_as_an_error(bucket: Bucket, tmp_path: Path) -> None:
    put_pool(bucket, "r2", 12)
    put_audit(bucket, "r1", 70, unlabeled=35)
    assert score(bucket, tmp_path / "ml", "r2", model=brightness_model(tmp_path), previous="r1") == 0
    summary, _ = routed(bucket, "r2")
    assert summary["evidence"] == {"gold": 0, "audit": 70, "unlabeled": 35}
    assert summary["acceptance"][""]["errors"] > 20
    assert summary["machine"] == 0


def test_per_class_only_classes_with_evidence_of_their_own_are_accepted(bucket: Bucket, tmp_path: Path) -> None:
    pool, gold = put_pool(bucket, "r1", 30), put_gold(bucket, 270)
    bucket.put_gold([line for line in gold if bucket.truth[line["source-ref"]] != "noise"])
    assert score(bucket, tmp_path / "ml", "r1", model=brightness_model(tmp_path), bound="per-class") == 0
    summary, files = routed(bucket, "r1")
    assert refs(files["machine.manifest"]) == {
        line["source-ref"] for line in pool if bucket.truth[line["source-ref"]] != "noise"
    }
    assert "noise: 0 known objects are too few" in summary["reason"]


def test_boxes_are_peoples_alone(bucket: Bucket, tmp_path: Path) -> None:
    pool, gold = put_pool(bucket, "r1", 9), put_gold(bucket, 3)
    write_lines(bucket.folder / "gold/gold.manifest", [line | {"boxes": {"annotations": []}} for line in gold])
    model = brightness_model(tmp_path)
    assert score(bucket, tmp_path / "ml", "r1", model=model, task="detection", label_attribute="boxes") == 0
    summary, files = routed(bucket, "r1")
    assert refs(pool) < refs(files["human.manifest"])
    assert summary["reason"] == "no model is trained for detection: people label everything"


def test_people_see_neither_a_label_nor_which_objects_are_known(bucket: Bucket, tmp_path: Path) -> None:
    put_pool(bucket, "r1", 60, faint=30)
    gold = put_gold(bucket, 70)
    # Whoever made the gold need not have listed its content.
    lines = read_lines(bucket.folder / "gold/gold.manifest")
    write_lines(bucket.folder / "gold/gold.manifest", [{**line, "content": line["source-ref"]} for line in lines[:35]])
    for line in lines[35:]:
        del line["content"]
    write_lines(bucket.folder / "gold/gold.manifest", lines)
    model = brightness_model(tmp_path)
    assert score(bucket, tmp_path / "ml", "r1", model=model, honeypot_share=0.4, audit_share=0.5) == 0
    summary, files = routed(bucket, "r1")
    assert {frozenset(line) for line in files["human.manifest"]} == {
        frozenset({"source-ref", "content", "fingerprint"})
    }
    # Merging keeps out of the dataset what resembles gold, whether anybody was shown it or not.
    looks = read_lines(bucket.round("r1") / "routing/algo-1/gold.manifest")
    assert refs(looks) == refs(gold)
    assert {frozenset(line) for line in looks} == {frozenset({"source-ref", "content", "fingerprint"})}
    known = [line["source-ref"] in refs(gold) for line in files["human.manifest"]]
    accepted = refs(files["machine.manifest"])
    checked = [line["source-ref"] in accepted for line in files["human.manifest"]]
    assert sum(known) == summary["honeypots"] == honeypots_for(30 + sum(checked), 0.4)
    for hidden in (known, checked):
        assert hidden not in (sorted(hidden), sorted(hidden, reverse=True))


def test_a_round_scored_again_gives_the_same_bytes(bucket: Bucket, tmp_path: Path) -> None:
    put_pool(bucket, "r1", 40, faint=10)
    put_gold(bucket, 70)
    model = brightness_model(tmp_path)
    folder = bucket.round("r1") / "routing" / "algo-1"
    written = []
    for attempt in range(2):
        assert score(bucket, tmp_path / f"ml-{attempt}", "r1", model=model) == 0
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert written[0] == written[1]
    assert written[0].keys() == {*NAMES, "gold.manifest", "routing.json"}
    assert score(bucket, tmp_path / "ml-2", "r1", model=model, seed=2) == 0
    assert (folder / "human.manifest").read_bytes() != written[0]["human.manifest"]


def test_an_unreadable_image_is_reported_and_nobody_is_asked_about_it(bucket: Bucket, tmp_path: Path) -> None:
    pool, gold = put_pool(bucket, "r1", 9), put_gold(bucket, 3)
    (bucket.folder / "images/upload/r1-4.png").write_bytes(b"\xff\xd8 not a picture")
    (bucket.folder / "images/upload/r1-5.png").unlink()
    (bucket.folder / "gold/images/1.png").write_bytes(b"")
    assert score(bucket, tmp_path / "ml", "r1", honeypot_share=0.5) == 0
    summary, files = routed(bucket, "r1")
    assert [one["source-ref"] for one in summary["unreadable"]] == [pool[4]["source-ref"], pool[5]["source-ref"]]
    assert [one["source-ref"] for one in summary["unreadable_known"]] == [gold[1]["source-ref"]]
    assert "UnidentifiedImageError" in summary["unreadable"][0]["reason"]
    assert summary["unreadable"][1]["reason"] == "missing"
    assert not refs(files["human.manifest"]) & {pool[4]["source-ref"], pool[5]["source-ref"], gold[1]["source-ref"]}
    assert summary["human"] + len(summary["unreadable"]) == summary["pool"]


def test_gold_in_the_pool_is_nobodys_work(bucket: Bucket, tmp_path: Path) -> None:
    pool = put_pool(bucket, "r1", 6)
    bucket.put_gold(pool[:2])
    # The same picture under another name is as well known.
    copy = {**pool[0], "source-ref": f"{BUCKET}images/upload/copy.png"}
    write_lines(bucket.round("r1") / "pool.manifest", [*pool, copy])
    assert score(bucket, tmp_path / "ml", "r1", honeypot_share=0) == 0
    summary, files = routed(bucket, "r1")
    assert (summary["pool"], summary["gold"], summary["human"]) == (7, 3, 4)
    assert refs(files["human.manifest"]) == refs(pool[2:])


@settings(max_examples=8)
@given(hosts=st.integers(1, 5), chance=st.randoms(use_true_random=False))
def test_any_number_of_instances_decides_as_one_does(
    tmp_path_factory: pytest.TempPathFactory, hosts: int, chance: Random
) -> None:
    folder = tmp_path_factory.mktemp("hosts")
    bucket = Bucket(folder / "bucket", list(CLASSES))
    pool = put_pool(bucket, "r1", 25, faint=9)
    write_lines(bucket.round("r1") / "pool.manifest", [*pool, pool[3], pool[20]])
    put_gold(bucket, 70)
    options = {"model": brightness_model(folder), "audit_share": 0.4, "honeypot_share": 0.3}
    assert score(bucket, folder / "ml", "r1", **options) == 0
    summary, alone = routed(bucket, "r1")
    known = refs(read_lines(bucket.folder / "gold/gold.manifest"))
    counts: Counter[str] = Counter()
    honeypots: list[str] = []
    together: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
    shards: list[list[Path]] = [[] for _ in range(hosts)]
    for image in sorted((bucket.folder / "images/upload").glob("*.png")):
        chance.choice(shards).append(image)
    for host, shard in enumerate(shards, start=1):
        root = folder / f"ml-{host}"
        assert score(bucket, root, "r1", host=host, hosts=hosts, images=shard, **options) == 0
        part, files = routed(bucket, "r1", f"algo-{host}")
        assert part["acceptance"] == summary["acceptance"]
        counts.update({name: part[name] for name in ("pool", "duplicate", "machine", "human", "audit", "checked")})
        honeypots += refs(files["human.manifest"]) & known
        for name, lines in together.items():
            lines += [line for line in files[name] if line["source-ref"] not in known]
    for name, lines in together.items():
        expected = [line for line in alone[name] if line["source-ref"] not in known]
        assert sorted(lines, key=itemgetter("source-ref")) == sorted(expected, key=itemgetter("source-ref"))
    assert counts == {name: summary[name] for name in counts}
    assert len(honeypots) == len(set(honeypots)) > 0


def test_an_instance_without_a_single_image_has_nothing_to_do(bucket: Bucket, tmp_path: Path) -> None:
    put_pool(bucket, "r1", 3)
    put_gold(bucket, 3)
    assert score(bucket, tmp_path / "ml", "r1", host=2) == 0
    summary, files = routed(bucket, "r1", "algo-2")
    assert (summary["pool"], summary["hosts"], files["human.manifest"]) == (0, 3, [])


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
    ("option", "value"),
    [
        ("error_budget", 0),
        ("audit_share", -1),
        ("seed", "x"),
        ("task", "x"),
        ("bound", "x"),
        ("pool_listed", "yesterday"),
        ("pool_listed", "2026-01-31T12:00:00"),
    ],
)
def test_an_option_that_is_not_allowed_is_refused(bucket: Bucket, tmp_path: Path, option: str, value: object) -> None:
    put_pool(bucket, "r1", 3)
    assert score(bucket, tmp_path / "ml", "r1", **{option: value}) == 1
    message = (tmp_path / "ml/output/message").read_text()
    assert message.startswith("wrong options")
    assert option.replace("_", "-") in message


@given(
    pool=st.integers(1, 30),
    repeated=st.integers(0, 5),
    broken=st.integers(0, 5),
    gold=st.integers(0, 12),
    audit=st.sampled_from([0, 0.3]),
    honeypots=st.sampled_from([0, 0.3]),
)
def test_every_object_is_routed_once(
    tmp_path_factory: pytest.TempPathFactory,
    pool: int,
    repeated: int,
    broken: int,
    gold: int,
    audit: float,
    honeypots: float,
) -> None:
    folder = tmp_path_factory.mktemp("routed")
    bucket = Bucket(folder / "bucket", list(CLASSES))
    lines = put_pool(bucket, "r1", pool)
    for line in lines[:broken]:
        (bucket.folder / line["source-ref"].removeprefix(BUCKET)).write_bytes(b"")
    write_lines(bucket.round("r1") / "pool.manifest", [*lines, *lines[:repeated]])
    if gold:
        put_gold(bucket, gold)
    options = {"audit_share": audit, "honeypot_share": honeypots, "error_budget": 0.9}
    assert score(bucket, folder / "ml", "r1", model=brightness_model(folder), **options) == 0
    summary, files = routed(bucket, "r1")
    people, machine = files["human.manifest"], refs(files["machine.manifest"])
    audited, unreadable = refs(files["audit.manifest"]), refs(summary["unreadable"])
    assert len(people) == len(refs(people)) == summary["human"] + summary["checked"] + summary["honeypots"]
    assert summary["pool"] == pool + min(repeated, pool)
    assert summary["pool"] - summary["duplicate"] == summary["machine"] + summary["human"] + len(unreadable)
    assert machine | (refs(people) & refs(lines)) | unreadable == refs(lines)
    assert machine & refs(people) == machine & audited
    assert len(audited) == summary["audit"]
    assert not unreadable & (machine | refs(people))


@given(lines=st.lists(st.sampled_from(["good", "again", *BROKEN]), min_size=1, max_size=8), which=st.integers(0, 1))
def test_a_manifest_with_broken_lines_ends_in_one_error_that_names_the_first(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], which: int
) -> None:
    folder = tmp_path_factory.mktemp("broken")
    bucket = Bucket(folder / "bucket", list(CLASSES))
    pool = put_pool(bucket, "r1", 3)
    put_gold(bucket, 3)
    good = [pool, read_lines(bucket.folder / "gold/gold.manifest")][which]
    path = [bucket.round("r1") / "pool.manifest", bucket.folder / "gold/gold.manifest"][which]
    path.write_bytes(b"".join(BROKEN.get(kind) or json.dumps(good[kind == "again"]).encode() + b"\n" for kind in lines))
    first = next((number for number, kind in enumerate(lines, 1) if kind in BROKEN), None)
    assert score(bucket, folder / "ml", "r1") == (first is not None)
    if first:
        assert (folder / "ml/output/message").read_text().startswith(f"{path.name}, line {first} ")
    else:
        summary, _ = routed(bucket, "r1")
        assert summary["human"] == (3 if which else len(set(lines)))


def test_names_that_are_no_ascii_or_look_like_code_come_out_as_they_went_in(bucket: Bucket, tmp_path: Path) -> None:
    names = ["ä \u2028 \x85.png", "<script>.png", "a\nb.png", '"quoted"\\.png', "x?y#z.png", "{{ }}.png"]
    pool = [bucket.put_image(f"images/upload/{name}", coloured("disc", 1), "disc") for name in names]
    write_lines(
        bucket.round("r1") / "pool.manifest",
        [{**line, "content": name} for line, name in zip(pool, names, strict=True)],
    )
    put_gold(bucket, 70)
    assert score(bucket, tmp_path / "ml", "r1", model=brightness_model(tmp_path), audit_share=0.5) == 0
    summary, _ = routed(bucket, "r1")
    assert summary["machine"] == 6
    folder = bucket.round("r1") / "routing" / "algo-1"
    machine = [entry.values for entry in manifest.read(folder / "machine.manifest")]
    assert refs(machine) == refs(pool)
    audited = {name for name in names if is_audited(name, 0.5)}
    assert {entry.content for entry in manifest.read(folder / "human.manifest")} & set(names) == audited
