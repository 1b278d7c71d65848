"""A summary says what was seen in its window, once, and fits into a message whatever the model's labels are."""

import json
import pickle
import random
from typing import Any

import pytest
from classifier import messages
from classifier.configuration import Configuration

from tests.edge.policy.recorded import SURE, UNKNOWN, UNSURE, policy, seen, summary, watch


def test_a_summary_tells_what_was_seen_and_what_became_of_it() -> None:
    subject = policy(review_frames_per_hour=100, audit_frames_per_hour=60)
    subject.model = "r1-abc"
    subject.tick(0.0)
    watch(subject, [seen(0.5 * n) for n in range(10)])
    watch(subject, [seen(5 + 0.5 * n, "squid", UNSURE) for n in range(4)])
    watch(subject, [seen(7 + 0.5 * n, "squid", UNKNOWN) for n in range(2)])
    subject.missed(dropped=3, unreadable=1)
    subject.missed(dropped=1)
    assert subject.tick(60.0).audit_due is not None
    told = summary(subject, 61.0)
    assert told == {
        "seconds": 61.0,
        "frames": 16,
        "unreadable": 1,
        "dropped": 4,
        "model": "r1-abc",
        "species": {
            "crab": {"visits": 1, "frames": 10, "seconds": 4.5, "best": 0.95},
            "squid": {"visits": 1, "frames": 4, "seconds": 2.0, "best": 0.45},
        },
        "unknown": 2,
        "review": 2,
        "audit": 1,
    }
    messages.fits("summary", told)


def test_a_window_ends_when_its_time_is_over_and_the_next_begins_there() -> None:
    subject = policy(summary_seconds=10.0)
    ended = []
    for tenth in range(301):
        subject.see(seen(tenth / 10))
        if told := subject.tick(tenth / 10).summary:
            ended.append((tenth / 10, told.body["seconds"], told.body["frames"]))
    assert ended == [(10.0, 10.0, 101), (20.0, 10.0, 100), (30.0, 10.0, 100)]


def test_a_visit_across_windows_counts_in_the_one_in_which_it_was_confirmed() -> None:
    subject, told = policy(summary_seconds=10.0), []
    subject.tick(0.0)
    for half in range(20, 62):
        subject.see(seen(half / 2))
        if window := subject.tick(half / 2).summary:
            told.append(window.body["species"]["crab"])
    told.append(summary(subject, 31.0)["species"]["crab"])
    assert [each["visits"] for each in told] == [0, 1, 0, 0]
    assert [each["frames"] for each in told] == [1, 20, 20, 1]
    assert [each["seconds"] for each in told] == [0.0, 10.0, 10.0, 0.5]


def test_a_window_in_which_nothing_happened_costs_no_byte() -> None:
    subject = policy(summary_seconds=10.0)
    assert [subject.tick(float(second)).summary for second in range(100)] == [None] * 100
    subject.missed(unreadable=1)
    assert summary(subject, 100.0)["unreadable"] == 1
    assert subject.finish(101.0).summary is None


def test_a_camera_that_stood_still_adds_no_time_to_what_it_sees_next() -> None:
    subject = policy()
    watch(subject, [seen(at) for at in (0.0, 0.5, 1.0, 900.0, 900.5)])
    assert summary(subject, 901.0)["species"]["crab"]["seconds"] == pytest.approx(1.5 + 3.0)


def test_another_model_has_a_window_of_its_own() -> None:
    subject = policy()
    subject.model = "r1"
    watch(subject, [seen(0.5 * n) for n in range(4)])
    subject.model = "r2"
    told = subject.tick(2.0).summary
    assert told is not None
    assert (told.body["model"], told.body["frames"]) == ("r1", 4)
    assert subject.tick(3.0).summary is None
    watch(subject, [seen(4 + 0.5 * n) for n in range(2)])
    assert summary(subject, 6.0)["model"] == "r2"


def test_a_shorter_window_ends_the_one_that_is_open() -> None:
    subject = policy(summary_seconds=300.0)
    subject.see(seen(0.0))
    assert subject.tick(30.0).summary is None
    subject.configure(Configuration(summary_seconds=20.0))
    assert subject.tick(31.0).summary is not None


def test_a_clock_that_goes_back_makes_no_negative_time() -> None:
    subject = policy()
    watch(subject, [seen(100.0), seen(50.0), seen(50.5)])
    told = summary(subject, 10.0)
    messages.check("summary", told)
    assert told["species"]["crab"]["seconds"] == 0.5


def a_thousand(label: str) -> dict[str, Any]:
    """The summary of a thousand species, numbered in order of their frames."""
    subject, at = policy(), 0.0
    for number in range(1000):
        for _ in range(1 + (1000 - number) // 100):
            at += 0.5
            subject.see(seen(at, label.format(number), SURE))
    return summary(subject, at)


@pytest.mark.parametrize("label", ["species {}", "seepferdchen, langschnäuziges, jung, nr. {}", "{}" + "深" * 120])
def test_a_model_of_a_thousand_labels_has_summaries_that_fit(label: str) -> None:
    told = a_thousand(label)
    messages.fits("summary", told)
    assert len(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()) <= 4400
    assert 8 <= len(told["species"]) <= 41
    assert sum(species["frames"] for species in told["species"].values()) == told["frames"]


def test_the_species_with_most_frames_are_told_and_the_rest_added_up() -> None:
    told = a_thousand("species {}")["species"]
    assert list(told) == ["species 0", *sorted(f"species {n}" for n in range(1, 101))[:39], "other"]
    assert told["species 0"]["frames"] == 11


def test_labels_that_no_compression_helps_fit_too() -> None:
    chance, subject = random.Random(1), policy()
    for number in range(1000):
        label = "".join(chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(chance.randrange(1, 120)))
        subject.see(seen(0.5 * number, label))
    messages.fits("summary", summary(subject, 500.0))


def test_a_species_named_other_is_added_to_the_rest() -> None:
    subject = policy()
    watch(subject, [seen(0.1 * n, "other") for n in range(5)] + [seen(3.0 + n, f"species {n}") for n in range(45)])
    told = summary(subject, 50.0)["species"]
    assert len(told) == 41
    assert told["other"]["frames"] == 5 + 5


@pytest.mark.parametrize("length", [129, 5000])
def test_a_label_too_long_for_a_message_is_among_the_others_and_shortened_in_its_alert(length: int) -> None:
    long = "x" * length
    subject = policy(watch_list=(long,))
    ((_, alert),) = watch(subject, [seen(0.5 * n, long) for n in range(5)])
    messages.fits("alert", alert.body)
    assert list(summary(subject, 5.0)["species"]) == ["other"]


def test_months_of_models_with_ever_new_labels_take_no_more_memory() -> None:
    subject = policy(summary_seconds=300.0, watch_list=("crab",))

    def live(month: int) -> int:
        for number in range(4000):
            at = 2.6e6 * month + 10.0 * number
            subject.see(seen(at, f"{month:03} {number // 10:03}", (SURE, UNSURE, UNKNOWN)[number % 3]))
            subject.tick(at)
        return len(pickle.dumps(subject))

    assert live(1) == pytest.approx(live(9), rel=0.1)
