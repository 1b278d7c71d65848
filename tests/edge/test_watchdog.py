"""Stages that hang are replaced; one that hangs again and again is beyond help."""

import threading
from collections.abc import Iterator

import pytest
from classifier.clock import ManualClock
from classifier.pipeline.stage import Stage
from classifier.pipeline.watchdog import HOUR_SECONDS, MOST_PER_HOUR, STANDSTILL_SECONDS, Watchdog

from tests.edge.device import eventually

LIMIT = 30.0


class Hanging:
    """A step that never comes back by itself."""

    def __init__(self, begun: list[str], name: str, release: threading.Event) -> None:
        self._begun, self._name, self._release = begun, name, release

    def step(self) -> float:
        self._begun.append(self._name)
        self._release.wait(600)
        return 0.0

    def close(self) -> None:
        """It has nothing to let go of."""


class Kennel:
    """Two stages, of which one hangs, and a watchdog that looks every second."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.release = threading.Event()
        self.let_go: list[str] = []
        self.begun: list[str] = []
        self.hanging = self._stage("camera", LIMIT)
        self.patient = self._stage("disk", 1e9)
        stages = [self.hanging, self.patient]
        self.watchdog = Watchdog(stages, clock=self.clock, before=lambda stage: self.let_go.append(stage.name))
        for stage in stages:
            stage.start()

    def _stage(self, name: str, limit: float) -> Stage:
        return Stage(name, lambda _: Hanging(self.begun, name, self.release), clock=self.clock, limit_seconds=limit)

    def watch(self, seconds: float) -> list[str]:
        """Let time pass, with a look every second; returns what was replaced."""
        found = []
        for _ in range(round(seconds)):
            self.hang()
            self.clock.advance(1)
            found += self.watchdog.look()
        return found

    def hang(self) -> None:
        """Return once both threads are in their step: a thread may begin late, and has its limit from then."""
        eventually(lambda: len(self.begun) == 2 + self.hanging.restarts + self.patient.restarts)

    def close(self) -> None:
        for stage in (self.hanging, self.patient):
            stage.stop()
        self.release.set()


@pytest.fixture
def kennel() -> Iterator[Kennel]:
    kennel = Kennel()
    yield kennel
    kennel.close()


def test_a_stage_is_replaced_once_it_is_late(kennel: Kennel) -> None:
    assert kennel.watch(LIMIT) == []
    assert kennel.watch(1) == ["camera"]
    assert kennel.hanging.restarts == 1
    assert kennel.patient.restarts == 0
    assert kennel.let_go == ["camera"]


def test_the_one_in_its_place_has_the_full_limit_again(kennel: Kennel) -> None:
    kennel.watch(LIMIT + 1)
    assert kennel.watch(LIMIT) == []
    assert kennel.watchdog.hopeless == ""


def test_a_stage_that_hangs_three_times_within_an_hour_is_hopeless(kennel: Kennel) -> None:
    assert kennel.watch(MOST_PER_HOUR * (LIMIT + 1)) == ["camera"] * MOST_PER_HOUR
    assert kennel.watchdog.hopeless == "camera was stuck 3 times within an hour"


def test_one_that_hangs_now_and_then_is_not(kennel: Kennel) -> None:
    for _ in range(2 * MOST_PER_HOUR):
        kennel.watch(LIMIT + 1)
        kennel.hanging.limit_seconds = HOUR_SECONDS / 2
        kennel.hanging.forgive()
        kennel.watch(HOUR_SECONDS / 2)
        kennel.hanging.limit_seconds = LIMIT
        kennel.hanging.forgive()
    assert kennel.hanging.restarts >= 2 * MOST_PER_HOUR
    assert kennel.watchdog.hopeless == ""


def test_a_device_that_slept_blames_nobody(kennel: Kennel) -> None:
    kennel.hang()
    kennel.clock.advance(HOUR_SECONDS)
    assert kennel.watchdog.look() == []
    assert kennel.watch(LIMIT) == []
    assert kennel.watch(1) == ["camera"]


def test_a_look_that_is_a_little_late_forgives_nothing(kennel: Kennel) -> None:
    kennel.watch(LIMIT - 5)
    kennel.clock.advance(STANDSTILL_SECONDS - 1)
    assert kennel.watchdog.look() == ["camera"]
