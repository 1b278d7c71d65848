"""The same animal across frames counts once, and raises one alert, whatever the frame rate."""

import random
from collections import Counter

import pytest
from classifier.configuration import Configuration
from classifier.policy import Sighting
from hypothesis import given
from hypothesis import strategies as st

from tests.edge.policy.recorded import SURE, UNKNOWN, UNSURE, Animal, policy, record, seen, summary, watch

SPECIES = ("crab", "squid", "octopus", "turtle")
WATCHED = ("crab", "squid")


@st.composite
def passages(draw: st.DrawFn, *, away_seconds: float) -> list[Animal]:
    """Animals one after the other, each for 2 s or more; those of one species are more than `away_seconds` apart."""
    animals: list[Animal] = []
    free, left = draw(st.floats(0, 5)), dict.fromkeys(SPECIES, -1e6)
    for _ in range(draw(st.integers(1, 12))):
        species = draw(st.sampled_from(SPECIES))
        begin = max(free + draw(st.sampled_from([0.0, 0.4, 3.0, 30.0])), left[species] + away_seconds + 0.001)
        free = left[species] = begin + draw(st.floats(2.001, 15))
        animals.append(Animal(species, begin, free))
    return animals


@given(data=st.data(), fps=st.floats(1, 10), gap=st.floats(0.3, 6), water=st.booleans(), window=st.floats(0.5, 60))
def test_with_right_answers_each_visit_counts_once_and_alerts_within_two_seconds(
    data: st.DataObject, fps: float, gap: float, water: bool, window: float
) -> None:
    animals = data.draw(passages(away_seconds=max(gap, 2 / fps)))
    subject = policy(visit_gap_seconds=gap, watch_list=WATCHED, summary_seconds=window, frames_per_second=fps)
    visits, frames, alerts, shown = Counter[str](), Counter[str](), [], Counter[str]()
    for sighting in record(animals, fps=fps, seed=data.draw(st.integers(0, 999)), water=water):
        shown.update([] if sighting.unknown else [sighting.label])
        alerts += watch(subject, [sighting])
        ended = subject.tick(sighting.at).summary
        for label, species in ended.body["species"].items() if ended else ():
            visits[label] += species["visits"]
            frames[label] += species["frames"]
    last = subject.finish(animals[-1].end).summary
    for label, species in last.body["species"].items() if last else ():
        visits[label] += species["visits"]
        frames[label] += species["frames"]
    assert visits == Counter(animal.species for animal in animals)
    assert frames == shown
    watched = [animal for animal in animals if animal.species in WATCHED]
    assert [alert.species for _, alert in alerts] == [animal.species for animal in watched]
    for (at, _), animal in zip(alerts, watched, strict=True):
        assert animal.begin <= at <= animal.begin + 2.000_001


@pytest.mark.parametrize("species", [4, 16])
@pytest.mark.parametrize("fps", [1, 2, 3, 5, 10])
def test_with_an_answer_in_twenty_wrong_counts_are_within_a_tenth_and_alerts_are_raised(fps: int, species: int) -> None:
    chance, animals, free, left = random.Random(fps), [], 0.0, Counter[str]()
    for _ in range(400):
        label = f"species {chance.randrange(species)}"
        begin = max(free + chance.uniform(0, 20), left[label] + 4)
        free = begin + chance.uniform(2, 20)
        left[label] = free
        animals.append(Animal(label, begin, free))
    subject = policy(watch_list=("species 0", "species 1"))
    alerts = watch(subject, record(animals, fps=fps, seed=fps, wrong=0.05))
    counted = sum(each["visits"] for each in summary(subject, free)["species"].values())
    assert counted == pytest.approx(400, rel=0.1)
    watched = [animal for animal in animals if animal.species in ("species 0", "species 1")]
    on_time = [
        any(alert.species == each.species and each.begin - 3 <= at <= each.begin + 2 for at, alert in alerts)
        for each in watched
    ]
    assert sum(on_time) >= (0.85 if fps == 1 else 0.97) * len(watched)  # 2 s are two frames at 1 a second
    assert len(alerts) <= 1.5 * len(watched)


@pytest.mark.parametrize("like", [SURE, UNSURE])
def test_a_label_that_flickers_up_for_a_frame_is_no_visit_however_sure_the_model_is(like: Sighting) -> None:
    subject = policy()
    footage = [seen(0.5 * n, "squid", like) if n % 10 == 5 else seen(0.5 * n, "crab") for n in range(200)]
    watch(subject, footage)
    told = summary(subject, 100.0)["species"]
    assert told["crab"]["visits"] == 1
    assert told["squid"]["visits"] == 0
    assert told["squid"]["frames"] == 20


def test_an_animal_that_two_frames_take_for_another_is_one_visit() -> None:
    subject = policy()
    watch(subject, [seen(0.5 * n, "squid" if n in (6, 13) else "crab") for n in range(20)])
    assert summary(subject, 10.0)["species"]["crab"]["visits"] == 1


def test_stray_labels_between_two_visits_do_not_make_them_one() -> None:
    subject = policy(watch_list=("crab",))
    strays = {24: "crab", 28: "crab"}
    footage = [
        seen(0.5 * n, strays.get(n, "crab" if n < 20 or n >= 32 else "squid"), UNSURE if n in strays else SURE)
        for n in range(50)
    ]
    assert len(watch(subject, footage)) == 2
    assert summary(subject, 25.0)["species"]["crab"]["visits"] == 2


def test_animals_that_take_turns_in_the_answers_are_each_counted_once() -> None:
    subject = policy()
    watch(subject, [seen(0.25 * n, SPECIES[n % 3]) for n in range(120)])
    assert {label: told["visits"] for label, told in summary(subject, 30.0)["species"].items()} == {
        "crab": 1,
        "squid": 1,
        "octopus": 1,
    }


def test_an_animal_that_comes_back_within_the_gap_is_the_same_one_and_later_another() -> None:
    subject = policy(visit_gap_seconds=3.0)
    watch(subject, [seen(at) for at in (0.0, 0.5, 3.5, 4.0)])
    assert summary(subject, 5.0)["species"]["crab"]["visits"] == 1
    watch(subject, [seen(at) for at in (7.1, 7.6)])
    assert summary(subject, 8.0)["species"]["crab"]["visits"] == 1


def test_a_still_camera_counts_an_animal_once_through_pictures_in_a_row() -> None:
    subject = policy(source="still:/dev/video0", still_seconds=10.0)
    present = {3, 4, 5, 7, 12}
    watch(subject, [seen(10.0 * n, like=SURE if n in present else UNKNOWN) for n in range(20)])
    told = summary(subject, 200.0)["species"]["crab"]
    assert told["visits"] == 2
    assert told["seconds"] == 50.0


def test_a_still_camera_counts_the_single_picture_of_which_the_model_is_sure() -> None:
    subject = policy(source="still:/dev/video0", still_seconds=10.0)
    watch(subject, [seen(0.0, "crab"), seen(10.0, "squid", UNSURE), seen(20.0, "turtle", UNKNOWN)])
    told = summary(subject, 30.0)["species"]
    assert told["crab"]["visits"] == 1
    assert told["squid"]["visits"] == 0


def test_pictures_minutes_apart_are_visits_of_their_own() -> None:
    subject = policy(source="still:/dev/video0", still_seconds=600.0)
    watch(subject, [seen(600.0 * n) for n in range(10)])
    assert summary(subject, 6000.0)["species"]["crab"]["visits"] == 10


def test_a_stream_that_slows_down_to_a_frame_in_ten_seconds_goes_on_counting() -> None:
    subject = policy(frames_per_second=2.0)
    watch(subject, [seen(0.5 * n, like=UNKNOWN) for n in range(20)])
    watch(subject, [seen(20.0 + 10 * n, like=UNKNOWN) for n in range(6)])
    watch(subject, [seen(80.0 + 10 * n) for n in range(10)])
    assert summary(subject, 200.0)["species"]["crab"]["visits"] == 1


def test_a_camera_that_pauses_does_not_make_two_visits_one() -> None:
    subject = policy()
    for visit in range(5):
        watch(subject, [seen(60.0 * visit + 0.5 * n) for n in range(4)])
    assert summary(subject, 300.0)["species"]["crab"]["visits"] == 5


def test_frames_that_come_faster_than_any_camera_still_count() -> None:
    subject = policy()
    watch(subject, [seen(0.001 * n) for n in range(8)])
    assert summary(subject, 1.0)["species"]["crab"]["visits"] == 1


@pytest.mark.parametrize("like", [SURE, UNSURE])
def test_so_many_sightings_raise_the_alert_however_sure_the_model_is(like: Sighting) -> None:
    footage = [seen(0.5 * n, like=like) for n in range(9)]
    assert [at for at, _ in watch(policy(watch_list=("crab",)), footage)] == [0.5]
    assert [at for at, _ in watch(policy(watch_list=("crab",), alert_frames=4), footage)] == [1.5]
    assert [at for at, _ in watch(policy(watch_list=("crab",), alert_frames=1), footage)] == [0.0]


def test_where_pictures_are_far_apart_the_one_that_shows_it_for_sure_raises_the_alert() -> None:
    still = {"source": "still:/dev/video0", "watch_list": ("crab",)}
    assert [at for at, _ in watch(policy(**still), [seen(10.0 * n) for n in range(9)])] == [0.0]
    assert [at for at, _ in watch(policy(**still), [seen(10.0 * n, like=UNSURE) for n in range(9)])] == [10.0]


@pytest.mark.parametrize("fps", [1, 2, 3, 5, 10])
def test_stray_labels_raise_no_alert_though_the_model_is_sure_of_them(fps: int) -> None:
    subject, chance = policy(watch_list=("octopus",)), random.Random(fps)
    footage = [seen(n / fps, "octopus" if chance.random() < 0.02 else "crab") for n in range(3600)]
    assert len(watch(subject, footage)) <= 7, "72 frames say so, of which a few follow each other"


def test_an_alert_says_what_is_there_since_when_and_by_which_model() -> None:
    subject = policy(watch_list=("crab",), alert_frames=3)
    subject.model = "r1-abc"
    ((_, alert),) = watch(subject, [seen(10 + 0.5 * n, like=UNSURE) for n in range(5)])
    assert alert.body == {
        "species": "crab",
        "probability": 0.45,
        "frames": 3,
        "visit_seconds": 1.0,
        "model": "r1-abc",
    }


def test_an_animal_that_is_recognized_now_and_then_alerts_once() -> None:
    subject = policy(watch_list=("crab",))
    footage = [seen(0.5 * n, like=SURE if n % 3 == 0 else UNKNOWN) for n in range(200)]
    assert len(watch(subject, footage)) == 1


def test_a_species_that_is_put_on_the_watch_list_while_it_is_there_alerts_at_its_next_sighting() -> None:
    subject = policy()
    assert watch(subject, [seen(0.5 * n) for n in range(6)]) == []
    subject.configure(Configuration(watch_list=("crab",)))
    assert [at for at, _ in watch(subject, [seen(3.0 + 0.5 * n) for n in range(6)])] == [3.0]
    subject.configure(Configuration(watch_list=("crab",), alert_frames=1))
    assert watch(subject, [seen(6.0 + 0.5 * n) for n in range(6)]) == []
    assert summary(subject, 9.0)["species"]["crab"]["visits"] == 1


def test_a_longer_gap_applies_to_the_visit_under_way() -> None:
    subject = policy(visit_gap_seconds=1.5)
    watch(subject, [seen(0.5 * n) for n in range(4)])
    subject.configure(Configuration(visit_gap_seconds=60.0))
    watch(subject, [seen(30.0 + 0.5 * n) for n in range(4)])
    assert summary(subject, 40.0)["species"]["crab"]["visits"] == 1


@given(st.lists(st.sampled_from(SPECIES), max_size=50))
def test_what_the_model_does_not_know_is_no_species_whatever_its_label(labels: list[str]) -> None:
    subject = policy(watch_list=SPECIES)
    assert watch(subject, [seen(0.5 * n, label, UNKNOWN) for n, label in enumerate(labels)]) == []
    subject.missed(dropped=1)
    told = summary(subject, 100.0)
    assert told["species"] == {}
    assert told["unknown"] == told["frames"] == len(labels)
