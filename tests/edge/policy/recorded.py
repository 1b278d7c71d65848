"""What a camera saw, and a model's answers that are as right as a test wants them."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from classifier.configuration import Configuration
from classifier.policy import Alert, Policy, Sighting

SURE = Sighting(0.0, "crab", probability=0.95, margin=0.92, entropy=0.1, unsure=False, unknown=False)
UNSURE = replace(SURE, probability=0.45, margin=0.05, entropy=0.8, unsure=True)
UNKNOWN = replace(SURE, unknown=True)
NEVER = 1e9


def seen(at: float, label: str = "crab", like: Sighting = SURE) -> Sighting:
    return replace(like, at=at, label=label)


def policy(seed: int = 1, **changes: Any) -> Policy:
    """A policy whose windows end only by `finish`, unless told otherwise."""
    return Policy(Configuration(**({"summary_seconds": NEVER} | changes)), seed=seed)


def summary(subject: Policy, now: float) -> dict[str, Any]:
    told = subject.finish(now).summary
    assert told is not None
    return told.body


def watch(subject: Policy, sightings: Iterable[Sighting]) -> list[tuple[float, Alert]]:
    """Shows them all; returns the alerts, each with the time of its frame."""
    return [(each.at, alert) for each in sightings for alert in subject.see(each).alerts]


@dataclass(frozen=True)
class Animal:
    """In view from `begin` to `end`."""

    species: str
    begin: float
    end: float


def record(
    animals: list[Animal], *, fps: float, seed: int, water: bool = True, wrong: float = 0.0
) -> Iterator[Sighting]:
    """Frames of animals that come one after the other; some of the answers are sure, others are not.

    Args:
        water: whether there are frames of empty water, which the model does not know; else the camera pauses.
        wrong: the share of frames with the label of another species, of which the model is not sure.
    """
    chance, species = random.Random(seed), sorted({animal.species for animal in animals})
    coming, frame = iter(animals), 0
    animal = next(coming)
    while True:
        at = frame / fps
        frame += 1
        while at > animal.end:
            following = next(coming, None)
            if following is None:
                return
            animal = following
        astray = chance.random() < wrong
        like = UNSURE if astray or chance.random() < 0.3 else SURE
        if astray:
            here = animal.species if animal.begin <= at else ""
            yield seen(at, chance.choice([each for each in species if each != here]), like)
        elif animal.begin <= at:
            yield seen(at, animal.species, like)
        elif water:
            yield seen(at, "crab", UNKNOWN)
