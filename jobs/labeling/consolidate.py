"""The verb `consolidate`: a round's labels, whoever gave them, become the next dataset version.

Every object of the pool meets one fate, and the card counts them all: what goes in comes out or is accounted for.
"""

import argparse
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jobs import manifest
from jobs.errors import JobError
from jobs.labeling import dataset, imported, people
from jobs.labeling.human_level import human_level, worker_report
from jobs.labeling.intervals import wilson
from jobs.manifest import Entry
from jobs.options import Options, share
from jobs.paths import Root, read_json, write_json

FATES: Final = ("human", "machine", "uncertain", "unanswered", "unreadable", "gold", "duplicate")


@dataclass
class Outcome:
    """What a round came to: its labeled lines, the fate of each of its objects, what is known of its people."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    fates: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(FATES, 0)))
    workers: list[dict[str, Any]] = field(default_factory=list)
    human_level: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


def run(root: Root, arguments: list[str]) -> None:
    """
    Raises:
        JobError: a missing input, a broken manifest or worker response, nothing to make a dataset of.
    """
    options = _options(arguments)
    now = datetime.now(UTC)
    gold_folder, round_folder = root.processing_input("gold"), root.processing_input("round")
    categories = manifest.read_categories(gold_folder / "label-categories.json")
    gold_path = gold_folder / "gold.manifest"
    gold = list(manifest.read(gold_path)) if gold_path.exists() else []
    if (round_folder / "import.manifest").exists():
        outcome = _imported(round_folder, gold, options, categories)
    else:
        outcome = _labeled(round_folder, gold, options, categories, now, _job_name(root, options))

    out = root.processing_output("round")
    manifest.write(out / "consolidated.manifest", outcome.lines)
    write_json(out / "workers.json", outcome.workers)
    write_json(out / "human-level.json", outcome.human_level)
    card = _write_dataset(root, outcome, gold, options, categories, now)
    print(json.dumps({name: card[name] for name in ("version", "objects", "splits", "sources", "round")}))


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = Options()
    parser.add_argument("--label-attribute", required=True)
    parser.add_argument("--dataset-version", required=True)
    parser.add_argument("--posterior-target", type=share, required=True)
    parser.add_argument("--job-name")
    return parser.parse_args(arguments)


def _job_name(root: Root, options: argparse.Namespace) -> str:
    """The name that labels carry: the option, else the job's own.

    https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
    """
    path = root.path / "config" / "processingjobconfig.json"
    named = read_json(path).get("ProcessingJobName") if path.exists() else None
    return f"processing-job/{options.job_name or named or 'local'}"


def _labeled(
    folder: Path,
    gold: list[Entry],
    options: argparse.Namespace,
    categories: list[str],
    now: datetime,
    job_name: str,
) -> Outcome:
    """The labels that the machine and the people of a round gave."""
    attribute = options.label_attribute
    entries = list(manifest.read(folder / "pool.manifest"))
    pool = {entry.source_ref: entry for entry in entries}
    classes = {entry.source_ref: entry.class_name(attribute) for entry in gold}
    machine = {entry.source_ref: entry for entry in manifest.read(folder / "machine.manifest")}
    unreadable = {one[manifest.SOURCE] for one in read_json(folder / "routing.json")["unreadable"]}
    asked = {entry.source_ref for entry in manifest.read(folder / "human.manifest")}
    team = people.consolidated(folder, categories, known=classes, expected=pool.keys() | classes.keys())

    outcome = Outcome()
    outcome.fates["duplicate"] = len(entries) - len(pool)
    audited = disagreements = 0
    for ref, entry in pool.items():
        opinion = team.opinions.get(ref)
        fate = _fate(ref, opinion, options.posterior_target, gold=classes, unreadable=unreadable, machine=machine)
        if fate == "unanswered" and ref not in asked:
            raise entry.error(f"({ref}) was routed neither to the machine nor to people: run the scoring job again")
        outcome.fates[fate] += 1
        if fate == "machine":
            outcome.lines.append(machine[ref].values)
        elif fate == "human" and opinion:
            line = manifest.labeled(
                manifest.without_labels(entry.values),
                attribute,
                categories,
                opinion.label,
                by_human=True,
                confidence=opinion.posterior,
                job_name=job_name,
                now=now,
                answers=opinion.answers,
            )
            outcome.lines.append(line)
            if ref in machine:
                audited += 1
                disagreements += opinion.label != machine[ref].class_name(attribute)

    low, high = wilson(disagreements, audited)
    outcome.details = {
        "answers": sum(len(given) for given in team.answers.values()),
        "answers_without_category": team.unknown_labels,
        "unfinished_labeling_jobs": team.unfinished_jobs,
        "audit": {"objects": audited, "disagreements": disagreements, "low": low, "high": high},
    }
    outcome.workers = worker_report(team.answers, classes)
    outcome.human_level = human_level(team.answers, classes, team.blind_labels)
    return outcome


def _fate(
    ref: str,
    opinion: people.Opinion | None,
    posterior_target: float,
    *,
    gold: dict[str, str],
    unreadable: set[str],
    machine: dict[str, Entry],
) -> str:
    """What becomes of one object, one of FATES. People's word counts before the machine's, their doubt as well."""
    if ref in gold:
        return "gold"
    if ref in unreadable:
        return "unreadable"
    if opinion:
        return "human" if opinion.posterior >= posterior_target else "uncertain"
    return "machine" if ref in machine else "unanswered"


def _imported(folder: Path, gold: list[Entry], options: argparse.Namespace, categories: list[str]) -> Outcome:
    """The labels that another tool gave, as they are."""
    entries = list(manifest.read(folder / "import.manifest"))
    known = {entry.source_ref for entry in gold}
    latest = {entry.source_ref: entry for entry in entries}
    lines = [
        imported.renamed(entry, options.label_attribute, categories)
        for ref, entry in latest.items()
        if ref not in known
    ]
    by = Counter(line[options.label_attribute + manifest.METADATA]["human-annotated"] for line in lines)
    outcome = Outcome(lines)
    outcome.fates.update(
        human=by["yes"], machine=by["no"], gold=len(latest) - len(lines), duplicate=len(entries) - len(latest)
    )
    outcome.human_level = human_level({}, {}, {})
    return outcome


def _write_dataset(
    root: Root,
    outcome: Outcome,
    gold: list[Entry],
    options: argparse.Namespace,
    categories: list[str],
    now: datetime,
) -> dict[str, Any]:
    """Write the version and its card, which says where every label comes from."""
    folder, previous = root.processing_output("dataset"), root.optional_input("previous")
    before = read_json(previous / "card.json") if previous else {}
    added = [Entry(Path("consolidated.manifest"), number, values) for number, values in enumerate(outcome.lines, 1)]
    merged, joined = dataset.merge(
        dataset.read_version(previous) if previous else [],
        added,
        options.label_attribute,
        excluded={name for entry in gold for name in (entry.source_ref, entry.content)},
    )
    if len(added) != sum(joined.values()):
        raise JobError(
            f"{len(added)} labeled objects went into the dataset and {sum(joined.values())} are accounted for"
        )
    counts = dataset.write_version(folder, merged.values(), options.label_attribute, categories)
    measured = outcome.human_level["error"] is not None
    card = {
        "version": options.dataset_version,
        "previous": before.get("version"),
        "rounds": [*before.get("rounds", []), options.dataset_version],
        "created_at": now.isoformat(timespec="seconds"),
        "labels": categories,
        **counts,
        "round": {"objects": sum(outcome.fates.values()), **outcome.fates, "merged": dict(joined), **outcome.details},
        "human_level": outcome.human_level if measured else before.get("human_level"),
    }
    write_json(folder / "card.json", card)
    return card
