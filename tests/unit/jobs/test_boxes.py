"""Boxes that several people draw become the things that are there, each with its class, its place and its certainty."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jobs.labeling.boxes import SAME, groups, middle, overlaps, same_things
from tests.unit.jobs.bench import ATTRIBUTE, BUCKET, Bucket, consolidate, read_lines, write_lines
from tests.unit.jobs.images import CLASSES

PEOPLE = ("anna", "ben", "carla")
SIZE = {"width": 640, "height": 480}
Boxes = list[dict[str, Any]]

corners = arrays(np.float64, st.tuples(st.integers(1, 7), st.just(4)), elements=st.integers(0, 40).map(float))
some_boxes = corners.map(lambda values: np.hstack([values[:, :2], values[:, :2] + values[:, 2:]]))


def box(label: str, left: float, top: float, width: float = 100, height: float = 80) -> dict[str, Any]:
    return {"label": label, "left": left, "top": top, "width": width, "height": height}


def labeled(line: dict[str, Any], boxes: Boxes, *, human: str = "yes") -> dict[str, Any]:
    annotations = [
        {**{name: one[name] for name in ("left", "top", "width", "height")}, "class_id": CLASSES.index(one["label"])}
        for one in boxes
    ]
    metadata = {
        "objects": [{"confidence": 0.9}] * len(boxes),
        "class-map": {str(CLASSES.index(one["label"])): one["label"] for one in boxes},
        "human-annotated": human,
    }
    return {**line, ATTRIBUTE: {"annotations": annotations}, f"{ATTRIBUTE}-metadata": metadata}


@given(some_boxes, st.data())
def test_a_group_has_one_box_of_an_owner_at_most_and_every_box_is_in_one(
    boxes: np.ndarray, data: st.DataObject
) -> None:
    owners = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(boxes), max_size=len(boxes))))
    found = groups(boxes, owners)
    assert len(found) == len(boxes)
    assert set(found.tolist()) == set(range(int(found.max()) + 1))
    for number in set(found.tolist()):
        members = np.flatnonzero(found == number)
        assert len(set(owners[members].tolist())) == len(members)
        if len(members) > 1:
            near = overlaps(boxes[members], boxes[members]) - np.eye(len(members))
            assert (near.max(1) >= SAME).all()


@given(some_boxes)
def test_overlap_is_symmetric_one_with_itself_and_never_more(boxes: np.ndarray) -> None:
    near = overlaps(boxes, boxes)
    np.testing.assert_allclose(near, near.T)
    assert ((near >= 0) & (near <= 1)).all()
    real = (boxes[:, 2:] > boxes[:, :2]).all(1)
    np.testing.assert_allclose(near.diagonal(), real.astype(float))


@given(some_boxes, st.randoms(use_true_random=False))
def test_a_set_of_boxes_shows_the_same_as_itself_in_any_order(boxes: np.ndarray, random: Any) -> None:
    real = boxes[(boxes[:, 2:] > boxes[:, :2]).all(1)]
    classes, order = np.arange(len(real)) % 3, list(range(len(real)))
    random.shuffle(order)
    distinct = np.triu(overlaps(real, real), 1).max(initial=0) < SAME
    assert same_things(real, classes, real[order], classes[order]) or not distinct
    assert not same_things(real, classes, real[order][1:], classes[order][1:]) or not len(real)
    assert not same_things(real, classes, real, classes + 1) or not len(real)


def test_the_middle_of_boxes_does_not_move_with_one_that_is_wild() -> None:
    boxes = np.array([[10, 10, 50, 50], [12, 11, 52, 49], [0, 0, 600, 400.0]])
    np.testing.assert_allclose(middle(boxes, np.array([0.9, 0.9, 0.9])), [10, 10, 52, 50])
    np.testing.assert_allclose(middle(boxes[:2], np.array([0.5, 0.5])), [11, 10.5, 51, 49.5])
    # Who can be believed more counts more.
    np.testing.assert_allclose(middle(boxes[:2], np.array([0.9, 0.3])), boxes[0])


def put_round(bucket: Bucket, count: int, gold: int = 0) -> list[dict[str, Any]]:
    """A scored round of images that people label; the gold has one thing each."""
    pool = [{"source-ref": f"{BUCKET}images/{n}.jpg", "content": f"content-{n}"} for n in range(count)]
    known = [{"source-ref": f"{BUCKET}gold/{n}.jpg", "content": f"gold-{n}"} for n in range(gold)]
    write_lines(bucket.folder / "gold" / "gold.manifest", [labeled(line, truth(n)) for n, line in enumerate(known)])
    folder = bucket.round("r1")
    write_lines(folder / "pool.manifest", pool)
    for name, lines in {"machine": [], "audit": [], "human": [*pool, *known]}.items():
        write_lines(folder / "routing" / "algo-1" / f"{name}.manifest", lines)
    (folder / "routing" / "algo-1" / "routing.json").write_text('{"hosts": 1, "unreadable": []}')
    return [*pool, *known]


def truth(number: int) -> Boxes:
    return [box(CLASSES[number % 3], 50 + 10 * (number % 5), 60)]


def shaken(boxes: Boxes, rng: np.random.Generator) -> Boxes:
    """As another person draws the same: every side a few pixels off."""
    return [{**one, **{side: one[side] + float(rng.normal(0, 2)) for side in ("left", "top")}} for one in boxes]


def answer(bucket: Bucket, drawn: dict[str, dict[str, Boxes | str]], lines: list[dict[str, Any]], team: str) -> None:
    """Worker responses {source-ref: {worker: boxes, or a verdict}}."""
    responses = bucket.answer("r1", {}, f"job-{team}", team=team, tasks=lines)
    for index, line in enumerate(lines):
        document = {"answers": []}
        for worker, given_ in drawn.get(line["source-ref"], {}).items():
            content = (
                {"verify": {"label": given_}}
                if isinstance(given_, str)
                else {"boundingBox": {"boundingBoxes": given_, "inputImageProperties": SIZE}}
            )
            document["answers"].append({"workerId": worker, "answerContent": content, "timeSpentInSeconds": 9.5})
        (responses / str(index)).mkdir(parents=True, exist_ok=True)
        (responses / str(index) / "1.json").write_text(json.dumps(document))


def run(bucket: Bucket, root: Path, **options: object) -> dict[str, Any]:
    assert consolidate(bucket, root, "r1", task="detection", **options) == 0, (root / "output" / "message").read_text()
    found: dict[str, Any] = json.loads((bucket.round("r1") / "fates.json").read_text())
    return found


def consolidated(bucket: Bucket, name: str = "consolidated") -> dict[str, dict[str, Any]]:
    return {line["source-ref"]: line for line in read_lines(bucket.round("r1") / f"{name}.manifest")}


def drawn_by_all(lines: list[dict[str, Any]], people: tuple[str, ...] = PEOPLE) -> dict[str, dict[str, Boxes | str]]:
    rng = np.random.default_rng(5)
    return {
        line["source-ref"]: {person: shaken(truth(int(line["content"].split("-")[1])), rng) for person in people}
        for line in lines
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "ml"


def test_what_everybody_drew_becomes_a_line_as_ground_truth_writes_it(bucket: Bucket, root: Path) -> None:
    lines = put_round(bucket, 30, gold=12)
    drawn = drawn_by_all(lines)
    empty = lines[3]["source-ref"]
    drawn[empty] = {person: [] for person in PEOPLE}
    answer(bucket, drawn, lines, "labelers")
    fates = run(bucket, root)
    assert (fates["human"], fates["uncertain"]) == (30, 0)
    found = consolidated(bucket)
    assert len(found) == 30
    for number, line in enumerate(lines[:30]):
        label, metadata = found[line["source-ref"]][ATTRIBUTE], found[line["source-ref"]][f"{ATTRIBUTE}-metadata"]
        assert label["image_size"] == [{**SIZE, "depth": 3}]
        assert (metadata["type"], metadata["human-annotated"]) == ("groundtruth/object-detection", "yes")
        if line["source-ref"] == empty:
            assert (label["annotations"], metadata["objects"], metadata["class-map"]) == ([], [], {})
            continue
        (annotation,), (about,) = label["annotations"], metadata["objects"]
        expected = truth(number)[0]
        assert metadata["class-map"] == {str(annotation["class_id"]): expected["label"]}
        for side in ("left", "top", "width", "height"):
            assert isinstance(annotation[side], int)
            assert annotation[side] == pytest.approx(expected[side], abs=6)
        assert about["confidence"] > 0.9
        assert about["agreement"] > 0.8


def test_a_box_that_one_of_three_drew_is_nothing_and_one_that_one_missed_is_there(bucket: Bucket, root: Path) -> None:
    lines = put_round(bucket, 40, gold=12)
    drawn = drawn_by_all(lines)
    ghost, missed, renamed = (lines[number]["source-ref"] for number in (0, 1, 2))
    drawn[ghost]["ben"] = [*drawn[ghost]["ben"], box("disc", 400, 300)]
    drawn[missed]["carla"] = []
    drawn[renamed]["anna"] = [{**truth(2)[0], "label": CLASSES[0]}]
    answer(bucket, drawn, lines, "labelers")
    run(bucket, root, posterior_target=0.5)
    found = consolidated(bucket)
    for number, ref in enumerate((ghost, missed, renamed)):
        (annotation,) = found[ref][ATTRIBUTE]["annotations"]
        assert CLASSES[annotation["class_id"]] == truth(number)[0]["label"]


def test_an_image_in_which_everybody_saw_something_else_goes_to_experts(bucket: Bucket, root: Path) -> None:
    lines = put_round(bucket, 20, gold=12)
    drawn = drawn_by_all(lines)
    scattered = lines[0]["source-ref"]
    drawn[scattered] = {
        person: [box("disc", 20 + 150 * number, 40)] for number, person in enumerate(("anna", "ben", "carla"))
    }
    answer(bucket, drawn, lines, "labelers")
    assert run(bucket, root)["uncertain"] == 1
    assert [line["source-ref"] for line in read_lines(bucket.round("r1") / "doubtful.manifest")] == [scattered]


def test_errors_on_gold_are_of_whole_images_and_spammers_are_dropped(bucket: Bucket, root: Path) -> None:
    lines = put_round(bucket, 20, gold=24)
    drawn = drawn_by_all(lines)
    wrong_class, too_far, one_too_many = (f"{BUCKET}gold/{number}.jpg" for number in range(3))
    drawn[wrong_class]["anna"] = [{**truth(0)[0], "label": CLASSES[1]}]
    drawn[too_far]["anna"] = [box(CLASSES[1], 300, 60)]
    drawn[one_too_many]["anna"] = [*truth(2), box(CLASSES[1], 400, 300)]
    for line in lines:
        drawn[line["source-ref"]]["spam"] = []
    answer(bucket, drawn, lines, "labelers")
    fates = run(bucket, root)
    workers = {one["worker"]: one for one in json.loads((bucket.round("r1") / "workers.json").read_text())}
    assert (workers["anna"]["gold_objects"], workers["anna"]["gold_errors"]) == (24, 3)
    assert (fates["dropped_workers"], workers["spam"]["gold_errors"]) == (["spam"], 24)
    level = json.loads((bucket.round("r1") / "human-level.json").read_text())
    team = next(one for one in level["candidates"] if one["who"] == "team of labelers")
    assert (team["members"], team["gold_objects"], team["gold_errors"]) == (list(PEOPLE), 24, 0)
    kept = read_lines(bucket.round("r1") / "gold-answers.jsonl")
    assert len(kept) == 24 * 4
    assert kept[0]["truth"] == truth(0)
    assert next(one for one in kept if one["worker"] == "spam")["label"] == []
    # A later round reads them back: the same people, measured on the same answers.
    write_lines(bucket.dataset("r0") / "gold-answers.jsonl", [{**one, "round": "r0"} for one in kept])
    answer(bucket, {ref: boxes for ref, boxes in drawn.items() if "gold" not in ref}, lines, "labelers")
    assert consolidate(bucket, root, "r1", task="detection", previous="r0") == 0
    later = {one["who"]: one for one in bucket.found("r1", "human-level")["candidates"]}
    assert (later["worker anna"]["gold_objects"], later["worker anna"]["gold_errors"]) == (24, 3)


def doubtful_round(bucket: Bucket, root: Path) -> dict[str, Any]:
    """A round in which people saw two different things in the first image; its line for the experts."""
    lines = put_round(bucket, 20, gold=12)
    drawn = drawn_by_all(lines)
    drawn[lines[0]["source-ref"]] = {
        "anna": [box("disc", 50, 60)],
        "ben": [box("noise", 52, 61)],
        "carla": [box("stripes", 300, 200)],
    }
    answer(bucket, drawn, lines, "labelers")
    assert run(bucket, root)["uncertain"] == 1
    (line,) = read_lines(bucket.round("r1") / "doubtful.manifest")
    assert line["source-ref"] == lines[0]["source-ref"]
    # The experts' pages show what was drawn.
    assert {"annotations", "image_size"} == set(line[ATTRIBUTE])
    return line


def test_what_experts_correct_replaces_what_was_drawn(bucket: Bucket, root: Path) -> None:
    line = doubtful_round(bucket, root)
    corrected: dict[str, Boxes | str] = {person: [box("stripes", 301, 199)] for person in ("dora", "emil", "fay")}
    answer(bucket, {line["source-ref"]: corrected}, [line], "experts")
    assert run(bucket, root)["human"] == 20
    (annotation,) = consolidated(bucket)[line["source-ref"]][ATTRIBUTE]["annotations"]
    assert (CLASSES[annotation["class_id"]], annotation["left"], annotation["width"]) == ("stripes", 301, 100)


@pytest.mark.parametrize(("verdicts", "fate"), [(["right"] * 3, "human"), (["wrong", "wrong", "right"], "uncertain")])
def test_experts_who_verify_decide_whether_what_was_drawn_is_a_label(
    bucket: Bucket, root: Path, verdicts: list[str], fate: str
) -> None:
    line = doubtful_round(bucket, root)
    given_: dict[str, Boxes | str] = dict(zip(("dora", "emil", "fay"), verdicts, strict=True))
    answer(bucket, {line["source-ref"]: given_}, [line], "experts")
    fates = run(bucket, root, posterior_target=0.8)
    assert (fates["human"], fates["uncertain"]) == ((20, 0) if fate == "human" else (19, 1))
    if fate == "human":
        assert consolidated(bucket)[line["source-ref"]][ATTRIBUTE] == line[ATTRIBUTE]


@pytest.mark.parametrize(
    "broken",
    [
        [{"label": "disc"}],
        [box("disc", float("nan"), 0)],
        [box("disc", 0, 0, width=-1)],
        [{**box("disc", 0, 0), "label": 7}],
        "boxes",
    ],
)
def test_an_answer_that_is_no_set_of_boxes_is_named(bucket: Bucket, root: Path, broken: Any) -> None:
    lines = put_round(bucket, 3)
    responses = bucket.answer("r1", {}, tasks=lines)
    (responses / "1").mkdir(parents=True)
    content = {"boundingBox": {"boundingBoxes": broken, "inputImageProperties": SIZE}}
    (responses / "1" / "2027.json").write_text(json.dumps({"answers": [{"workerId": "a", "answerContent": content}]}))
    assert consolidate(bucket, root, "r1", task="detection") == 1
    message = (root / "output" / "message").read_text()
    assert "job-0/iteration-1/1/2027.json is not a worker response" in message


def test_a_box_of_an_unknown_class_says_nothing_and_gold_with_one_is_refused(bucket: Bucket, root: Path) -> None:
    lines = put_round(bucket, 10)
    drawn = drawn_by_all(lines)
    drawn[lines[0]["source-ref"]]["ben"] = [box('whale"><script>', 50, 60)]
    answer(bucket, drawn, lines, "labelers")
    assert run(bucket, root)["answers_without_category"] == 1
    gold = labeled(lines[0], truth(0))
    gold[f"{ATTRIBUTE}-metadata"]["class-map"] = {"0": "whale"}
    write_lines(bucket.folder / "gold" / "gold.manifest", [gold])
    assert consolidate(bucket, root, "r1", task="detection") == 1
    assert "gold.manifest, line 1 has a box of an unknown class" in (root / "output" / "message").read_text()
