"""What goes on beside the frames, called step by step."""

import threading
from pathlib import Path
from typing import Any

import pytest
from classifier.clock import ManualClock
from classifier.configuration import Configuration
from classifier.messages import check
from classifier.models.outcome import Outcome
from classifier.pipeline import chores
from classifier.pipeline.chores import (
    Configurations,
    ConfigurationStep,
    Following,
    HealthStep,
    Models,
    ModelStep,
    configured,
)
from classifier.pipeline.health import Health
from classifier.pipeline.queues import Queue
from classifier.pipeline.worker import Work
from classifier.spool import Message

from tests.edge.device import FakeNucleus, Oracle, Shelf

PARTS: dict[str, Any] = {
    "model": Models().told,
    "queue": 0,
    "spool": {"records": 0, "frames": 0, "bytes": 0, "place": "disk", "reason": ""},
    "evicted": {},
    "sent": {"hour": 0, "day": 0, "hour_budget": 1, "day_budget": 1},
    "restarts": {},
    "configuration": "",
}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "configuration.json"


def test_the_last_good_configuration_is_in_force_after_a_restart(kept: Path) -> None:
    configurations = Configurations(kept)
    assert configurations.current == Configuration()
    assert configurations.take({"summary_seconds": 60})
    assert not configurations.take({"summary_seconds": "60"}), "it is the same"
    assert configurations.take({"summary_seconds": -1, "health_seconds": 5})
    assert Configurations(kept).current == Configuration(summary_seconds=60)


def test_a_refusal_is_over_when_a_valid_configuration_comes(kept: Path) -> None:
    configurations = Configurations(kept)
    assert configurations.take({"frames": 1})
    assert "there is no setting 'frames'" in configurations.refused
    assert not configurations.take({"frames": 1}), "it was said"
    assert configurations.take({})
    assert configurations.refused == ""


def test_a_list_nested_without_end_is_refused_like_any_other_value(kept: Path) -> None:
    configurations = Configurations(kept)
    assert configurations.take({"watch_list": "[" * 200_000})
    assert configurations.refused.startswith("watch_list is '[[[")
    kept.write_text('{"watch_list": "' + "[" * 200_000 + '"}')
    assert Configurations(kept).current == Configuration()


def test_a_kept_configuration_of_another_version_is_passed_over(kept: Path) -> None:
    kept.write_text('{"of_tomorrow": 1}')
    assert Configurations(kept).current == Configuration()


def test_a_refusal_holds_no_password_and_fits_a_record(kept: Path) -> None:
    configurations = Configurations(kept)
    configurations.take({"source": "rtsp://user:secret@10.0.0.7/live", "watch_list": [1] * 5000})
    assert "secret" not in configurations.refused
    assert len(configurations.refused) <= 400


def test_the_nucleus_is_asked_at_the_start_and_after_every_change(kept: Path) -> None:
    nucleus, configurations, changes = FakeNucleus({"summary_seconds": 60}), Configurations(kept), list[int]()
    step = ConfigurationStep(nucleus, configurations, lambda: changes.append(1))
    step.step()
    step.step()
    assert (configurations.current.summary_seconds, len(changes)) == (60, 1)
    nucleus.change(summary_seconds=70)
    nucleus.change(health_seconds=80)
    for _ in range(3):
        step.step()
    assert (configurations.current.summary_seconds, configurations.current.health_seconds, len(changes)) == (70, 80, 2)
    assert len(nucleus.callbacks) == 1


def test_a_lost_nucleus_is_looked_for_and_subscribed_to_again(kept: Path) -> None:
    nucleus, configurations = FakeNucleus({"summary_seconds": 60}), Configurations(kept)
    nucleus.lost.set()
    step = ConfigurationStep(nucleus, configurations, lambda: None)
    assert step.step() == chores.RECONNECT_SECONDS
    assert nucleus.callbacks == []
    nucleus.lost.clear()
    step.step()
    step.step()
    assert configurations.current.summary_seconds == 60
    step.close()


def test_without_an_answer_what_was_kept_is_in_force(kept: Path) -> None:
    configurations, nucleus = Configurations(kept), FakeNucleus({"summary_seconds": 60})
    nucleus.lost.set()
    configured(nucleus, configurations)
    configured(None, configurations)
    assert configurations.current == Configuration()
    nucleus.lost.clear()
    configured(nucleus, configurations)
    assert configurations.current.summary_seconds == 60


class Modelling:
    """A model step over a shelf."""

    def __init__(self) -> None:
        self.shelf, self.models, self.told = Shelf(Oracle()), Models(), 0
        self.end = threading.Event()
        self.step = ModelStep(
            lambda: self.shelf("link", "folder", Configuration(), clock=None),  # type: ignore[arg-type,return-value]
            self.models,
            poll_seconds=lambda: 5.0,
            told=self._told,
            end=self.end,
        )

    def _told(self) -> None:
        self.told += 1


def test_a_model_serves_once_the_keeper_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    modelling = Modelling()
    assert modelling.step.step() == 0, "after the last good one, the link is looked at at once"
    assert modelling.models.told["self_test"] == "none"
    assert modelling.step.step() == 5.0
    assert modelling.models.serving is modelling.shelf.model
    assert modelling.models.told == {
        "version": "m1",
        "target": "test",
        "runtime": "oracle",
        "self_test": "passed",
        "reason": "",
    }
    assert modelling.told == 1


def test_a_runtime_that_was_given_up_serves_no_more_until_it_is_loaded_anew() -> None:
    modelling = Modelling()
    modelling.step.step()
    modelling.step.step()
    first = modelling.models.serving
    modelling.models.give_up()
    assert modelling.models.serving is None
    modelling.step.step()
    assert modelling.shelf.reloads == 1
    assert modelling.models.serving is not None
    assert modelling.models.serving is not first


def test_what_came_of_a_model_is_told_though_the_runtime_is_given_up_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    modelling = Modelling()
    modelling.step.step()
    poll = modelling.shelf.poll
    monkeypatch.setattr(modelling.shelf, "poll", lambda: modelling.models.give_up() or poll())
    modelling.step.step()
    assert modelling.models.serving is None
    assert modelling.models.told["self_test"] == "passed"


def test_a_model_stage_that_was_given_up_serves_nothing() -> None:
    modelling = Modelling()
    modelling.step.step()
    modelling.end.set()
    modelling.step.step()
    assert modelling.models.serving is None
    assert modelling.told == 0


def test_a_refused_model_is_told_while_the_one_before_serves() -> None:
    models = Models()
    models.outcome = Outcome("m2", None, "r" * 3000)
    assert models.told["self_test"] == "failed"
    assert len(models.told["reason"]) <= 400


class Telling:
    """A health step, by a clock."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.works, self.wanted = ManualClock(), Queue[Work](1), threading.Event()
        self.parts: dict[str, Any] | None = PARTS
        self.seconds = 900.0
        self.step = HealthStep(
            Health(clock=self.clock, work=folder),
            self.works,
            clock=self.clock,
            seconds=lambda: self.seconds,
            wanted=self.wanted,
            parts=lambda: self.parts,
        )

    def bodies(self, seconds: int) -> list[Any]:
        """What is told in so many seconds."""
        found = []
        for _ in range(seconds):
            self.clock.advance(1)
            self.step.step()
            while work := self.works.take(wait_seconds=0):
                found += [entry.body for entry in work.entries if isinstance(entry, Message)]
        return found


@pytest.fixture
def telling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Telling:
    monkeypatch.setattr(chores, "WAIT_SECONDS", 0.001)
    return Telling(tmp_path)


def test_health_is_told_a_minute_after_the_start_and_then_now_and_then(telling: Telling) -> None:
    assert telling.bodies(59) == []
    (body,) = telling.bodies(1)
    check("health", body)
    assert len(telling.bodies(3 * 900)) == 3


def test_health_is_told_at_once_when_it_is_wanted(telling: Telling) -> None:
    telling.wanted.set()
    assert len(telling.bodies(1)) == 1
    assert telling.bodies(30) == []


def test_health_that_nobody_can_take_now_is_told_later(telling: Telling) -> None:
    telling.works.push(Work())
    telling.wanted.set()
    telling.step.step()
    assert telling.wanted.is_set()
    assert len(telling.bodies(2)) == 1


def test_health_waits_for_the_spool(telling: Telling) -> None:
    telling.parts = None
    telling.wanted.set()
    assert telling.bodies(5) == []
    telling.parts = PARTS
    assert len(telling.bodies(1)) == 1


def test_a_step_follows_what_it_is_over() -> None:
    built: list[Any] = []

    class Part:
        def __init__(self, what: str) -> None:
            self.what, self.closed = what, False
            built.append(self)

        def step(self) -> float:
            return 7.0

        def close(self) -> None:
            self.closed = True

    now: list[str | None] = [None]
    following = Following(lambda: now[0], Part)
    assert following.step() > 0
    assert built == []
    now[0] = "a"
    assert (following.step(), following.step()) == (7.0, 7.0)
    now[0] = "b"
    following.step()
    assert [(part.what, part.closed) for part in built] == [("a", True), ("b", False)]
    now[0] = None
    following.step()
    following.close()
    assert built[-1].closed
