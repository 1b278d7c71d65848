"""The people of the demo at the labeling station."""

import hashlib
import os
import threading
from collections.abc import Iterator
from io import StringIO

import pytest
from rich.console import Console

from console.demo.people import People
from console.screen import Screen
from offline.account import Account
from offline.crew import Crew
from tests.station.batches import Publish, image_bytes


@pytest.fixture
def printed() -> StringIO:
    return StringIO()


@pytest.fixture
def people(account: Account, bucket: str, printed: StringIO, monkeypatch: pytest.MonkeyPatch) -> People:
    """A person called me, who opens the page themselves, and a crew that knows the images that are published here."""
    monkeypatch.setattr("console.demo.people.open_page", lambda _: None)
    truth = {hashlib.sha256(image_bytes(number * 40)).hexdigest(): "squid" for number in range(6)}
    return People(account.client, bucket, Crew(truth=truth), "me", Screen(Console(file=printed, width=200)))


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A terminal as standard input; the end at which a person types."""
    typed, inside = os.openpty()
    with os.fdopen(inside) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield typed
    os.close(typed)


def test_without_a_terminal_the_crew_gives_every_answer(people: People, publish: Publish) -> None:
    batch = publish(4, votes=3)
    people.attend(batch.round_)
    people.attend(batch.round_)
    assert {index: len(labels) for index, labels in batch.labels().items()} == dict.fromkeys(range(4), 3)
    assert len({answer["workerId"] for answer in batch.answers()}) > 3
    assert batch.outcome()["status"] == "SUCCEEDED"


def test_the_crew_leaves_what_it_does_not_know(people: People, publish: Publish) -> None:
    batch = publish(2, votes=2)
    batch.put(batch.keys[1], image_bytes(77))
    people.attend(batch.round_)
    assert list(batch.labels()) == [0]
    assert batch.outcome()["status"] == "FAILED"


@pytest.mark.usefixtures("keyboard")
def test_the_person_is_no_expert(people: People, publish: Publish) -> None:
    batch = publish(2, votes=2, team="experts")
    people.attend(batch.round_)
    assert batch.outcome()["status"] == "SUCCEEDED"


def test_the_crew_comes_when_the_person_has_had_enough(
    people: People, publish: Publish, keyboard: int, printed: StringIO
) -> None:
    batch = publish(3, votes=2)
    attending = threading.Thread(target=people.attend, args=(batch.round_,))
    attending.start()
    while "press Enter here" not in printed.getvalue():
        attending.join(0.01)
    assert batch.answers() == []
    os.write(keyboard, b"\n")
    attending.join(20)
    assert "station-labelers-0-0: 6 answers by the crew" in printed.getvalue()
    assert batch.outcome()["status"] == "SUCCEEDED"
