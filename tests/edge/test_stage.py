"""A stage repeats its step in a thread, whatever the step does."""

import threading
from collections.abc import Callable, Iterator

import pytest
from classifier.clock import ManualClock
from classifier.pipeline import stage as module
from classifier.pipeline.stage import Stage

from tests.edge.device import eventually, said

LIMIT = 30.0


class Scripted:
    """A step that does what it is told; every object that was built is kept in `built`."""

    def __init__(self, act: Callable[["Scripted"], float]) -> None:
        self.act, self.steps, self.closed = act, 0, False

    def step(self) -> float:
        self.steps += 1
        return self.act(self)

    def close(self) -> None:
        self.closed = True


class Bench:
    """A stage over scripted steps, and what became of it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.built: list[Scripted] = []
        self.act: Callable[[Scripted], float] = lambda _: 60.0
        self.stage = Stage("camera", self._build, clock=self.clock, limit_seconds=LIMIT)

    def _build(self, end: threading.Event) -> Scripted:
        self.built.append(Scripted(self.act))
        return self.built[-1]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(module, "LAST_PAUSE_SECONDS", 0.004)
    bench = Bench()
    yield bench
    bench.stage.stop()


def test_a_step_is_repeated_until_the_stage_is_stopped_and_then_closed(bench: Bench) -> None:
    bench.act = lambda _: 0.0
    bench.stage.start()
    eventually(lambda: bool(bench.built) and bench.built[0].steps > 10)
    bench.stage.stop()
    assert bench.stage.join(5)
    assert bench.built[0].closed
    assert len(bench.built) == 1


def test_a_step_that_rests_is_called_again_when_woken(bench: Bench) -> None:
    bench.stage.start()
    eventually(lambda: bool(bench.built) and bench.built[0].steps == 1)
    bench.stage.wake()
    eventually(lambda: bench.built[0].steps == 2)


def test_a_step_that_raises_is_built_anew_and_said_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Scripted) -> float:
        raise OSError("no such device")

    bench.act = fail
    bench.stage.start()
    eventually(lambda: len(bench.built) >= 5)
    bench.stage.stop()
    assert bench.stage.join(5)
    assert all(built.steps == 1 and built.closed for built in bench.built)
    assert said(caplog, module) == ["camera failed and starts anew: OSError: no such device"]
    assert bench.stage.trouble == "OSError: no such device"
    assert bench.stage.restarts >= 4


def test_an_object_that_cannot_even_be_built_is_tried_again(bench: Bench) -> None:
    tries: list[int] = []

    def build(_: threading.Event) -> Scripted:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("not yet")
        return Scripted(lambda _: 60.0)

    stage = Stage("disk", build, clock=bench.clock, limit_seconds=LIMIT)
    stage.start()
    eventually(lambda: len(tries) == 3)
    stage.stop()
    assert stage.join(5)


def test_trouble_is_over_only_after_the_stage_has_worked_for_longer_than_its_pause(bench: Bench) -> None:
    def fail_once(step: Scripted) -> float:
        if step is bench.built[0]:
            raise OSError("gone")
        return 60.0

    bench.act = fail_once
    bench.stage.start()
    eventually(lambda: len(bench.built) == 2 and bench.built[1].steps == 1)
    assert bench.stage.trouble == "OSError: gone"
    bench.clock.advance(61)
    bench.stage.wake()
    eventually(lambda: bench.stage.trouble == "")


def test_pauses_between_failures_double_up_to_their_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    class Ending(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            pauses.append(timeout)
            if len(pauses) == 8:
                self.set()
            return False

    def build(end: threading.Event) -> Scripted:
        raise OSError("no such device")

    stage = Stage("camera", build, clock=ManualClock(), limit_seconds=LIMIT)
    life = module._Life(stage, build, ManualClock())
    life.end = Ending()
    life.run()
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_step_that_does_not_come_back_is_stuck_after_its_limit(bench: Bench) -> None:
    hang = threading.Event()
    bench.act = lambda _: float(hang.wait(30))
    bench.stage.start()
    eventually(lambda: bool(bench.built) and bench.built[0].steps == 1)
    bench.clock.advance(LIMIT - 1)
    assert not bench.stage.stuck
    bench.clock.advance(2)
    assert bench.stage.stuck
    hang.set()


def test_a_step_that_rests_is_not_stuck(bench: Bench) -> None:
    bench.act = lambda _: 1000.0
    bench.stage.start()
    eventually(lambda: bench.stage._life is not None and bench.stage._life.expected_by == 1000 + LIMIT)
    bench.clock.advance(1000)
    assert not bench.stage.stuck
    bench.clock.advance(LIMIT + 1)
    assert bench.stage.stuck


def test_a_replaced_stage_works_with_new_objects_while_the_old_thread_still_hangs(bench: Bench) -> None:
    hang = threading.Event()
    bench.act = lambda step: float(hang.wait(30)) if step is bench.built[0] else 60.0
    bench.stage.start()
    eventually(lambda: bool(bench.built) and bench.built[0].steps == 1)
    bench.stage.replace()
    eventually(lambda: len(bench.built) == 2 and bench.built[1].steps == 1)
    assert not bench.built[0].closed
    hang.set()
    eventually(lambda: bench.built[0].closed)
    assert bench.built[0].steps == 1
    assert bench.stage.restarts == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_is_gone_counts_as_stuck(bench: Bench) -> None:
    def leave(_: Scripted) -> float:
        raise SystemExit

    bench.act = leave
    bench.stage.start()
    eventually(lambda: bench.stage.ended)
    assert bench.stage.stuck


def test_a_stage_that_was_never_started_is_not_stuck(bench: Bench) -> None:
    assert not bench.stage.stuck
    assert bench.stage.trouble == ""
    assert bench.stage.join(0)
