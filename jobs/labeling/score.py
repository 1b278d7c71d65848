"""The verb `score`: what the champion thinks of a round's pool, and who labels what.

Without a champion people label everything. The rules of acceptance are in routing.py.
"""

import argparse
import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs import images, manifest
from jobs.labeling import routing
from jobs.labeling.champion import Champion
from jobs.labeling.intervals import CONFIDENCE
from jobs.manifest import Entry
from jobs.options import Options, share, share_or_none
from jobs.paths import Root, object_key, write_json

PROBE_PIXELS: Final = 32
"""Without a champion an image is decoded only to see whether it can be."""
BATCH: Final = 256


@dataclass(frozen=True)
class Scored:
    """One readable object; without a champion it has no probabilities."""

    entry: Entry
    probabilities: NDArray[np.float64] | None

    def best(self, labels: list[str]) -> tuple[str, float]:
        if self.probabilities is None:
            raise ValueError("nothing scored this object")
        index = int(self.probabilities.argmax())
        return labels[index], float(self.probabilities[index])


def run(root: Root, arguments: list[str]) -> None:
    """
    Raises:
        JobError: a missing input, a broken manifest, a champion that is not what it was.
    """
    options = _options(arguments)
    categories = manifest.read_categories(root.processing_input("gold") / "label-categories.json")
    pool = _unique(root.processing_input("pool") / "pool.manifest")
    gold_path = root.processing_input("gold") / "gold.manifest"
    gold = _unique(gold_path) if gold_path.exists() else []
    known = {entry.source_ref for entry in gold}
    fresh = [entry for entry in pool if entry.source_ref not in known]

    tarball = (root.optional_input("model") or Path()) / "model.tar.gz"
    with tempfile.TemporaryDirectory() as unpacked:
        champion = Champion.open(tarball, Path(unpacked)) if tarball.is_file() else None
        folder = root.processing_input("images")
        objects, unreadable = _score(champion, fresh, folder)
        calibration, broken_gold = _score(champion, gold, folder)

    labels = champion.labels if champion else []
    verdict = _acceptance(calibration, labels, options) if champion else None
    accepted, uncertain = _split(objects, labels, categories, verdict)
    # The round's content decides every draw: run again, a round gives people the same work.
    rng = np.random.default_rng(manifest.digest(options.seed, sorted(entry.content for entry in pool)))
    audit = routing.sample(accepted, int(np.ceil(options.audit_share * len(accepted))), rng)
    asked = len(uncertain) + len(audit)
    honeypots = routing.sample(calibration, routing.honeypots_for(asked, options.honeypot_share), rng)

    out = root.processing_output("round")
    manifest.write(out / "scores.jsonl", (_opinion(one, labels) for one in objects if champion))
    manifest.write(
        out / "machine.manifest",
        (_machine_line(one, champion, options.label_attribute, categories) for one in accepted if champion),
    )
    manifest.write(out / "audit.manifest", (manifest.without_labels(one.entry.values) for one in audit))
    people = routing.shuffled([*uncertain, *audit, *honeypots], rng)
    manifest.write(out / "human.manifest", (manifest.without_labels(one.entry.values) for one in people))
    summary = {
        "model_version": champion.version if champion else None,
        "pool": len(pool),
        "already_gold": len(pool) - len(fresh),
        "machine": len(accepted),
        "uncertain": len(uncertain),
        "audit": len(audit),
        "honeypots": len(honeypots),
        "threshold": verdict.threshold if verdict else None,
        "error_budget": options.error_budget,
        "confidence_level": CONFIDENCE,
        "gold": {
            "objects": len(calibration),
            "accepted": verdict.gold_accepted if verdict else 0,
            "errors": verdict.gold_errors if verdict else 0,
            "error_upper_bound": verdict.upper_bound if verdict else None,
        },
        "reason": verdict.reason if verdict else "there is no champion yet: people label everything",
        "unreadable": unreadable,
        "unreadable_gold": broken_gold,
    }
    write_json(out / "routing.json", summary)
    print(json.dumps({name: value for name, value in summary.items() if not name.startswith("unreadable")}))


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = Options()
    parser.add_argument("--label-attribute", required=True)
    parser.add_argument("--error-budget", type=share, required=True)
    parser.add_argument("--audit-share", type=share_or_none, required=True)
    parser.add_argument("--honeypot-share", type=share_or_none, required=True)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(arguments)


def _unique(path: Path) -> list[Entry]:
    """The objects of a manifest, each once; of two lines about one object the last counts."""
    return list({entry.source_ref: entry for entry in manifest.read(path)}.values())


def _score(champion: Champion | None, entries: list[Entry], folder: Path) -> tuple[list[Scored], list[dict[str, str]]]:
    """Decode and score; unreadable images come back with their reason instead."""
    pixels = champion.pixels if champion else PROBE_PIXELS
    scored: list[Scored] = []
    unreadable: list[dict[str, str]] = []

    def attempt(entry: Entry) -> Scored | dict[str, str]:
        try:
            image = images.load(folder / object_key(entry.source_ref), pixels)
        except images.UnreadableImage as error:
            return {manifest.SOURCE: entry.source_ref, "reason": str(error)}
        return Scored(entry, champion.probabilities(image) if champion else None)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(entries), BATCH):
            for result in pool.map(attempt, entries[start : start + BATCH]):
                if isinstance(result, Scored):
                    scored.append(result)
                else:
                    unreadable.append(result)
    return scored, unreadable


def _acceptance(gold: list[Scored], labels: list[str], options: argparse.Namespace) -> routing.Acceptance:
    best = [(one.entry.class_name(options.label_attribute), *one.best(labels)) for one in gold]
    return routing.acceptance(
        np.array([confidence for _, _, confidence in best], np.float64),
        np.array([label == truth for truth, label, _ in best], np.bool_),
        options.error_budget,
    )


def _split(
    objects: list[Scored], labels: list[str], categories: list[str], verdict: routing.Acceptance | None
) -> tuple[list[Scored], list[Scored]]:
    """Accepted and uncertain.

    People get a class that is no longer among the categories, and what devices selected for being uncertain.
    """
    accepted: list[Scored] = []
    uncertain: list[Scored] = []
    for one in objects:
        sure = False
        if verdict and verdict.threshold is not None:
            label, confidence = one.best(labels)
            chosen = routing.is_selected(object_key(one.entry.source_ref))
            sure = confidence > verdict.threshold and label in categories and not chosen
        (accepted if sure else uncertain).append(one)
    return accepted, uncertain


def _opinion(one: Scored, labels: list[str]) -> dict[str, Any]:
    label, confidence = one.best(labels)
    probabilities = [] if one.probabilities is None else one.probabilities.tolist()
    return {
        **manifest.without_labels(one.entry.values),
        "label": label,
        "confidence": confidence,
        "probabilities": {name: round(value, 6) for name, value in zip(labels, probabilities, strict=True)},
    }


def _machine_line(one: Scored, champion: Champion, attribute: str, categories: list[str]) -> dict[str, Any]:
    label, confidence = one.best(champion.labels)
    return manifest.labeled(
        manifest.without_labels(one.entry.values),
        attribute,
        categories,
        label,
        by_human=False,
        confidence=confidence,
        job_name=f"model/{champion.version}",
    )
