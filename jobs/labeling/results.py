"""The manifests that a consolidated round leaves behind. Each is streamed: a round may have a million objects."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs import manifest
from jobs.errors import JobError
from jobs.labeling.answers import Bools
from jobs.labeling.fates import HUMAN, MACHINE, UNANSWERED, UNCERTAIN, WITHDRAWN
from jobs.labeling.gathered import Gathered
from jobs.labeling.tasks import Task
from jobs.manifest import METADATA, SOURCE, digest

ASKED: Final = "human.manifest"
MACHINES: Final = "machine.manifest"
PEOPLES: Final = (ASKED, MACHINES)
"""Where an object stands that people were asked about: a round that is scored again, by another model, may route to the
machine what people have answered before."""

Lines = Iterator[dict[str, Any]]


def labeled(found: Gathered, fates: NDArray[np.int8], task: Task, attribute: str, **metadata: Any) -> Lines:
    """Every object that people, the machine or the labeling service's model labeled.

    Args:
        metadata: job_name and now, of the people's labels.
    """
    automated = found.answered.automated[: len(fates)]
    for item, values in _lines(found, fates == HUMAN, *PEOPLES):
        yield task.line(values, item, found.opinions, **metadata)
    for _, values in _lines(found, (fates == MACHINE) & ~automated, MACHINES):
        yield dict(values)
    pending = (fates == MACHINE) & automated
    # The latest job to label an object counts.
    for job in reversed(found.jobs):
        for entry in job.automated(attribute):
            item = found.objects.number(entry)
            if item < len(pending) and pending[item]:
                pending[item] = False
                label = {name: entry.values[name] for name in (attribute, attribute + METADATA)}
                yield {**manifest.without_labels(entry.values), **label}


def left_over(found: Gathered, fates: NDArray[np.int8]) -> Lines:
    """What has no label and is offered again by a later round."""
    for names, fate in ((PEOPLES, UNANSWERED), ((MACHINES,), WITHDRAWN)):
        for _, values in _lines(found, fates == fate, *names):
            yield manifest.without_labels(values)


def doubtful(
    found: Gathered, fates: NDArray[np.int8], task: Task, *, baseline: int, **metadata: Any
) -> list[dict[str, Any]]:
    """What people disagree about and no expert was asked, with gold mixed in as in the labelers' work.

    Gold that experts have answered least comes first: what is known of them grows where it is thinnest.

    Args:
        baseline: experts get at least so many of the gold objects that the labelers had, in one round once: without
            answers to gold nobody knows how good the best people are.
    """
    pool = len(fates)
    asked, is_gold = found.routing.asked, found.objects.is_gold
    wanted = (fates == UNCERTAIN) & ~found.answered.asked_experts[:pool]
    in_doubt = _lines(found, wanted, *PEOPLES)
    lines = [task.proposal(values, item, found.opinions, **metadata) for item, values in in_doubt]
    known = np.flatnonzero(asked & is_gold)
    others = int((asked & ~is_gold).sum())
    count = -(-len(lines) * len(known) // others) if others else 0
    if not found.answered.asked_experts.any():
        count = max(count, baseline)
    by_experts = np.bincount(found.given.objects[found.given.by_experts], minlength=len(found.objects))
    ranked = sorted(
        known.tolist(), key=lambda item: (by_experts[item], digest("expert", found.objects.gold[item].content))
    )
    chosen = found.objects.marked(ranked[: count if task.honeypots_for_experts else 0])
    lines += [manifest.without_labels(values) for _, values in _lines(found, chosen, ASKED)]
    # An order that tells nothing of which is which, and is the same on every run.
    return sorted(lines, key=lambda values: digest("order", values[SOURCE]))


def _lines(found: Gathered, mask: Bools, *names: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The lines of routing manifests about some objects, one of each, of the first manifest that has it.

    Raises:
        JobError: one of them has no line.
    """
    pending = mask.copy()
    for name in names:
        for item, entry in found.objects.routed(name) if pending.any() else ():
            if item < len(pending) and pending[item]:
                pending[item] = False
                yield item, entry.values
    if (lost := np.flatnonzero(pending)).size:
        ref = next(ref for ref, item in found.objects.numbers.items() if item == lost[0])
        raise JobError(
            f"{ref!r} has no line in {' or '.join(names)} of this round, and {lost.size - 1} others: run it again"
        )
