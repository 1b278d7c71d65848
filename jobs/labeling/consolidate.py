"""The verb `consolidate`: what people and machine said of a round's objects becomes one label each, or none.

It runs when the labelers are done, and once more when experts looked at what was in doubt. It writes:

    consolidated.manifest  the labeled objects              doubtful.manifest  what experts are to look at
    left-over.manifest     what a later round offers again  fates.json         how many objects met which fate, and why
    workers.json  human-level.json  gold-answers.jsonl      what is known of people
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jobs import manifest
from jobs.errors import JobError
from jobs.labeling import fates, gold_answers, human_level, imported, people, results
from jobs.labeling.classes import Classification
from jobs.labeling.detection import Detection
from jobs.labeling.gathered import Gathered
from jobs.labeling.objects import Objects
from jobs.labeling.tasks import Task
from jobs.manifest import Entry
from jobs.options import Options, natural, share
from jobs.paths import Root, read_json, write_json

TASKS: Final[Mapping[str, Callable[[str, list[str]], Task]]] = {
    "classification": Classification,
    "detection": Detection,
}
IMPORT: Final = "import"
PROVIDERS: Final = ("ground-truth", "station", IMPORT)
"""Who labels: people by Ground Truth or at the station, or another tool whose labels are taken as they are."""


def run(root: Root, arguments: list[str]) -> None:
    """
    Raises:
        JobError: a missing input, a broken manifest or worker response, an import into a round that people label.
    """
    options = _options(arguments)
    gold_folder, folder = root.processing_input("gold"), root.processing_input("round")
    categories = manifest.read_categories(gold_folder / "label-categories.json")
    gold_path = gold_folder / "gold.manifest"
    gold = list(manifest.read(gold_path)) if gold_path.exists() else []
    earlier = gold_answers.earlier(root.optional_input("previous"), options.round)
    out = root.processing_output("round")
    brought = folder / "import.manifest"
    if options.provider == IMPORT:
        summary = _imported(brought, out, gold, options, categories)
        manifest.write(out / gold_answers.FILE, earlier)
    elif brought.exists():
        raise JobError(
            f"round {options.round} has an import.manifest, and its labels come from {options.provider!r}: delete "
            f"rounds/{options.round}/import.manifest and start the round again by its own name, and what people "
            f"answered counts; to import, set labeling.provider to {IMPORT!r}"
        )
    else:
        task = TASKS[options.task](options.label_attribute, categories)
        objects = Objects.of_round(folder, gold)
        found = Gathered.read(objects, task, earlier, options.label_attribute, options.minimum_worker_accuracy)
        summary = _labeled(out, found, task, options, _job_name(root, options))
        added = gold_answers.of_round(found.given, objects, task, options.round)
        manifest.write(out / gold_answers.FILE, [*earlier, *added])
    write_json(out / "fates.json", summary)
    print(json.dumps({name: summary[name] for name in ("round", "objects", *fates.FATES, "duplicate")}))


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = Options()
    parser.add_argument("--round", required=True)
    parser.add_argument("--label-attribute", required=True)
    parser.add_argument("--task", choices=sorted(TASKS), required=True)
    parser.add_argument("--provider", choices=PROVIDERS, required=True)
    parser.add_argument("--posterior-target", type=share, required=True)
    parser.add_argument("--error-budget", type=share, required=True)
    parser.add_argument("--minimum-worker-accuracy", type=share, required=True)
    parser.add_argument("--baseline-objects", type=natural, required=True)
    parser.add_argument("--job-name")
    return parser.parse_args(arguments)


def _job_name(root: Root, options: argparse.Namespace) -> str:
    """The name that labels carry: the option, else the job's own.

    https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
    """
    path = root.path / "config" / "processingjobconfig.json"
    named = read_json(path).get("ProcessingJobName") if path.exists() else None
    return f"processing-job/{options.job_name or named or 'local'}"


def _labeled(out: Path, found: Gathered, task: Task, options: argparse.Namespace, job_name: str) -> dict[str, Any]:
    """The labels that machine and people of a round gave."""
    target, attribute, opinions = options.posterior_target, options.label_attribute, found.opinions
    settled = found.routing.audit & found.answered.anybody & (opinions.confidences >= target)
    disagreements = sum(
        not task.agrees(entry, item) for item, entry in found.objects.routed(results.MACHINES) if settled[item]
    )
    audit = fates.audited(found.routing, found.answered, disagreements, target, options.error_budget)
    decided = fates.decide(found.objects, found.routing, found.answered, target, withdrawn=audit.withdrawn)

    about = {"job_name": job_name, "now": datetime.now(UTC)}
    manifest.write(out / "consolidated.manifest", results.labeled(found, decided, task, attribute, **about))
    manifest.write(
        out / "doubtful.manifest", results.doubtful(found, decided, task, baseline=options.baseline_objects, **about)
    )
    manifest.write(out / "left-over.manifest", results.left_over(found, decided))
    report = people.report(found.given, found.honeypots, opinions.counts, task.class_names, found.experts)
    write_json(out / "workers.json", report)
    write_json(out / "human-level.json", found.human_level(task))
    unsure = 1 - opinions.confidences[: len(decided)][decided == fates.HUMAN]
    return {
        "round": options.round,
        "objects": len(decided) + found.objects.duplicates,
        **fates.counted(decided, found.objects.duplicates),
        **found.described(),
        "expected_human_errors": float(unsure.sum()),
        "automated": int(found.answered.automated.sum()),
        "audit": audit.described(),
    }


def _imported(
    brought: Path, out: Path, gold: list[Entry], options: argparse.Namespace, categories: list[str]
) -> dict[str, Any]:
    """The labels that another tool gave, as they are."""
    tally = Counter(dict.fromkeys((*fates.FATES, "duplicate"), 0))
    lines = imported.labels(
        brought,
        options.label_attribute,
        categories,
        task=options.task,
        gold={entry.source_ref for entry in gold},
        tally=tally,
    )
    manifest.write(out / "consolidated.manifest", lines)
    for name in ("doubtful.manifest", "left-over.manifest"):
        manifest.write(out / name, [])
    write_json(out / "workers.json", [])
    write_json(out / "human-level.json", human_level.NOBODY)
    return {"round": options.round, "objects": sum(tally.values()), **tally}
