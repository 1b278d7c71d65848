"""Whatever people, services and files come up with: a right result or one clear error, and no object ever lost."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.labeling.fates import FATES
from tests.unit.jobs.bench import ATTRIBUTE, BUCKET, Bucket, consolidate, read_lines, write_lines

PEOPLE = ("anna", "ben", "carla", "dora")
HOSTILE = (
    'crab"><script>alert(1)</script>',
    "../../gold/gold.manifest",
    "line\nbreak\u2028and\u0085more",
    "{{ task.input }}",
    "Krake 🦑 \u202egnirts",
    "'; DROP TABLE lines; --",
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)

answers = st.dictionaries(st.sampled_from(PEOPLE), st.sampled_from(["a", "b", "c", "none of them", ""]))
objects = st.fixed_dictionaries(
    {
        "labelers": answers,
        "experts": answers,
        "machine": st.sampled_from([None, "a", "b"]),
        "audit": st.booleans(),
        "unreadable": st.booleans(),
        "gold": st.sampled_from([None, None, "a", "b"]),
        "automated": st.booleans(),
        "listed_twice": st.booleans(),
    }
)


def machine_line(bucket: Bucket, line: dict[str, Any], label: str) -> dict[str, Any]:
    labeled = bucket.labeled(line, label, "model/m-1")
    labeled[f"{ATTRIBUTE}-metadata"]["human-annotated"] = "no"
    return labeled


def put(bucket: Bucket, described: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A round with these objects; the lines of its pool."""
    folder = bucket.round("r1")
    lines = [{"source-ref": f"{BUCKET}images/{n}.jpg", "content": f"c-{n}"} for n in range(len(described))]
    both = list(zip(lines, described, strict=True))
    pool = [line for line, one in both for _ in range(1 + one["listed_twice"])]
    write_lines(folder / "pool.manifest", pool)
    bucket.truth |= {line["source-ref"]: one["gold"] for line, one in both if one["gold"]}
    bucket.put_gold(line for line, one in both if one["gold"])
    by_machine = [machine_line(bucket, line, one["machine"]) for line, one in both if one["machine"]]
    asked = [line for line, one in both if not one["machine"] or one["audit"]]
    audit = [line for line, one in both if one["machine"] and one["audit"]]
    for name, part in {"machine": by_machine, "human": asked, "audit": audit}.items():
        write_lines(folder / "routing" / "algo-1" / f"{name}.manifest", part)
    unreadable = [line for line, one in both if one["unreadable"]]
    (folder / "routing" / "algo-1" / "routing.json").write_text(json.dumps({"hosts": 1, "unreadable": unreadable}))
    for team in ("labelers", "experts"):
        said = {line["source-ref"]: one[team] for line, one in both}
        responses = bucket.answer("r1", said, f"job-{team}", team=team, tasks=asked, status="Failed")
        automated = [machine_line(bucket, line, "a") for line, one in both if line in asked and one["automated"]]
        write_lines(responses.parents[2] / "manifests" / "output" / "output.manifest", automated)
    return pool


@given(st.lists(objects, min_size=1, max_size=14))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_counts_in_are_counts_out_and_every_object_is_in_the_manifest_of_its_fate(
    tmp_path_factory: pytest.TempPathFactory, described: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    bucket = Bucket(folder / "bucket", ["a", "b", "c"])
    pool = put(bucket, described)
    assert consolidate(bucket, folder / "ml", "r1") == 0
    fates = bucket.found("r1", "fates")
    assert fates["objects"] == len(pool) == sum(fates[name] for name in (*FATES, "duplicate"))
    assert fates["duplicate"] == sum(one["listed_twice"] for one in described)
    assert fates["gold"] == sum(one["gold"] is not None for one in described)
    lines = {
        name: read_lines(bucket.round("r1") / f"{name}.manifest") for name in ("consolidated", "left-over", "doubtful")
    }
    refs = {name: [line["source-ref"] for line in found] for name, found in lines.items()}
    assert all(len(set(found)) == len(found) for found in refs.values())
    assert len(lines["consolidated"]) == fates["human"] + fates["machine"]
    assert len(lines["left-over"]) == fates["unanswered"] + fates["withdrawn"]
    assert not set(refs["consolidated"]) & set(refs["left-over"])
    # No line for people tells anything but what to look at.
    assert all(
        set(line) <= {"source-ref", "content", "fingerprint"} for line in [*lines["left-over"], *lines["doubtful"]]
    )
    for line in lines["consolidated"]:
        one = described[int(line["content"].removeprefix("c-"))]
        metadata = line[f"{ATTRIBUTE}-metadata"]
        said = {**one["labelers"], **one["experts"]}.values()
        if metadata["human-annotated"] == "yes":
            assert metadata["class-name"] in said
        else:
            assert not one["audit"] or not one["machine"]
            assert metadata["class-name"] == (one["machine"] or "a")


@given(
    st.lists(NAMES | st.sampled_from(HOSTILE), min_size=2, max_size=5, unique=True), NAMES | st.sampled_from(HOSTILE)
)
def test_class_names_keys_and_people_survive_whatever_they_are_called(
    tmp_path_factory: pytest.TempPathFactory, categories: list[str], name: str
) -> None:
    folder = tmp_path_factory.mktemp("names")
    bucket = Bucket(folder / "bucket", categories)
    lines = [
        {"source-ref": f"{BUCKET}images/{number}-{name}.jpg", "content": f"{number}-{name}"} for number in range(9)
    ]
    write_lines(bucket.round("r1") / "pool.manifest", lines)
    bucket.truth |= {line["source-ref"]: categories[n % len(categories)] for n, line in enumerate(lines)}
    bucket.put_gold(lines[:3])
    for part, these in {"machine": [], "human": lines, "audit": []}.items():
        write_lines(bucket.round("r1") / "routing" / "algo-1" / f"{part}.manifest", these)
    (bucket.round("r1") / "routing" / "algo-1" / "routing.json").write_text('{"hosts": 1, "unreadable": []}')
    people = [f"{name}{number}" for number in range(3)]
    said = {ref: dict.fromkeys(people, truth) for ref, truth in bucket.truth.items()}
    bucket.answer("r1", said)
    before = {path for path in folder.rglob("*") if path.is_file()}
    assert consolidate(bucket, folder / "ml", "r1", posterior_target=0.1) == 0

    found = read_lines(bucket.round("r1") / "consolidated.manifest")
    assert {line["source-ref"]: line[f"{ATTRIBUTE}-metadata"]["class-name"] for line in found} == {
        line["source-ref"]: bucket.truth[line["source-ref"]] for line in lines[3:]
    }
    assert sorted(one["worker"] for one in bucket.found("r1", "workers")) == sorted(people)
    kept = read_lines(bucket.round("r1") / "gold-answers.jsonl")
    assert {(one["worker"], one["label"]) for one in kept} == {
        (who, bucket.truth[line["source-ref"]]) for who in people for line in lines[:3]
    }
    written = {path for path in folder.rglob("*") if path.is_file()} - before
    assert {path.parent.name for path in written} <= {"r1", "round", "output"}


def damaged(text: bytes, place: int, how: str) -> bytes:
    """A file of which one byte is changed, or that ends early, or that has a line too long."""
    at = place % max(1, len(text))
    if how == "cut":
        return text[:at]
    if how == "long":
        return b'{"source-ref": "' + b"x" * 100_001 + b'"}\n' + text
    return text[:at] + (b"\xff" if how == "bytes" else b"}{\n[") + text[at + 1 :]


FILES = (
    "pool.manifest",
    "labeling-jobs.json",
    "routing/algo-1/human.manifest",
    "routing/algo-1/machine.manifest",
    "routing/algo-1/audit.manifest",
    "routing/algo-1/routing.json",
    "tasks/labelers/job-0.manifest",
    "labeling-jobs/labelers/job-0/annotations/worker-response/iteration-1/0/2026-01-31_12:00:00.json",
    "labeling-jobs/labelers/job-0/manifests/output/output.manifest",
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Bucket:
    """A round in which everything is as it should be."""
    bucket = Bucket(tmp_path_factory.mktemp("sound") / "bucket", ["a", "b", "c"])
    one = {"experts": {}, "audit": False, "unreadable": False, "gold": None, "automated": False, "listed_twice": False}
    said = {"labelers": dict.fromkeys(PEOPLE, "a"), "machine": None}
    pool = put(bucket, [{**one, **said}, {**one, **said}, {**one, **said, "machine": "a"}])
    (bucket.round("r1") / "labeling-jobs.json").unlink()
    responses = bucket.answer("r1", {line["source-ref"]: dict.fromkeys(PEOPLE, "a") for line in pool})
    output = responses.parents[2] / "manifests" / "output" / "output.manifest"
    write_lines(output, [machine_line(bucket, pool[0], "a")])
    return bucket


@given(st.sampled_from(FILES), st.integers(0, 500), st.sampled_from(["cut", "bytes", "json", "long"]))
@settings(max_examples=120)
def test_a_damaged_file_gives_the_right_counts_or_one_error_that_names_it(
    sound: Bucket, tmp_path_factory: pytest.TempPathFactory, name: str, place: int, how: str
) -> None:
    path, root = sound.round("r1") / name, tmp_path_factory.mktemp("damaged") / "ml"
    whole = path.read_bytes()
    path.write_bytes(damaged(whole, place, how))
    try:
        code = consolidate(sound, root, "r1")
    finally:
        path.write_bytes(whole)
    if code == 0:
        fates = sound.found("r1", "fates")
        assert fates["objects"] == sum(fates[fate] for fate in (*FATES, "duplicate"))
        return
    message = (root / "output" / "message").read_text()
    assert "unexpected" not in message
    assert Path(name).name in message or "source-ref" in message or "images/" in message
