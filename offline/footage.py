"""Recorded footage with a known answer: animals drift through the picture of a fixed camera, with empty water between.

A passage is one animal, or a crowd of two of different species whose ways cross. Water, light and what stands around
are drawn anew for every passage and stay as they are until the next; particles and the sensor's noise change with
every frame.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from offline.scenes import check, growth, jpeg, scenery
from offline.sites import SITES, Site
from offline.sprites import SPECIES, layer, list_species
from offline.water import HEIGHT, WIDTH, Pixels, Water, camera

_LINGERS_SECONDS: Final = (1.5, 30.0)
"""How long an animal is in the picture; the logarithm is uniform, so that most are quick and some stay."""
_PAUSE_SECONDS: Final = 1.0
"""Of empty water at least, between two passages."""
_STEADY: Final = ("path_m", "distance_m", "scatter_per_m", "coastal", "light", "blur_pixels", "noise")


@dataclass(frozen=True)
class Visit:
    """One animal in the picture, from half of it to half of it; in seconds since the footage began."""

    species: str
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True)
class Shot:
    """One frame, `at` seconds since the footage began. `label` is the species that is nearest to the middle of the
    picture; "" where there is only water, or less than half of an animal."""

    at: float
    label: str
    content: bytes
    """A JPEG."""


@dataclass(frozen=True)
class _Animal:
    visit: Visit
    size: float
    """Its height, and `level` that of its way, as shares of the picture's."""
    level: float
    backwards: bool
    gain: float
    look: int
    """Seed of how it is turned and mirrored."""

    @property
    def fringe_seconds(self) -> float:
        """Before and after its visit, while less than half of it is in the picture."""
        return self.size * HEIGHT / 2 / WIDTH * self.visit.seconds

    @property
    def appears(self) -> float:
        return self.visit.begin - self.fringe_seconds

    @property
    def vanishes(self) -> float:
        return self.visit.end + self.fringe_seconds

    def centre(self, at: float) -> Pixels:
        """In pixels."""
        share = (at - self.visit.begin) / self.visit.seconds
        sway = 0.03 * math.sin(2 * math.pi * (at / 4 + self.level))
        return np.array([(1 - share if self.backwards else share) * WIDTH, (self.level + sway) * HEIGHT])

    def layer(self, at: float, tilt: float) -> Pixels:
        rng = np.random.default_rng(self.look)
        return layer(SPECIES[self.visit.species], rng, size=self.size, tilt=tilt, centre=self.centre(at))


@dataclass(frozen=True)
class _Passage:
    """What is seen from `begin` to that of the next; everything of it is drawn from `seed`."""

    begin: float
    seed: int
    animals: tuple[_Animal, ...]

    def label(self, at: float) -> str:
        """As of a `Shot`."""
        present = [animal for animal in self.animals if animal.visit.begin <= at <= animal.visit.end]
        nearest = min(present, key=lambda animal: abs(float(animal.centre(at)[0]) - WIDTH / 2), default=None)
        return nearest.visit.species if nearest else ""

    def shots(self, place: Site, times: Sequence[float]) -> Iterator[Shot]:
        rng = np.random.default_rng(self.seed)
        place = _still(place, rng)
        water = Water(place, rng)
        backdrop = scenery(water, rng)
        share, extent = place.hidden
        before = None
        if self.animals and rng.random() < share:
            about = np.array([rng.uniform(0.3, 0.7) * WIDTH, self.animals[0].level * HEIGHT])
            before = growth(rng, about, size=self.animals[0].size, extent=extent)
        for at in times:
            picture = backdrop.copy()
            for animal in self.animals:
                if animal.appears <= at <= animal.vanishes:
                    shown = animal.layer(at, place.tilt_degrees)
                    water.show(picture, shown, metres=water.distance, gain=animal.gain)
            if before is not None:
                water.show(picture, before, metres=water.distance * 0.7)
            yield Shot(at, self.label(at), jpeg(camera(picture, rng, place)))


@dataclass(frozen=True)
class Footage:
    """`seconds` of one camera's frames, drawn when they are asked for: the same footage, the same bytes."""

    site: str
    seconds: float
    frames_per_second: float
    passages: tuple[_Passage, ...]

    @property
    def visits(self) -> list[Visit]:
        """All of them, in order of their beginning."""
        found = [animal.visit for passage in self.passages for animal in passage.animals]
        return sorted(found, key=lambda visit: visit.begin)

    def __len__(self) -> int:
        """Number of frames."""
        return math.floor(self.seconds * self.frames_per_second)

    def labels(self) -> Iterator[tuple[float, str]]:
        """`at` and `label` of every frame, without a picture being drawn."""
        return ((at, passage.label(at)) for passage, times in self._scenes() for at in times)

    def shots(self) -> Iterator[Shot]:
        """Every frame in turn."""
        return (shot for passage, times in self._scenes() for shot in passage.shots(SITES[self.site], times))

    def write(self, folder: Path) -> Path:
        """Write every frame as frames/<milliseconds>.jpg, and truth.json beside them; returns the folder of frames."""
        frames, labels = folder / "frames", {}
        frames.mkdir(parents=True)
        for shot in self.shots():
            name = f"{round(1000 * shot.at):09d}.jpg"
            (frames / name).write_bytes(shot.content)
            labels[name] = shot.label
        truth = {"frames_per_second": self.frames_per_second, "labels": labels, "visits": [*map(asdict, self.visits)]}
        (folder / "truth.json").write_text(json.dumps(truth, indent=1))
        return frames

    def _scenes(self) -> Iterator[tuple[_Passage, list[float]]]:
        """Each passage with the times of its frames."""
        times = [number / self.frames_per_second for number in range(len(self))]
        ends = [passage.begin for passage in self.passages[1:]] + [self.seconds]
        for passage, end in zip(self.passages, ends, strict=True):
            yield passage, [at for at in times if passage.begin <= at < end]


def record(
    seed: int,
    *,
    site: str = "reef",
    seconds: float = 3600.0,
    frames_per_second: float = 2.0,
    species: Sequence[str] = (),
    water_seconds: float = 20.0,
    crowds: float = 0.2,
) -> Footage:
    """Plan footage of a site; its frames are drawn when they are asked for.

    Args:
        species: each passes as often as the others; none are the sixteen of the demo.
        water_seconds: of empty water between two passages, on average; how much is drawn from an exponential.
        crowds: the share of passages that are of two animals.

    Raises:
        ValueError: an unknown species or site, with those that exist.
    """
    names = list(species) or list_species()
    check(names, site)
    rng = np.random.default_rng([seed, list(SITES).index(site)])
    passages, free = [_Passage(0.0, seed, ())], 0.0
    while True:
        animals = _swarm(names, SITES[site], rng, crowd=len(names) > 1 and rng.random() < crowds)
        begin = free + _PAUSE_SECONDS + rng.exponential(water_seconds)
        shift = begin - min(animal.appears for animal in animals)
        animals = [replace(animal, visit=_shifted(animal.visit, shift)) for animal in animals]
        free = max(animal.vanishes for animal in animals)
        if free > seconds:
            return Footage(site, seconds, frames_per_second, tuple(passages))
        passages.append(_Passage(begin, int(rng.integers(2**32)), tuple(animals)))


def _swarm(names: Sequence[str], place: Site, rng: np.random.Generator, *, crowd: bool) -> list[_Animal]:
    """The animals of a passage; the first passes the middle of the picture at 0."""
    kinds = rng.choice(names, 2 if crowd else 1, replace=False)
    shortest, longest = _LINGERS_SECONDS
    seconds = math.exp(rng.uniform(math.log(shortest), math.log(longest)))
    found = [_animal(str(kinds[0]), 0.0, seconds, place, rng)]
    if crowd:
        # Far enough apart, and fast enough, that each of them is the one nearest to the middle for a while, once.
        behind = rng.uniform(max(2.0, seconds / 4), 2 + seconds / 2)
        found.append(_animal(str(kinds[1]), behind, seconds * rng.uniform(0.7, 1.4), place, rng))
    return found


def _animal(species: str, middle: float, seconds: float, place: Site, rng: np.random.Generator) -> _Animal:
    return _Animal(
        Visit(species, middle - seconds / 2, middle + seconds / 2),
        size=rng.uniform(*place.size),
        level=rng.uniform(0.35, 0.65),
        backwards=bool(rng.random() < 0.5),
        gain=rng.uniform(0.8, 1.2),
        look=int(rng.integers(2**32)),
    )


def _shifted(visit: Visit, seconds: float) -> Visit:
    return Visit(visit.species, visit.begin + seconds, visit.end + seconds)


def _still(place: Site, rng: np.random.Generator) -> Site:
    """The site with one value of what weather and camera do not change from frame to frame."""
    values = {name: rng.uniform(*getattr(place, name)) for name in _STEADY}
    steady: dict[str, Any] = {name: (value, value) for name, value in values.items()}
    return replace(place, **steady)
