"""The verb `score`: what the champion thinks of a round's pool, and who labels what.

Without a champion people label everything. Every instance of the job scores all that is known for sure, so that they
all accept by the same thresholds, and its own share of the pool.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, get_args

from jobs import manifest
from jobs.labeling import acceptance, pool, predictions, routing
from jobs.labeling.acceptance import NOTHING, Bound, Rule
from jobs.labeling.intervals import CONFIDENCE
from jobs.labeling.known import Known, tried
from jobs.labeling.predictions import Labeler
from jobs.labeling.scoring import Scored, Unreadable, scored
from jobs.model_package import ModelPackage
from jobs.options import Options, moment, share, share_or_none
from jobs.paths import Root, write_json

TASKS: Final = ("classification", "detection")


def run(root: Root, arguments: list[str]) -> None:
    """
    Raises:
        JobError: a missing input, a broken manifest, a champion that is not what it was.
    """
    options = _options(arguments)
    gold, pooled = root.processing_input("gold"), root.processing_input("pool") / "pool.manifest"
    categories = manifest.read_categories(gold / "label-categories.json")
    host = pool.Host.of(root)
    out = root.processing_output("routing") / host.name
    known = Known.read(gold, root.optional_input("previous"))
    tally: Counter[str] = Counter(pool=0, gold=0, duplicate=0)
    unreadable: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as unpacked:
        champion = _champion(root, options, Path(unpacked))
        trial = tried(known, _images(root, "known"), champion, options.label_attribute)
        images = _images(root, "images")
        manifest.write(out / "gold.manifest", trial.honeypots)
        fresh = pool.fresh(pooled, images, host, known.gold_names, tally)
        machine = Labeler(
            options.label_attribute, categories, champion.version if champion else "", options.pool_listed
        )
        manifest.write(out / predictions.FILE, _predicted(scored(fresh, images, champion), machine, unreadable))
    rule = NOTHING
    if champion:
        rule = acceptance.rule(trial.evidence, categories, budget=options.error_budget, bound=options.bound)
    terms = routing.Terms(
        rule=rule,
        machine=machine,
        audit_share=options.audit_share,
        honeypot_share=options.honeypot_share,
        seed=options.seed,
    )
    routed = routing.route(out, [line for line in trial.honeypots if host.has(line[manifest.CONTENT])], terms)
    summary = {
        "host": host.name,
        "hosts": host.hosts,
        "model_version": champion.version if champion else None,
        **tally,
        **asdict(routed),
        "error_budget": options.error_budget,
        "confidence_level": CONFIDENCE,
        "bound": options.bound,
        "evidence": dict(trial.counts),
        "acceptance": {label: asdict(found) for label, found in rule.acceptances.items()},
        "reason": _reason(rule, champion, options.task),
        "unreadable": unreadable,
        "unreadable_known": trial.unreadable,
    }
    write_json(out / "routing.json", summary)
    print(json.dumps({name: value for name, value in summary.items() if not name.startswith("unreadable")}))


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = Options()
    parser.add_argument("--label-attribute", required=True)
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--error-budget", type=share, required=True)
    parser.add_argument("--bound", choices=get_args(Bound), required=True)
    parser.add_argument("--audit-share", type=share_or_none, required=True)
    parser.add_argument("--honeypot-share", type=share_or_none, required=True)
    parser.add_argument("--pool-listed", type=moment, required=True)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(arguments)


def _images(root: Root, name: str) -> Path:
    """Images by their S3 key. There is no such folder where an instance got no image at all."""
    return root.path / "processing" / "input" / name


def _champion(root: Root, options: argparse.Namespace, folder: Path) -> ModelPackage | None:
    """The model that serves now; for boxes none, since none is trained to draw them yet."""
    tarball = (root.optional_input("model") or Path()) / "model.tar.gz"
    return ModelPackage.open(tarball, folder) if options.task == "classification" and tarball.is_file() else None


def _predicted(
    results: Iterable[Scored | Unreadable], machine: Labeler, unreadable: list[dict[str, str]]
) -> Iterator[dict[str, Any]]:
    """The lines of what can be read; the rest is appended to `unreadable`."""
    for result in results:
        if isinstance(result, Unreadable):
            unreadable.append(result.line)
        else:
            yield machine.predicted(result.line, result.opinion) if result.opinion else result.line


def _reason(rule: Rule, champion: ModelPackage | None, task: str) -> str:
    if champion is None:
        why = "there is no champion yet" if task == "classification" else f"no model is trained for {task}"
        return f"{why}: people label everything"
    return "; ".join(f"{label}: {one.reason}" if label else one.reason for label, one in rule.acceptances.items())
