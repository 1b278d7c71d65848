"""The demo's footage: what its truth says is what its pictures show, and the same plan gives the same bytes."""

import io
import json
from itertools import groupby, islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from offline.footage import Footage, Shot, record
from offline.sites import SITES

CROWDED = {"water_seconds": 4.0, "crowds": 1.0}


def pixels(shot: Shot) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(shot.content)), np.int16)


def test_the_same_plan_gives_the_same_bytes_and_another_seed_another_plan() -> None:
    first, again, other = (record(seed, seconds=60) for seed in (1, 1, 2))
    assert list(first.shots()) == list(again.shots())
    assert first.visits != other.visits


def test_a_frame_comes_at_every_tick_of_the_frame_rate() -> None:
    footage = record(3, seconds=30, frames_per_second=4)
    times = [shot.at for shot in footage.shots()]
    assert len(times) == len(footage) == 120
    assert {later - earlier for earlier, later in pairwise(times)} == {0.25}


def test_labels_can_be_had_without_drawing() -> None:
    footage = record(3, seconds=60)
    assert list(footage.labels()) == [(shot.at, shot.label) for shot in footage.shots()]


@pytest.mark.parametrize("site", SITES)
def test_a_label_is_a_species_that_is_there_and_every_visit_of_two_seconds_has_one(site: str) -> None:
    footage = record(5, site=site, seconds=3600)
    labels = list(footage.labels())
    for at, label in labels:
        assert label in {visit.species for visit in footage.visits if visit.begin <= at <= visit.end} | {""}
    named = [
        visit
        for visit in footage.visits
        if any(label == visit.species and visit.begin <= at <= visit.end for at, label in labels)
    ]
    assert [visit for visit in footage.visits if visit.seconds >= 2 and visit not in named] == []


def test_there_is_empty_water_between_passages_and_more_of_it_than_animals() -> None:
    labels = [label for _, label in record(6).labels()]
    assert 0.5 < labels.count("") / len(labels) < 0.9


def test_in_a_crowd_each_is_nearest_to_the_middle_once() -> None:
    footage = record(7, seconds=3600, frames_per_second=10, **CROWDED)
    overlapping = [
        (one, other)
        for one, other in pairwise(footage.visits)
        if other.begin < one.end and other.species != one.species
    ]
    assert len(overlapping) > 100
    labels = list(footage.labels())
    for one, other in overlapping:
        between = [label for at, label in labels if one.begin <= at <= max(one.end, other.end)]
        runs = [label for label, _ in groupby(label for label in between if label)]
        assert sorted(runs) == sorted([one.species, other.species])


def test_the_picture_shows_the_animal_where_and_when_the_truth_has_it() -> None:
    footage = record(8, seconds=40, water_seconds=3.0)
    (visit, *_) = (visit for visit in footage.visits if visit.seconds >= 2)
    middle = (visit.begin + visit.end) / 2
    nearest = min(footage.shots(), key=lambda shot: abs(shot.at - middle))
    (passage, _) = next((one, times) for one, times in footage._scenes() if nearest.at in times)
    empty = next(Footage("reef", 1, 1, (type(passage)(0.0, passage.seed, ()),)).shots())
    assert nearest.label == visit.species
    changed = np.abs(pixels(nearest) - pixels(empty)).max(axis=-1) > 60
    assert changed[:, 32:96].mean() > 3 * (changed[:, :16].mean() + 0.01)


def test_empty_water_changes_by_particles_and_noise_only() -> None:
    first, second, *_ = islice(record(9, seconds=10).shots(), 2)
    assert (first.label, second.label) == ("", "")
    difference = np.abs(pixels(first) - pixels(second))
    assert 0 < difference.mean() < 15


def test_footage_is_written_with_its_truth(tmp_path: Path) -> None:
    footage = record(10, seconds=20, water_seconds=2.0)
    frames = footage.write(tmp_path)
    truth = json.loads((tmp_path / "truth.json").read_text())
    shots = list(footage.shots())
    assert [path.read_bytes() for path in sorted(frames.iterdir())] == [shot.content for shot in shots]
    assert [truth["labels"][path.name] for path in sorted(frames.iterdir())] == [shot.label for shot in shots]
    assert [visit["species"] for visit in truth["visits"]] == [visit.species for visit in footage.visits]


@pytest.mark.parametrize(
    ("change", "message"), [({"species": ["unicorn"]}, "no sprite of 'unicorn'"), ({"site": "moon"}, "no site 'moon'")]
)
def test_what_cannot_be_drawn_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        record(1, **change)  # type: ignore[arg-type]
