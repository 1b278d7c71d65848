"""What is known for sure, and how the champion does on it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from jobs import manifest
from jobs.labeling.acceptance import Evidence
from jobs.labeling.pool import checked
from jobs.labeling.routing import is_selected
from jobs.labeling.scoring import Scored, scored
from jobs.manifest import Entry
from jobs.model_package import ModelPackage


@dataclass(frozen=True)
class Known:
    """Objects that people label with care, by source-ref."""

    gold: dict[str, Entry]
    audited: dict[str, Entry]
    """What was set aside in earlier rounds to check the machine on. It is no gold: people labeled it like the rest."""

    @classmethod
    def read(cls, gold: Path, previous: Path | None) -> Self:
        """
        Args:
            gold: the folder of gold.manifest, which may be missing.
            previous: the folder of the last dataset version, None when there is none.

        Raises:
            JobError: a broken manifest.
        """
        certain = _by_ref(gold / "gold.manifest")
        names = _names(certain)
        audited = _by_ref(previous / "audit.manifest") if previous else {}
        return cls(certain, {ref: one for ref, one in audited.items() if not {ref, one.content} & names})

    @property
    def gold_names(self) -> set[str]:
        """Source-refs and contents of gold."""
        return _names(self.gold)


@dataclass
class Trial:
    """How the champion did on what is known, and which of it can be shown to people."""

    evidence: Evidence
    counts: Counter[str] = field(default_factory=lambda: Counter(gold=0, audit=0, unlabeled=0))
    """How much of the evidence is gold, how much from audits, and of that how much people could not label."""
    honeypots: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[dict[str, str]] = field(default_factory=list)


def tried(known: Known, folder: Path, champion: ModelPackage | None, attribute: str) -> Trial:
    """Score what is known.

    Evidence is drawn as what it speaks of, so it leaves out frames that devices selected. An object of the audit on
    which people could not agree counts as an error of the machine: nothing shows that it was right.

    Args:
        folder: the images by their S3 key.

    Raises:
        JobError: a gold object without a label.
    """
    labels: list[str] = []
    confidences: list[float] = []
    correct: list[bool] = []
    trial = Trial(Evidence(labels, np.empty(0), np.empty(0, np.bool_)))
    for result in scored(_all(known, champion), folder, champion):
        if not isinstance(result, Scored):
            trial.unreadable.append(result.line)
            continue
        ref, is_gold = result.entry.source_ref, result.entry.source_ref in known.gold
        if is_gold:
            trial.honeypots.append(manifest.without_labels(result.line))
        if result.opinion is None or is_selected(ref):
            continue
        truth = result.entry.class_name(attribute) if is_gold or _is_labeled(result.entry, attribute) else None
        labels.append(result.opinion.label)
        confidences.append(result.opinion.confidence)
        correct.append(result.opinion.label == truth)
        trial.counts.update(["gold" if is_gold else "audit"] + ["unlabeled"] * (truth is None))
    trial.evidence = Evidence(labels, np.array(confidences, np.float64), np.array(correct, np.bool_))
    return trial


def _all(known: Known, champion: ModelPackage | None) -> Iterator[Entry]:
    yield from known.gold.values()
    if champion:
        yield from known.audited.values()


def _is_labeled(entry: Entry, attribute: str) -> bool:
    return attribute + manifest.METADATA in entry.values


def _by_ref(path: Path) -> dict[str, Entry]:
    """The objects of a manifest, each once; of two lines about one object the last counts."""
    return {entry.source_ref: entry for entry in checked(path)} if path.exists() else {}


def _names(entries: dict[str, Entry]) -> set[str]:
    return {name for ref, entry in entries.items() for name in (ref, entry.content)}
