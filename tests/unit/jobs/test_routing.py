"""People get what is worth their while first, and cannot tell what is already known from what is not."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import manifest
from jobs.errors import JobError
from jobs.labeling.acceptance import NOTHING, Rule
from jobs.labeling.audit import is_audited
from jobs.labeling.predictions import FILE, Labeler, Opinion
from jobs.labeling.routing import Routed, Terms, honeypots_for, is_selected, route, source
from jobs.labeling.spill import SortedLines
from tests.unit.jobs.bench import write_lines

CATEGORIES = ["crab", "squid", "eel"]
SURE = Rule(dict.fromkeys(CATEGORIES, 0.8), {})
MACHINE = Labeler("species", CATEGORIES, "m-1", datetime(2026, 1, 31, tzinfo=UTC))


def terms(rule: Rule = SURE, *, audit_share: float = 0.0, honeypot_share: float = 0.0) -> Terms:
    return Terms(rule, MACHINE, audit_share, honeypot_share, seed=1)


def opinion(
    number: int,
    confidence: float,
    *,
    label: str = "crab",
    second: str = "squid",
    source: str = "upload",
    by: Labeler = MACHINE,
) -> dict[str, Any]:
    """What the machine says of an image whose two best labels share all of the probability."""
    line = {
        "source-ref": f"s3://b/images/{source}/{number}.png",
        "content": f"content {number}",
        "fingerprint": f"{number:016x}",
    }
    shares = {label: confidence, second: 1 - confidence}
    return by.predicted(line, Opinion(label, confidence, second, 2 * confidence - 1, shares))


def known(count: int) -> list[dict[str, str]]:
    return [
        {"source-ref": f"s3://b/gold/{number}.png", "content": f"gold {number}", "fingerprint": f"{number:016x}"}
        for number in range(count)
    ]


def routed(
    folder: Path, lines: list[dict[str, Any]], by: Terms, gold: list[dict[str, str]] | None = None
) -> tuple[Routed, dict[str, list[dict[str, Any]]]]:
    write_lines(folder / FILE, lines)
    counts = route(folder, gold or [], by)
    names = ("machine", "human", "audit")
    return counts, {name: [entry.values for entry in manifest.read(folder / f"{name}.manifest")] for name in names}


def contents(lines: list[dict[str, Any]]) -> list[str]:
    return [line["content"] for line in lines]


def test_people_get_what_the_machine_is_least_sure_of_first(tmp_path: Path) -> None:
    lines = [opinion(number, 0.5 + number % 60 / 200) for number in range(300)]
    _, files = routed(tmp_path, lines, terms())
    margins = {line["content"]: line["species-metadata"]["margin"] for line in lines}
    bands = [int(10 * margins[content]) for content in contents(files["human"])]
    assert len(bands) == 300
    assert bands == sorted(bands)


def test_people_see_something_of_every_kind_before_more_of_the_same(tmp_path: Path) -> None:
    kinds = [("crab", "squid", "upload"), ("crab", "eel", "upload"), ("eel", "crab", "upload"), ("eel", "crab", "reef")]
    sizes = [50, 5, 3, 2]
    lines = [
        opinion(100 * kind + number, 0.55, label=label, second=second, source=place)
        for kind, (label, second, place) in enumerate(kinds)
        for number in range(sizes[kind])
    ]
    _, files = routed(tmp_path, lines, terms())
    seen = [int(content.split()[1]) // 100 for content in contents(files["human"])]
    assert sorted(seen[:4]) == sorted(seen[4:8]) == [0, 1, 2, 3]
    assert sorted(seen[8:11]) == [0, 1, 2]
    assert sorted(seen[11:15]) == [0, 0, 1, 1]


def test_without_opinions_people_see_all_sources_in_turn(tmp_path: Path) -> None:
    places = ["upload"] * 20 + ["edge/buoy-1"] * 4 + ["edge/buoy-2"] * 4
    lines = [
        {"source-ref": f"s3://b/images/{place}/{number}.png", "content": f"{number}", "fingerprint": "0" * 16}
        for number, place in enumerate(places)
    ]
    counts, files = routed(tmp_path, lines, terms(NOTHING))
    assert counts == Routed(human=28)
    found = [source(line["source-ref"]) for line in files["human"]]
    assert [len(set(found[start : start + 3])) for start in range(0, 12, 3)] == [3] * 4


def test_gold_and_the_audit_stand_anywhere_among_the_work(tmp_path: Path) -> None:
    lines = [opinion(number, 0.6 if number < 400 else 0.9) for number in range(800)]
    counts, files = routed(tmp_path, lines, terms(audit_share=0.5, honeypot_share=0.3), known(1000))
    audited = [f"content {number}" for number in range(800) if is_audited(f"content {number}", 0.5)]
    checked = {content for content in audited if int(content.split()[1]) >= 400}
    assert contents(files["audit"]) == audited
    assert counts == Routed(400, 400, len(audited), len(checked), honeypots_for(400 + len(checked), 0.3))
    work = contents(files["human"])
    for hidden in (checked, {f"gold {number}" for number in range(1000)}):
        places = [place / len(work) for place, content in enumerate(work) if content in hidden]
        # The mean of 200 places has a standard deviation of 0.02.
        assert mean(places) == pytest.approx(0.5, abs=0.08)
        assert 0 < min(places) < 0.1 < 0.9 < max(places) < 1
    assert {tuple(line) for line in files["human"]} == {("source-ref", "content", "fingerprint")}


def test_honeypots_are_as_many_as_there_is_gold_at_most(tmp_path: Path) -> None:
    counts, files = routed(tmp_path, [opinion(1, 0.6)], terms(honeypot_share=0.9), known(3))
    assert counts.honeypots == 3
    assert len(set(contents(files["human"]))) == 4


def test_a_round_without_a_single_object_has_no_work(tmp_path: Path) -> None:
    assert routed(tmp_path, [], terms(honeypot_share=0.5), known(3)) == (
        Routed(),
        {"machine": [], "human": [], "audit": []},
    )


def test_the_machines_labels_are_as_any_others(tmp_path: Path) -> None:
    odd = ['"confidence": 0.0', "ä\n"]
    machine = Labeler("confidence", odd, "m-1", datetime(2026, 1, 31, 12, tzinfo=UTC))
    lines = [opinion(1, 0.123456789 + 0.5, label=odd[0], by=machine), opinion(2, 1.0, label=odd[1], by=machine)]
    _, files = routed(tmp_path, lines, Terms(Rule(dict.fromkeys(odd, 0.5), {}), machine, 0, 0, 1))
    for number, (line, told) in enumerate(zip(files["machine"], lines, strict=True)):
        assert line == manifest.without_labels(told) | {
            "confidence": number,
            "confidence-metadata": {
                "class-name": odd[number],
                "confidence": round(told["confidence-metadata"]["confidence"], 6),
                "type": "groundtruth/image-classification",
                "job-name": "model/m-1",
                "human-annotated": "no",
                "creation-date": "2026-01-31T12:00:00.000000",
            },
        }


def about(metadata: object) -> bytes:
    return json.dumps({"source-ref": "s3://b/a.png", "species": 0, "species-metadata": metadata}).encode()


BROKEN = {
    b"{": "is not JSON",
    b"\xff": "is not UTF-8",
    b'{"source-ref": "s3://b/a.png", "note": "' + b"x" * 100_000 + b'"}': "characters",
    b'{"content": "a"}': "needs a text in 'source-ref', got None",
    about(3): "has no label attribute 'species'",
    about({"class-name": 3}): "needs a text in 'class-name', got 3",
    about({"class-name": "crab"}): "needs a number from 0 to 1 in 'confidence', got None",
    about({"class-name": "crab", "confidence": 0.1}): "in 'margin', got None",
    about({"class-name": "crab", "confidence": 7}): "in 'confidence', got 7",
    b'{"source-ref": "s3://b/a.png", "fingerprint": 7}': "needs texts in",
}


@given(st.lists(st.integers(0, 3) | st.sampled_from(list(BROKEN)), max_size=12))
def test_any_lines_are_all_routed_or_the_first_broken_one_is_named(lines: list[int | bytes]) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place)
        good = [json.dumps(opinion(number, 0.5 + number / 6)).encode() for number in range(4)]
        raw = [line if isinstance(line, bytes) else good[line] for line in lines]
        (folder / FILE).write_bytes(b"".join(line + b"\n" for line in raw))
        broken = next((number for number, line in enumerate(raw, 1) if line in BROKEN), None)
        named = rf"^predictions\.manifest, line {broken} .*{BROKEN[raw[broken - 1]]}" if broken else ""
        with pytest.raises(JobError, match=named) if broken else nullcontext():
            counts = route(folder, known(2), terms(audit_share=0.5, honeypot_share=0.2))
            assert counts.machine + counts.human == len(lines)
            assert counts.machine == sum(line in (2, 3) for line in lines)
            assert counts.audit == sum(is_audited(f"content {line}", 0.5) for line in lines)
        left = {path.name for path in folder.iterdir()}
        assert left == {FILE} | (set() if broken else {"machine.manifest", "human.manifest", "audit.manifest"})


@given(
    st.lists(st.tuples(st.integers(0, 999), st.text(max_size=20).map(json.dumps)), max_size=200),
    st.sampled_from([1, 200, 10_000]),
)
def test_lines_are_sorted_however_little_fits_into_memory(lines: list[tuple[int, str]], memory: int) -> None:
    with TemporaryDirectory() as place:
        found = SortedLines(Path(place), bytes_in_memory=memory)
        for key, line in lines:
            found.add(f"{key:03d}", line)
        assert found.count == len(lines)
        in_order: Iterator[str] = iter(found)
        assert list(in_order) == [f"{line}\n" for _, line in sorted(lines)]


def test_few_files_are_open_however_many_runs_there_are(tmp_path: Path) -> None:
    found = SortedLines(tmp_path, bytes_in_memory=1, runs=4)
    for number in range(251):
        found.add(f"{number * 97 % 251:03d}", f"{number * 97 % 251}")
    # 251 is 3 * 64 + 2 * 16 + 3 * 4 + ..., so at most 3 files of each of 4 generations.
    assert len(list(tmp_path.iterdir())) <= 12
    assert [int(line) for line in found] == list(range(251))


@given(st.integers(1, 10_000), st.floats(0.01, 0.9))
def test_honeypots_make_their_share_of_the_peoples_work(objects: int, share: float) -> None:
    honeypots = honeypots_for(objects, share)
    assert honeypots / (honeypots + objects) >= share - 1e-9
    assert (honeypots - 1) / (honeypots - 1 + objects) < share + 1e-9
    assert honeypots_for(0, share) == 0


@pytest.mark.parametrize(
    ("key", "place", "selected"),
    [
        ("images/upload/a.png", "upload", False),
        ("images/upload/2026/a.png", "upload", False),
        ("images/edge/buoy-1/2026/a.png", "edge/buoy-1", True),
        ("images/edgeways/a.png", "edgeways", False),
        ("images/a.png", "", False),
        ("gold/edge/a.png", "edge", False),
    ],
)
def test_a_key_says_where_an_image_is_from(key: str, place: str, selected: bool) -> None:
    assert source(f"s3://b/{key}") == place
    assert is_selected(f"s3://b/{key}") == selected
