"""The simulated people err as often as they are said to, alone and together."""

import hashlib
from collections import Counter, defaultdict
from typing import Any

import pytest

from offline.boxes import Box, matches, overlap
from offline.crew import EXPERTS, LABELERS, Crew, Person, default_people

CLASSES = [f"class-{number}" for number in range(16)]
OBJECTS = 12_000


def any_object(number: int) -> tuple[bytes, str]:
    return f"object {number}".encode(), CLASSES[number % len(CLASSES)]


@pytest.fixture(scope="module")
def truth() -> dict[str, str]:
    return {hashlib.sha256(image).hexdigest(): name for image, name in map(any_object, range(OBJECTS))}


def interval(rate: float, count: int) -> tuple[float, float]:
    """Where a share measured on `count` objects lies in all but one in 16,000 repetitions (4 standard errors)."""
    margin = 4 * (rate * (1 - rate) / count) ** 0.5
    return rate - margin, rate + margin


def test_each_person_errs_at_their_own_rate(truth: dict[str, str]) -> None:
    crew, wrong = Crew(truth=truth), Counter[str]()
    for number in range(OBJECTS):
        image, name = any_object(number)
        for worker, label, seconds in crew.answers(image, CLASSES, 5, LABELERS):
            wrong[worker] += label != name
            assert seconds > 0
    for person in default_people():
        low, high = interval(person.error, OBJECTS)
        assert low < wrong[person.worker_id] / OBJECTS < high, person


@pytest.mark.parametrize("team_error", [0.003, 0.01, 0.015])
def test_the_majority_of_the_experienced_errs_at_the_team_rate(truth: dict[str, str], team_error: float) -> None:
    crew, wrong = Crew(truth=truth, team_error=team_error), 0
    for number in range(OBJECTS):
        image, name = any_object(number)
        votes = Counter(label for _, label, _ in crew.answers(image, CLASSES, 3, EXPERTS))
        wrong += votes[name] < 2
    low, high = interval(team_error, OBJECTS)
    assert low < wrong / OBJECTS < high


def test_an_image_gets_the_same_answers_whenever_it_is_asked_about(truth: dict[str, str]) -> None:
    first, second = Crew(truth=truth), Crew(truth=truth)
    images = [any_object(number)[0] for number in range(50)]
    forward = [first.answers(image, CLASSES, 3, LABELERS) for image in images]
    backward = [second.answers(image, CLASSES, 3, LABELERS) for image in reversed(images)]
    assert forward == backward[::-1]
    assert forward != [Crew(truth=truth, seed=2).answers(image, CLASSES, 3, LABELERS) for image in images]


def test_work_rotates_through_the_team(truth: dict[str, str]) -> None:
    crew, asked = Crew(truth=truth), defaultdict(int)
    for number in range(5000):
        answers = crew.answers(any_object(number)[0], CLASSES, 3, LABELERS)
        assert len({worker for worker, _, _ in answers}) == 3
        for worker, _, _ in answers:
            asked[worker] += 1
    assert len(asked) == 5
    assert all(2800 < count < 3200 for count in asked.values())


def test_nobody_answers_about_an_image_they_do_not_know(truth: dict[str, str]) -> None:
    assert Crew(truth=truth).answers(b"never seen", CLASSES, 3, LABELERS) == []


def test_a_class_that_is_not_offered_is_never_named(truth: dict[str, str]) -> None:
    image, name = any_object(0)
    offered = [other for other in CLASSES if other != name]
    assert {label for _, label, _ in Crew(truth=truth).answers(image, offered, 5, LABELERS)} <= set(offered)


@pytest.mark.parametrize(
    ("workers", "team", "message"),
    [
        (4, EXPERTS, "4 workers per object asked of the team 'experts', which has 3"),
        (0, LABELERS, "0 workers"),
        (1, "strangers", "no team 'strangers'; there are labelers and experts"),
    ],
)
def test_a_task_that_the_team_cannot_do_is_refused(workers: int, team: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Crew(truth={}).answers(b"image", CLASSES, workers, team)


def test_a_team_error_that_no_correlation_reaches_is_refused() -> None:
    with pytest.raises(ValueError, match=r"team_error 0\.2 is out of reach"):
        _ = Crew(truth={}, team_error=0.2).treacherous_share


def test_experienced_people_have_one_rate() -> None:
    people = (Person("private.us-east-1.a", 0.01, True), Person("private.us-east-1.b", 0.02, True))
    with pytest.raises(ValueError, match="must have one error rate"):
        _ = Crew(truth={}, people=people).treacherous_share


# ---- Boxes -----------------------------------------------------------------------------------------------------------

BOXES = [Box("class-1", 10, 10, 40, 30), Box("class-2", 70, 40, 30, 40)]


@pytest.fixture(scope="module")
def boxes(truth: dict[str, str]) -> dict[str, list[Box]]:
    return dict.fromkeys(truth, BOXES)


def drawings(crew: Crew, objects: int, **about: Any) -> list[tuple[str, list[Box]]]:
    """(who, what they drew), several people's about each of so many objects."""
    return [
        (answer.worker, answer.content)
        for number in range(objects)
        for answer in crew.answers(any_object(number)[0], CLASSES, 5, LABELERS, **{"work": "draw", **about})
        if not isinstance(answer.content, str)
    ]


def test_each_person_errs_on_things_in_pictures_at_their_own_rate(
    truth: dict[str, str], boxes: dict[str, list[Box]]
) -> None:
    right, objects = Counter[str](), 3_000
    for worker, drawn in drawings(Crew(truth=truth, boxes=boxes), objects):
        pairs = matches(BOXES, drawn, 0.5)
        right[worker] += sum(BOXES[i].label == drawn[j].label for i, j in pairs)
    for person in default_people():
        low, high = interval(person.error, objects * len(BOXES))
        assert low < 1 - right[person.worker_id] / (objects * len(BOXES)) < high, person


def test_people_draw_beside_each_other_and_close_to_the_thing(
    truth: dict[str, str], boxes: dict[str, list[Box]]
) -> None:
    drawn = [box for _, found in drawings(Crew(truth=truth, boxes=boxes), 20) for box in found]
    assert len(set(drawn)) == len(drawn)
    assert all(max(overlap(box, true) for true in BOXES) > 0.7 for box in drawn)


def test_boxes_that_are_shown_and_good_are_left_as_they_are(truth: dict[str, str], boxes: dict[str, list[Box]]) -> None:
    shown = [Box("class-1", 12, 11, 38, 30), Box("class-9", 71, 40, 30, 38), Box("class-5", 0, 90, 5, 5)]
    crew = Crew(truth=truth, boxes=boxes, people=(Person("private.us-east-1.a", 0.0, experienced=False),))
    (answer,) = crew.answers(any_object(0)[0], CLASSES, 1, LABELERS, work="adjust", shown=shown)
    assert answer.content == [shown[0], Box("class-2", 71, 40, 30, 38)]


@pytest.mark.parametrize(
    ("shown", "verdict"),
    [(BOXES, "right"), (BOXES[:1], "wrong"), ([*BOXES, Box("class-1", 0, 0, 5, 5)], "wrong"), ([], "wrong")],
)
def test_a_verdict_is_about_the_boxes_that_are_shown(
    truth: dict[str, str], boxes: dict[str, list[Box]], shown: list[Box], verdict: str
) -> None:
    crew = Crew(truth=truth, boxes=boxes, people=(Person("private.us-east-1.a", 0.0, experienced=False),))
    (answer,) = crew.answers(any_object(0)[0], ["right", "wrong"], 1, LABELERS, work="verify", shown=shown)
    assert answer.content == verdict


def test_a_spammer_answers_at_random(truth: dict[str, str], boxes: dict[str, list[Box]]) -> None:
    crew = Crew(truth=truth, boxes=boxes, people=(Person("private.us-east-1.a", 0.0, experienced=False, spammer=True),))
    said = Counter(crew.answers(any_object(number)[0], CLASSES, 1, LABELERS)[0].content for number in range(1600))
    assert all(50 < said[name] < 160 for name in CLASSES)
    (answer,) = crew.answers(any_object(0)[0], CLASSES, 1, LABELERS, work="draw")
    assert not any(overlap(box, true) > 0.6 for box in answer.content for true in BOXES)  # type: ignore[union-attr,arg-type]
