"""The verb `merge`: a round's labels and the dataset before become the next dataset version.

Every label of the round meets one fate, and the card counts them all. Run again, after an interruption or not, a merge
gives the same bytes; card.json comes last, so a version that has one is complete.
"""

import argparse
import json
import shutil
import sqlite3
from collections import Counter
from itertools import chain
from pathlib import Path

from jobs import manifest
from jobs.errors import JobError
from jobs.labeling import dataset, index, splits
from jobs.labeling.card import card
from jobs.labeling.labels import TASKS
from jobs.labeling.pool import routed_by
from jobs.options import Options, share_or_none
from jobs.paths import Root, atomic, read_json, write_json

GOLD_ANSWERS = "gold-answers.jsonl"


def run(root: Root, arguments: list[str]) -> None:
    """
    Raises:
        JobError: a missing input, a broken manifest, nothing to make a dataset of.
    """
    options = _options(arguments)
    folder, gold = root.processing_input("round"), root.processing_input("gold")
    previous, out = root.optional_input("previous"), root.processing_output("dataset")
    categories = manifest.read_categories(gold / "label-categories.json")
    fates, level = read_json(folder / "fates.json"), read_json(folder / "human-level.json")
    before = read_json(previous / "card.json") if previous else {}
    # What an interrupted run left, its card above all, must not be taken for this one's.
    for path in out.iterdir():
        path.unlink()
    reader = dataset.Reader(options.label_attribute, options.task, categories, options.dataset_version)

    with index.opened(root.scratch("merge")) as lines:
        merged = _collect(lines, reader, folder, gold / "gold.manifest", previous, audit_share=options.audit_share)
        near = splits.keep_together(lines)
        tally = dataset.write_version(out, lines, prefix=reader.prefix or "", version=options.dataset_version)
    if not tally.objects:
        raise JobError(
            "the dataset would be empty: no object of this round got a label and there is no earlier version"
        )
    merged["near_audit"] = tally.kept_out
    merged["new"] -= tally.kept_out
    _copy_gold_answers(folder, previous, out)
    found = card(
        version=options.dataset_version,
        before=before,
        task=options.task,
        labels=categories,
        tally=tally,
        near=near,
        fates=fates,
        merged=merged,
        human_level=level if level["error"] is not None else before.get("human_level"),
    )
    write_json(out / "card.json", found)
    print(json.dumps({name: found[name] for name in ("version", "objects", "splits", "sources", "round")}))


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = Options()
    parser.add_argument("--label-attribute", required=True)
    parser.add_argument("--task", choices=tuple(TASKS), required=True)
    parser.add_argument("--dataset-version", required=True)
    parser.add_argument("--audit-share", type=share_or_none, required=True)
    return parser.parse_args(arguments)


def _collect(
    lines: sqlite3.Connection,
    reader: dataset.Reader,
    folder: Path,
    gold: Path,
    previous: Path | None,
    *,
    audit_share: float,
) -> Counter[str]:
    """Fill the index and choose what stays; what became of the round's labels."""
    if previous:
        index.put(lines, reader.version_lines(previous))
    labels = index.put(lines, reader.labels(folder / "consolidated.manifest"))
    # What was imported was routed by nobody.
    for number, part in enumerate(routed_by(folder) if (folder / "routing").exists() else ()):
        index.put(lines, reader.audited(part / "audit.manifest"))
        if number == 0 and (looks := part / "gold.manifest").exists():
            index.put_looks(lines, (line.fingerprint for line in reader.audited(looks)))
    if (left_over := folder / "left-over.manifest").exists():
        index.put_names(lines, "left_over", (entry.source_ref for entry in manifest.read(left_over)))
    if gold.exists():
        names = ((entry.source_ref, entry.content) for entry in manifest.read(gold))
        index.put_names(lines, "gold", chain.from_iterable(names))

    index.identify(lines)
    index.drop_left_over(lines)
    merged = Counter(gold=index.drop_gold(lines), overwritten=index.drop_overwritten(lines))
    merged.update(splits.choose(lines, audit_share=audit_share))
    if (counted := sum(merged.values()) - merged["unsettled"]) != labels:
        raise JobError(f"{labels} labels went into the dataset and {counted} are accounted for")
    return merged


def _copy_gold_answers(folder: Path, previous: Path | None, out: Path) -> None:
    """What anybody ever answered about gold. Consolidation has added the round's answers to the earlier ones."""
    for source in (folder, previous):
        if source and (source / GOLD_ANSWERS).exists():
            with atomic(out / GOLD_ANSWERS) as temporary:
                shutil.copyfile(source / GOLD_ANSWERS, temporary)
            return
