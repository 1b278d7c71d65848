"""Imports: labels of another tool, each object once, whatever the order of lines; boxes get this project's numbers."""

import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import JobError
from jobs.labeling.imported import labels, renamed
from jobs.manifest import Entry
from tests.unit.jobs.bench import ATTRIBUTE, BUCKET

CATEGORIES = ["crab", "squid", "whale"]


def imported(lines: list[dict[str, Any]], gold: set[str]) -> tuple[list[dict[str, Any]], Counter[str]]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "import.manifest"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        tally: Counter[str] = Counter()
        found = labels(path, ATTRIBUTE, CATEGORIES, task="classification", gold=gold, tally=tally)
        return sorted(found, key=lambda line: line["source-ref"]), tally


lines_of_others = st.builds(
    lambda number, name, by, day: {
        "source-ref": f"{BUCKET}images/{number}.jpg",
        "kind": 7,
        "kind-metadata": {"class-name": name, "creation-date": f"2026-01-0{day}", "human-annotated": by},
    },
    st.integers(0, 6),
    st.sampled_from(CATEGORIES),
    st.sampled_from(["yes", "no", "perhaps"]),
    st.integers(1, 3),
)


@given(st.lists(lines_of_others, max_size=20), st.sets(st.integers(0, 6).map(lambda n: f"{BUCKET}images/{n}.jpg")))
def test_every_object_comes_once_and_every_line_is_counted(lines: list[dict[str, Any]], gold: set[str]) -> None:
    found, tally = imported(lines, gold)
    assert [line["source-ref"] for line in found] == sorted({line["source-ref"] for line in lines} - gold)
    assert sum(tally.values()) == len(lines)
    assert tally["human"] + tally["machine"] == len(found)
    assert imported(lines[::-1], gold) == (found, tally)
    for line in found:
        said = [one for one in lines if one["source-ref"] == line["source-ref"]]
        by_human = any(one["kind-metadata"]["human-annotated"] != "no" for one in said)
        assert line[f"{ATTRIBUTE}-metadata"]["human-annotated"] == ("yes" if by_human else "no")
        assert line[ATTRIBUTE] == CATEGORIES.index(line[f"{ATTRIBUTE}-metadata"]["class-name"])


def boxes(class_id: object, names: object) -> Entry:
    label = {"annotations": [{"class_id": class_id, "left": 1, "top": 2, "width": 3, "height": 4}]}
    values = {"source-ref": f"{BUCKET}a.jpg", "drawn": label, "drawn-metadata": {"class-map": names}}
    return Entry(Path("import.manifest"), 3, values)


def test_boxes_get_the_numbers_that_their_classes_have_here() -> None:
    line = renamed(boxes(5, {"5": "squid", "6": "crab"}), ATTRIBUTE, CATEGORIES, task="detection")
    assert line[ATTRIBUTE]["annotations"] == [{"class_id": 1, "left": 1, "top": 2, "width": 3, "height": 4}]
    assert line[f"{ATTRIBUTE}-metadata"]["class-map"] == {"0": "crab", "1": "squid", "2": "whale"}


@pytest.mark.parametrize(
    ("class_id", "names", "problem"),
    [
        (5, {"5": "kraken"}, "has the unknown class 'kraken'"),
        (7, {"5": "squid"}, "has a box with the class_id 7; its class-map names 5"),
        (None, {"5": "squid"}, "has a box with the class_id None"),
        (5, ["squid"], "needs 'drawn' with 'annotations' and a 'class-map'"),
    ],
)
def test_boxes_that_cannot_be_understood_name_the_line(class_id: object, names: object, problem: str) -> None:
    with pytest.raises(JobError, match=rf"^import\.manifest, line 3 {problem}"):
        renamed(boxes(class_id, names), ATTRIBUTE, CATEGORIES, task="detection")
