"""Merging: a round's labels and the dataset before become the next version; nothing is lost, nothing changes split."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from jobs.labeling.splits import split_of
from reefloop.contracts import dataset_key
from tests.unit.jobs.bench import ATTRIBUTE, BUCKET
from tests.unit.jobs.rounds import CATEGORIES, SPLITS, Merges, label, pooled

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def merges(tmp_path: Path) -> Merges:
    return Merges(tmp_path)


def in_split(name: str, count: int = 1, *, audit_share: float = 0.1, start: int = 0) -> list[int]:
    """Numbers of pool lines that fall into a split."""
    numbers = (number for number in range(start, start + 10_000))
    found = [n for n in numbers if split_of(f"content-{n}", audit_share=audit_share) == name]
    return found[:count]


def flipped(fingerprint: int, bits: int, start: int = 0) -> int:
    for bit in range(start, start + bits):
        fingerprint ^= 1 << (bit * 7 % 64)
    return fingerprint


def of(merges: Merges, version: str, number: object) -> dict[str, Any]:
    """The line of an object in a version."""
    return next(lines[f"content-{number}"] for lines in merges.splits(version).values() if f"content-{number}" in lines)


class TestLabels:
    def test_a_version_has_every_labeled_object_once_and_says_where_it_comes_from(self, merges: Merges) -> None:
        lines = [label(pooled(n), CATEGORIES[n % 3], by_human=n % 2 == 0) for n in range(100)]
        merges.put_round(lines, fates={"human": 50, "machine": 50})
        assert merges.merge("r1", audit_share=0) == 0
        where = merges.where("r1")
        assert where == {f"content-{n}": split_of(f"content-{n}", audit_share=0) for n in range(100)}
        card = merges.card("r1")
        assert (card["objects"], card["sources"]["human"], card["sources"]["machine"]) == (100, 50, 50)
        assert card["splits"] == {name: list(where.values()).count(name) for name in SPLITS}
        assert card["classes"]["crab"] | {"human": 17, "machine": 17} == card["classes"]["crab"]
        assert card["rounds"][0] | {"round": "r1", "human": 50, "machine": 50} == card["rounds"][0]
        assert card["round"] | {"human": 50, "machine": 50} == card["round"]
        images = merges.listed("r1", "training") + merges.listed("r1", "test")
        assert sorted(images) == sorted(pooled(n)["source-ref"] for n in range(100))
        assert {line["round"] for part in merges.splits("r1").values() for line in part.values()} == {"r1"}

    @pytest.mark.parametrize(
        ("older", "newer", "kept", "fate"),
        [
            ((True, "crab"), (False, "squid"), "crab", "gave_way"),
            ((True, "crab"), (True, "squid"), "squid", "replaced"),
            ((False, "crab"), (True, "squid"), "squid", "replaced"),
            ((False, "crab"), (False, "squid"), "squid", "replaced"),
        ],
    )
    def test_a_persons_label_counts_before_a_machines_and_then_the_newer(
        self, merges: Merges, older: tuple[bool, str], newer: tuple[bool, str], kept: str, fate: str
    ) -> None:
        for version, previous, (by_human, name) in (("r1", None, older), ("r2", "r1", newer)):
            merges.put_round([label(pooled(1), name, by_human=by_human)])
            assert merges.merge(version, previous=previous, audit_share=0) == 0
        assert of(merges, "r2", 1)[f"{ATTRIBUTE}-metadata"]["class-name"] == kept
        assert {name: count for name, count in merges.card("r2")["round"]["merged"].items() if count} == {fate: 1}

    def test_copies_of_one_picture_are_one_object(self, merges: Merges) -> None:
        copy = {**pooled(1), "source-ref": f"{BUCKET}images/copy.jpg"}
        merges.put_round([label(pooled(1), day=1), label(copy, "squid", day=2)])
        assert merges.merge("r1", audit_share=0) == 0
        assert of(merges, "r1", 1)["source-ref"] == copy["source-ref"]
        assert merges.card("r1")["round"]["merged"] | {"new": 1, "duplicate": 1} == merges.card("r1")["round"]["merged"]

    def test_what_has_become_gold_leaves_and_does_not_come(self, merges: Merges) -> None:
        merges.put_round([label(pooled(n)) for n in range(6)])
        assert merges.merge("r1", audit_share=0) == 0
        merges.gold = [label(pooled(2)), {"source-ref": pooled(3)["source-ref"]}, label(pooled(7))]
        merges.put_round([label(pooled(7)), label(pooled(8))])
        assert merges.merge("r2", previous="r1", audit_share=0) == 0
        assert merges.where("r2").keys() == {f"content-{n}" for n in (0, 1, 4, 5, 8)}
        assert merges.card("r2")["round"]["merged"]["gold"] == 1

    def test_a_picture_that_was_overwritten_takes_its_old_label_along(self, merges: Merges) -> None:
        merges.put_round([label(pooled(1)), label(pooled(2))])
        assert merges.merge("r1", audit_share=0) == 0
        other = {**pooled(1), "content": "content-other"}
        merges.put_round([label(other, "squid")])
        assert merges.merge("r2", previous="r1", audit_share=0) == 0
        assert merges.where("r2").keys() == {"content-other", "content-2"}

    def test_an_import_finds_the_objects_that_were_listed_before(self, merges: Merges) -> None:
        merges.put_round([label(pooled(n, n << 20), by_human=False) for n in range(20)])
        assert merges.merge("r1", audit_share=0) == 0
        bare = [{"source-ref": pooled(n)["source-ref"]} for n in (3, 99)]
        merges.put_round([label(line, "squid") for line in bare])
        assert merges.merge("r2", previous="r1", audit_share=0) == 0
        corrected = of(merges, "r2", 3)
        assert (corrected[ATTRIBUTE], corrected["fingerprint"]) == (1, f"{3 << 20:016x}")
        assert merges.where("r2")["content-3"] == merges.where("r1")["content-3"]
        assert merges.where("r2").keys() - merges.where("r1").keys() == {pooled(99)["source-ref"]}

    def test_boxes_are_counted_by_class(self, merges: Merges) -> None:
        def boxed(number: int, classes: list[int]) -> dict[str, Any]:
            metadata = {"class-map": {str(n): name for n, name in enumerate(CATEGORIES)}, "human-annotated": "yes"}
            boxes = [{"class_id": one, "left": 0, "top": 0, "width": 9, "height": 9} for one in classes]
            return {**pooled(number), ATTRIBUTE: {"annotations": boxes}, f"{ATTRIBUTE}-metadata": metadata}

        merges.put_round([boxed(1, [0, 0, 2]), boxed(2, []), boxed(3, [2])])
        assert merges.merge("r1", task="detection", audit_share=0) == 0
        card = merges.card("r1")
        assert (card["task"], card["objects"]) == ("detection", 3)
        assert {name: count["human"] for name, count in card["classes"].items()} == {"crab": 2, "squid": 0, "whale": 2}
        merges.put_round([boxed(1, [7])])
        assert merges.merge("r1", task="detection") == 1
        assert "consolidated.manifest, line 1 has a box with the class_id 7" in merges.message


class TestImageLists:
    def test_training_is_given_no_image_that_it_is_judged_by(self, merges: Merges) -> None:
        merges.put_round([label(pooled(n)) for n in range(100)])
        assert merges.merge("r1") == 0
        of = {name: {line["source-ref"] for line in part.values()} for name, part in merges.splits("r1").items()}
        assert all(of.values())
        assert sorted(merges.listed("r1", "training")) == sorted(of["train"] | of["validation"])
        assert sorted(merges.listed("r1", "test")) == sorted(of["test"])

    @pytest.mark.parametrize(("split", "empty"), [("train", "test"), ("test", "training"), ("audit", "training")])
    def test_a_list_of_no_image_names_the_version_s_card_since_a_manifest_file_must_name_something(
        self, merges: Merges, split: str, empty: str
    ) -> None:
        merges.put_round([label(pooled(n)) for n in in_split(split, 3)])
        assert merges.merge("r1") == 0
        assert merges.where("r1").keys() == {f"content-{n}" for n in in_split(split, 3)}
        assert merges.listed("r1", empty) == [BUCKET + dataset_key("r1", "card.json")]


class TestAudit:
    def test_audit_objects_are_in_no_split_that_is_trained_on(self, merges: Merges) -> None:
        merges.put_round([label(pooled(n)) for n in range(200)])
        assert merges.merge("r1", audit_share=0.2) == 0
        where = merges.where("r1")
        assert all((split == "audit") == (split_of(name, audit_share=0.2) == "audit") for name, split in where.items())
        audited = {line["source-ref"] for line in merges.splits("r1")["audit"].values()}
        assert 20 < len(audited) < 60
        assert not audited & {*merges.listed("r1", "training"), *merges.listed("r1", "test")}
        assert merges.card("r1")["sources"] == {
            "human": 200 - len(audited),
            "machine": 0,
            "audit": len(audited),
            "unsettled": 0,
        }

    def test_one_that_people_could_not_settle_stays_without_a_label_until_they_can(self, merges: Merges) -> None:
        unsure, pending = in_split("audit", 2)
        merges.put_round(
            [label(pooled("other"))], audited=[pooled(unsure), pooled(pending)], left_over=[pooled(pending)]
        )
        assert merges.merge("r1") == 0
        assert merges.splits("r1")["audit"] == {f"content-{unsure}": {**pooled(unsure), "round": "r1"}}
        assert merges.card("r1")["sources"]["unsettled"] == 1
        merges.put_round([label(pooled(unsure)), label(pooled(pending))])
        assert merges.merge("r2", previous="r1") == 0
        assert merges.card("r2")["sources"] | {"audit": 2, "unsettled": 0} == merges.card("r2")["sources"]

    def test_a_machines_label_is_worth_nothing_there(self, merges: Merges) -> None:
        unsure, stranger = in_split("audit", 2)
        lines = [label(pooled(unsure), by_human=False), label(pooled(stranger), by_human=False), label(pooled("other"))]
        merges.put_round(lines, audited=[pooled(unsure)])
        assert merges.merge("r1") == 0
        assert merges.splits("r1")["audit"] == {f"content-{unsure}": {**pooled(unsure), "round": "r1"}}
        assert merges.card("r1")["round"]["merged"]["audit_by_machine"] == 2

    def test_a_near_duplicate_of_an_audit_object_is_kept_out(self, merges: Merges) -> None:
        """Trained on it would tell the answer; in the audit it would count for more than its share."""
        audited, (one, other, free) = in_split("audit")[0], in_split("train", 3)
        merges.put_round(
            [label(pooled(audited, 0)), label(pooled(one, flipped(0, 4))), label(pooled(free, flipped(0, 5)))]
        )
        assert merges.merge("r1") == 0
        assert merges.where("r1") == {f"content-{audited}": "audit", f"content-{free}": "train"}
        assert (
            merges.card("r1")["round"]["merged"] | {"new": 2, "near_audit": 1} == merges.card("r1")["round"]["merged"]
        )
        merges.put_round([label(pooled(other, 1))])
        assert merges.merge("r2", previous="r1") == 0
        assert merges.where("r2") == merges.where("r1")

    def test_a_near_duplicate_of_gold_is_kept_out_though_gold_itself_is_in_no_split(self, merges: Merges) -> None:
        (alone, like), (same,) = in_split("train", 2), in_split("test")
        far = flipped(0, 30, start=10)
        lines = [label(pooled(alone, flipped(0, 20))), label(pooled(like, flipped(0, 4))), label(pooled(same, far))]
        merges.put_round(lines, looks=[pooled("gold-1", 0), pooled("gold-2", far)])
        assert merges.merge("r1") == 0
        assert merges.where("r1").keys() == {f"content-{alone}"}
        assert merges.card("r1")["round"]["merged"]["near_audit"] == 2

    def test_an_audit_object_may_resemble_what_was_there_before(self, merges: Merges) -> None:
        audited, (trained, later) = in_split("audit")[0], in_split("train", 2)
        merges.put_round([label(pooled(trained, 0))])
        assert merges.merge("r1") == 0
        merges.put_round([label(pooled(audited, flipped(0, 4))), label(pooled(later, flipped(0, 4, start=4)))])
        assert merges.merge("r2", previous="r1") == 0
        assert merges.where("r2") == {
            f"content-{trained}": "train", f"content-{audited}": "audit", f"content-{later}": "train",
        }  # fmt: skip


class TestNearDuplicates:
    @pytest.mark.parametrize("split", ["train", "validation", "test"])
    def test_what_is_new_joins_its_near_duplicate(self, merges: Merges, split: str) -> None:
        known = in_split(split)[0]
        new = [number for other in ("train", "validation", "test") for number in in_split(other, 2) if number != known]
        merges.put_round([label(pooled(known, 0))])
        assert merges.merge("r1") == 0
        merges.put_round([label(pooled(number, flipped(0, 4, start=place))) for place, number in enumerate(new)])
        assert merges.merge("r2", previous="r1") == 0
        assert set(merges.where("r2").values()) == {split}
        assert merges.card("r2")["near_duplicates"] == {"groups": 1, "objects": len(new), "bridges": 0}

    def test_those_that_come_together_stay_together_even_over_one_another(self, merges: Merges) -> None:
        numbers = [n for split in ("train", "validation", "test") for n in in_split(split, 4)]
        chain = [label(pooled(number, flipped(0, 3 * place))) for place, number in enumerate(numbers)]
        merges.put_round(chain[::-1])
        assert merges.merge("r1") == 0
        first = min(f"content-{number}" for number in numbers)
        assert set(merges.where("r1").values()) == {split_of(first, audit_share=0)}
        assert merges.card("r1")["near_duplicates"] == {"groups": 1, "objects": 12, "bridges": 0}

    def test_a_bridge_joins_the_most_guarded_split_and_is_counted(self, merges: Merges) -> None:
        trained, tested, bridge = in_split("train")[0], in_split("test")[0], in_split("train", 2)[1]
        merges.put_round([label(pooled(trained, 0)), label(pooled(tested, flipped(0, 8)))])
        assert merges.merge("r1") == 0
        merges.put_round([label(pooled(bridge, flipped(0, 4)))])
        assert merges.merge("r2", previous="r1") == 0
        assert merges.where("r2") == {**merges.where("r1"), f"content-{bridge}": "test"}
        assert merges.card("r2")["near_duplicates"] == {"groups": 1, "objects": 1, "bridges": 1}


class TestCard:
    def test_the_error_of_the_machines_labels_is_what_the_audits_of_all_rounds_found(self, merges: Merges) -> None:
        audits = [
            {"objects": 50, "disagreements": 1, "unsettled": 0, "withdrawn": False},
            {"objects": 50, "disagreements": 40, "unsettled": 0, "withdrawn": True},
            {"objects": 52, "disagreements": 1, "unsettled": 2, "withdrawn": False},
        ]
        for number, audit in enumerate(audits):
            merges.put_round([label(pooled(number))], fates={"audit": audit})
            assert merges.merge(f"r{number}", previous=f"r{number - 1}" if number else None) == 0
        error = merges.card("r2")["label_error"]["machine"]
        assert (error["objects"], error["errors"], error["error"]) == (102, 2, 0.02)
        assert 0 < error["low"] < 0.02 < error["high"] < 0.1
        assert [one["checked"]["objects"] for one in merges.card("r2")["rounds"]] == [50, 0, 52]

    def test_the_error_of_peoples_labels_is_that_of_all_of_them_together(self, merges: Merges) -> None:
        def candidate(who: str, kind: str, error: float, members: int) -> dict[str, Any]:
            names = {} if kind == "worker" else {"members": ["someone"] * members}
            numbers = {"error": error, "low": error / 2, "high": error * 2, "gold_objects": 100, "gold_errors": 1}
            return {"who": who, "kind": kind, **names, **numbers}

        best = candidate("team of experts", "team", 0.01, 3)
        everybody = candidate("team of everybody", "team", 0.02, 5)
        level = {**best, "candidates": [candidate("worker anna", "worker", 0.05, 1), best, everybody]}
        merges.put_round([label(pooled(1))], human_level=level)
        assert merges.merge("r1") == 0
        assert merges.card("r1")["human_level"] == level
        assert merges.card("r1")["label_error"]["human"]["error"] == 0.02
        assert merges.card("r1")["label_error"]["human"]["from"] == "gold: team of everybody"
        merges.put_round([label(pooled(2))])
        assert merges.merge("r2", previous="r1") == 0
        assert merges.card("r2")["human_level"] == level, "a round without gold knows no better"

    def test_what_people_answered_about_gold_travels_with_the_dataset(self, merges: Merges) -> None:
        merges.put_round([label(pooled(1))])
        answers = merges.folder / "ml/processing/input/round/gold-answers.jsonl"
        answers.write_text('{"worker": "anna"}\n')
        assert merges.merge("r1") == 0
        assert (merges.dataset("r1") / answers.name).read_text() == '{"worker": "anna"}\n'

    def test_labels_that_were_counted_wrong_never_become_a_dataset(self, merges: Merges) -> None:
        merges.put_round([])
        assert merges.merge("r1") == 1
        assert "the dataset would be empty" in merges.message
        assert not (merges.dataset("r1") / "card.json").exists()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_killed_at_any_moment_and_run_again_it_gives_the_same_bytes(merges: Merges) -> None:
    merges.put_round([label(pooled(n, n * 0x9E3779B97F4A7C15 % 2**64), CATEGORIES[n % 3]) for n in range(30_000)])
    assert merges.merge("whole") == 0
    root = merges.folder / "ml"
    index, out = root / "scratch" / "merge" / "index.sqlite", root / "processing" / "output" / "dataset"
    options = ["--label-attribute", ATTRIBUTE, "--task", "classification", "--audit-share", "0.1"]
    command = [sys.executable, "-m", "jobs", "merge", *options, "--dataset-version", "whole"]
    environment = {**os.environ, "ML_ROOT": str(root)}

    def lines_are_in(_: None = None) -> bool:
        return index.exists() and index.stat().st_size > 100_000

    def manifests_are_begun() -> bool:
        return any(out.glob(".train.manifest*"))

    for reached in (lines_are_in, manifests_are_begun):
        for path in [*out.iterdir(), index]:
            path.unlink(missing_ok=True)
        job = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        while not reached():
            assert job.poll() is None, "the job ended before it could be killed"
            time.sleep(0.002)
        job.send_signal(signal.SIGKILL)
        assert job.wait() == -signal.SIGKILL
        assert not (out / "card.json").exists()
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    assert contents(out) == contents(merges.dataset("whole"))


def test_splits_have_their_shares_for_ever() -> None:
    found = Counter(split_of(f"object-{number}", audit_share=0.2) for number in range(20_000))
    for name, share in {"train": 0.56, "validation": 0.12, "test": 0.12, "audit": 0.2}.items():
        assert found[name] / 20_000 == pytest.approx(share, abs=0.012)
    # Written down: a change of the rule would move objects between splits of datasets that exist.
    assert [split_of(f"{number}", audit_share=0) for number in range(8)] == (
        ["test", "train", "validation", "train", "test", "train", "train", "test"]
    )


def test_another_audit_share_moves_nothing_between_the_other_splits() -> None:
    for number in range(500):
        small, large = (split_of(f"{number}", audit_share=share) for share in (0.05, 0.3))
        assert large in (small, "audit")
