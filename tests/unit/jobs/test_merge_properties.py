"""Whatever is in the manifests of rounds: the right dataset, or one sentence that names the line."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.labeling.fingerprint import NEAR
from jobs.labeling.splits import split_of
from tests.unit.jobs.bench import ATTRIBUTE, BUCKET
from tests.unit.jobs.rounds import Merges, label

ODD = ['"crab"', "<script>alert('squid')</script>", "../whale\n\u2028\r\x00", "日本 🦀"]
"""Class names that break what is put together carelessly; keys have them too."""
AUDIT_SHARE = 0.3
_versions = count(1)


@contextmanager
def place() -> Iterator[Merges]:
    with TemporaryDirectory() as folder:
        yield Merges(Path(folder), categories=ODD)


def merged(merges: Merges, lines: list[Any], *, previous: str | None = None, **round_: Any) -> str:
    """The version that a round becomes."""
    version = f"r{next(_versions)}"
    merges.put_round(lines, **round_)
    assert merges.merge(version, previous=previous, audit_share=AUDIT_SHARE) == 0, merges.message
    return version


# Few bits and few objects, so that much of it is near, equal or in conflict.
prints = st.none() | st.integers(0, 15).map(lambda bits: (1 << bits) - 1) | st.integers(0, 2**64 - 1)
numbers = st.integers(0, 11)
keys = st.sampled_from(["a.jpg", "a b.jpg", 'a"<b>.jpg', "ä\n\u2028.jpg", "..jpg", "x/..y/#?.jpg"])


@st.composite
def labels(draw: st.DrawFn) -> dict[str, Any]:
    """A labeled line; the same object has the same name, and not always a content or fingerprint."""
    number = draw(numbers)
    line = {"source-ref": f"{BUCKET}images/{number}/{draw(keys)}"}
    if draw(st.booleans()) or number > 4:
        line["content"] = f"content-{number}\U0001f980"
    if (fingerprint := draw(prints)) is not None:
        line["fingerprint"] = f"{fingerprint:016x}"
    name, by_human, day = draw(st.sampled_from(ODD)), draw(st.booleans()), draw(st.integers(1, 3))
    return label(line, name, by_human=by_human, day=day, categories=ODD)


def broken(number: int, key: str, change: Any) -> bytes:
    line = label({"source-ref": f"{BUCKET}{number}", "content": f"c{number}"}, ODD[0], categories=ODD)
    return json.dumps(
        {**line, key: change} if change is not ... else {k: v for k, v in line.items() if k != key}
    ).encode()


METADATA = f"{ATTRIBUTE}-metadata"
BROKEN = [
    b"{",
    b"[]",
    b"\xff\xfe",
    b'"text"',
    b"[" * 100_000,
    b'{"source-ref": NaN}',
    b'{"source-ref": "s3://data-bucket/a", "x": "' + b"y" * 100_000 + b'"}',
    b"z" * 1_000_000,
    rb'{"source-ref": "s3://data-bucket/\ud800"}',
    broken(1, "source-ref", ...),
    broken(2, "source-ref", ["s3://data-bucket/a"]),
    broken(3, "source-ref", "s3://data-bucket/../../etc/passwd"),
    broken(4, "source-ref", "file:///etc/passwd"),
    broken(5, "source-ref", "s3://other-bucket/a.jpg"),
    broken(6, "content", 7),
    broken(7, "content", ""),
    broken(8, "fingerprint", "xyz"),
    broken(9, "fingerprint", 12),
    broken(10, METADATA, ...),
    broken(11, METADATA, None),
    broken(12, METADATA, {"class-name": "kraken"}),
    broken(13, METADATA, {"class-name": ["crab"]}),
    broken(14, "anything", float("1e999")).replace(b"Infinity", b"1e999"),
]


@settings(max_examples=60)
@given(st.lists(labels(), max_size=4), st.sampled_from(BROKEN), st.data())
def test_one_broken_line_among_others_is_named(lines: list[Any], bad: bytes, data: st.DataObject) -> None:
    first = label({"source-ref": f"{BUCKET}first.jpg"}, ODD[1], categories=ODD)
    number = data.draw(st.integers(0, len(lines)), "the line that is broken")
    with place() as merges:
        merges.put_round([first, *lines[:number], bad, *lines[number:]])
        assert merges.merge("r1") == 1
        assert merges.message.startswith(f"consolidated.manifest, line {number + 2} "), merges.message
        assert not any(merges.folder.glob("ml/processing/output/dataset/*"))


@given(st.lists(labels(), min_size=1, max_size=12), st.lists(labels(), max_size=6))
def test_counts_in_are_counts_out(lines: list[dict[str, Any]], gold: list[dict[str, Any]]) -> None:
    kept = label({"source-ref": f"{BUCKET}kept.jpg", "content": "kept"}, ODD[1], categories=ODD)
    with place() as merges:
        merges.gold = gold
        version = merged(merges, [*lines, kept])
        card, where = merges.card(version), merges.splits(version)
        fates = card["round"]["merged"]
        assert sum(fates.values()) == len(lines) + 1
        assert fates["new"] == card["objects"] == sum(map(len, where.values())) == sum(card["splits"].values())
        assert card["objects"] == sum(card["sources"].values())
        assert sum(sum(one[name] for name in where) for one in card["classes"].values()) == card["objects"]
        found = [line for part in where.values() for line in part.values()]
        offered = {line["source-ref"]: line for line in [*lines, kept]}
        for line in found:
            assert line[METADATA]["class-name"] in ODD
            assert line["source-ref"] in offered
        assert len({line["source-ref"] for line in found}) == len(found)
        splits = merges.splits(version)
        for name, parts in (("training", ("train", "validation")), ("test", ("test",))):
            expected = [line["source-ref"] for part in parts for line in splits[part].values()]
            assert sorted(merges.listed(version, name)) == sorted(expected or [f"{BUCKET}datasets/{version}/card.json"])


@given(st.lists(labels(), min_size=1, max_size=10), st.lists(labels(), max_size=6), st.randoms())
def test_neither_the_order_of_lines_nor_doing_it_twice_makes_a_difference(
    lines: list[dict[str, Any]], audited: list[dict[str, Any]], chance: Any
) -> None:
    kept = label({"source-ref": f"{BUCKET}kept.jpg", "content": "kept"}, ODD[1], categories=ODD)
    with place() as merges:
        merges.put_round([*lines, kept], audited=audited)
        assert merges.merge("r", audit_share=AUDIT_SHARE) == 0
        once = {path.name: path.read_bytes() for path in merges.dataset("r").iterdir()}
        mixed = [*lines, kept]
        chance.shuffle(mixed)
        merges.put_round(mixed, audited=audited[::-1])
        assert merges.merge("r", audit_share=AUDIT_SHARE) == 0
        assert {path.name: path.read_bytes() for path in merges.dataset("r").iterdir()} == once
        assert merges.merge("r", previous="r", audit_share=AUDIT_SHARE) == 0
        twice = {path.name: path.read_bytes() for path in merges.dataset("r").iterdir()}
        assert {name: twice[name] for name in twice if name != "card.json"} == {
            name: once[name] for name in once if name != "card.json"
        }


@given(st.lists(st.lists(st.tuples(st.integers(0, 60), prints, st.booleans()), max_size=10), min_size=2, max_size=3))
def test_no_object_changes_its_split_and_no_split_tells_on_a_more_guarded_one(rounds: list[Any]) -> None:
    order = ["train", "validation", "test", "audit"]
    with place() as merges:
        previous, before = None, {}
        looks: dict[str, int | None] = {}
        for lines in rounds:
            kept = label({"source-ref": f"{BUCKET}kept.jpg", "content": "kept"}, ODD[1], categories=ODD)
            made = [kept]
            for number, fingerprint, by_human in lines:
                name = f"content-{number}"
                seen = looks.setdefault(name, fingerprint)
                line = {"source-ref": f"{BUCKET}{number}.jpg", "content": name}
                extra = {} if seen is None else {"fingerprint": f"{seen:016x}"}
                made.append(label({**line, **extra}, ODD[0], by_human=by_human, categories=ODD))
            previous = merged(merges, made, previous=previous)
            now = merges.where(previous)
            assert before.items() <= now.items()
            for name in now.keys() - before.keys():
                drawn = split_of(name, audit_share=AUDIT_SHARE)
                assert (now[name] == "audit") == (drawn == "audit")
                if now[name] != "audit":
                    # Nothing more guarded was there before, and nothing of the audit is there at all.
                    guarded = [o for o in now if o in before or now[o] == "audit"]
                    for other in guarded:
                        assert not near(looks.get(name), looks.get(other)) or (
                            order.index(now[other]) <= order.index(now[name])
                        )
                    together = [o for o in now if o not in before and now[o] != "audit"]
                    assert all(now[o] == now[name] for o in together if near(looks.get(name), looks.get(o)))
            before = now


def near(one: int | None, other: int | None) -> bool:
    return one is not None and other is not None and (one ^ other).bit_count() <= NEAR
