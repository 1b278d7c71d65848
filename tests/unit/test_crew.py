"""The simulated people err as often as they are said to, alone and together."""

import hashlib
from collections import Counter, defaultdict

import pytest

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
