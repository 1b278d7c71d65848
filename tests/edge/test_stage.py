"""A stage repeats its step in a thread, whatever the step does; queues between stages are bounded."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from classifier import stage as module
from classifier.clock import ManualClock
from classifier.stage import Latest, Queue, Stage

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


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.001)


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
    eventually(lambda: len(bench.built) == 5)
    bench.stage.stop()
    assert bench.stage.join(5)
    assert all(built.steps == 1 and built.closed for built in bench.built)
    assert [record.message for record in caplog.records] == ["camera failed and starts anew: OSError: no such device"]
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
    eventually(lambda: bool(bench.built) and bench.built[0].steps == 1)
    time.sleep(0.01)
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


def test_a_full_queue_gives_up_its_oldest_item() -> None:
    queue: Queue[int] = Queue(2)
    assert [queue.push(number) for number in (1, 2, 3, 4)] == [None, None, 1, 2]
    assert [queue.take(wait_seconds=0) for _ in range(3)] == [3, 4, None]


def test_a_full_queue_makes_the_one_who_offers_wait() -> None:
    queue: Queue[int] = Queue(1)
    assert queue.offer(1, wait_seconds=0)
    assert not queue.offer(2, wait_seconds=0.001)
    offered: list[bool] = []
    thread = threading.Thread(target=lambda: offered.append(queue.offer(2, wait_seconds=5)))
    thread.start()
    assert queue.take(wait_seconds=0) == 1
    thread.join(5)
    assert offered == [True]
    assert queue.take(wait_seconds=0) == 2


def test_a_reader_gets_an_item_as_soon_as_it_comes() -> None:
    queue: Queue[int] = Queue(1)
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(queue.take(wait_seconds=5)))
    thread.start()
    queue.push(7)
    thread.join(5)
    assert got == [7]


def test_a_writer_that_had_to_wait_goes_on_once_half_of_the_queue_is_free() -> None:
    queue: Queue[int] = Queue(4)
    for number in range(4):
        assert queue.offer(number, wait_seconds=0)
    queue.take(wait_seconds=0)
    assert queue.offer(4, wait_seconds=0), "there is room, and nobody had to wait for it"
    offered: list[bool] = []
    thread = threading.Thread(target=lambda: offered.append(queue.offer(5, wait_seconds=5)))
    thread.start()
    queue.take(wait_seconds=0)
    time.sleep(0.01)
    assert offered == []
    queue.take(wait_seconds=0)
    thread.join(5)
    assert offered == [True]


def test_a_reader_of_all_waits_until_something_is_urgent_or_much_has_come() -> None:
    queue: Queue[str] = Queue(4)
    assert queue.offer("a", wait_seconds=0, urgent=False)
    got: list[tuple[str, ...]] = []

    def read() -> None:
        got.append(queue.waiting(wait_seconds=5))
        queue.drop(got[-1])

    for more, expected in ((("b", False), ("a", "b")), (("c", True), ("c",))):
        thread = threading.Thread(target=read)
        thread.start()
        time.sleep(0.01)
        assert expected not in got
        assert queue.offer(more[0], wait_seconds=0, urgent=more[1])
        thread.join(5)
        assert got[-1] == expected
    queue.offer("d", wait_seconds=0, urgent=False)
    assert queue.waiting(wait_seconds=0.001) == ("d",), "nor does anything wait for ever"
    thread = threading.Thread(target=read)
    thread.start()
    assert queue.emptied(wait_seconds=5)
    thread.join(5)


def test_a_queue_can_be_told_to_hold_less() -> None:
    queue: Queue[int] = Queue(9)
    assert [queue.push(number, limit=2) for number in range(4)] == [None, None, 0, 1]


def test_what_was_looked_at_stays_until_it_is_dropped() -> None:
    queue: Queue[str] = Queue(4)
    for word in ("a", "b", "c"):
        queue.push(word)
    seen = queue.waiting(wait_seconds=0)
    assert seen == ("a", "b", "c")
    assert queue.waiting(wait_seconds=0) == seen
    queue.push("d")
    queue.drop(seen)
    assert queue.waiting(wait_seconds=0) == ("d",)


def test_a_reader_that_was_replaced_drops_nothing_of_its_successor() -> None:
    queue: Queue[str] = Queue(4)
    queue.push("a")
    old = queue.waiting(wait_seconds=0)
    queue.drop(queue.waiting(wait_seconds=0))
    queue.push("b")
    queue.drop(old)
    assert queue.waiting(wait_seconds=0) == ("b",)
    assert len(queue) == 1


def test_of_several_items_only_the_latest_is_taken_and_that_once() -> None:
    latest: Latest[str] = Latest()
    assert latest.take() is None
    latest.put("a")
    latest.put("b")
    assert (latest.take(), latest.take()) == ("b", None)
