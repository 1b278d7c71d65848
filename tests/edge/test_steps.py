"""The steps of the stages, called one by one."""

import stat
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from classifier.clock import ManualClock
from classifier.configuration import Configuration
from classifier.frames import Frame, Unreadable
from classifier.pipeline import steps
from classifier.pipeline.fatal import InHand
from classifier.pipeline.health import Health, Missed
from classifier.pipeline.memory import recalled, remember
from classifier.pipeline.queues import Queue
from classifier.pipeline.results import Results
from classifier.pipeline.steps import LIVE_FRAMES, SourceStep, SpoolStep, Store, WorkerStep
from classifier.pipeline.worker import FAILURES_IN_A_ROW, Broken, Taken, Work, Worker
from classifier.spool import Entry, Message

from tests.edge.device import THING, Camera, Oracle

ALERT = Message("alert", {"species": "crab", "probability": 0.9, "frames": 1, "visit_seconds": 0.0, "model": "m1"})


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "WAIT_SECONDS", 0.001)


def taken(camera: Camera, name: str) -> Taken:
    return Taken(camera, Frame(name, 0.0, content=name.encode()))


class Source:
    """A source's step over a camera."""

    def __init__(self, camera: Camera, **more: Any) -> None:
        self.camera, self.missed = camera, Missed()
        self.frames: Queue[Taken] = Queue(9 if camera.live else 2)
        self.end = threading.Event()
        self.step = SourceStep(camera, self.frames, missed=self.missed, end=self.end, **more)

    def names(self) -> list[str]:
        return [each.frame.name for each in self.frames.waiting(wait_seconds=0)]


def test_a_file_waits_until_there_is_room() -> None:
    source = Source(Camera())
    source.camera.see("1", "2", "3")
    for _ in range(5):
        source.step.step()
    assert source.names() == ["1", "2"]
    assert source.frames.take(wait_seconds=0) is not None
    source.step.step()
    assert source.names() == ["2", "3"]
    assert source.missed.dropped == 0


def test_a_live_frame_takes_the_place_of_the_oldest() -> None:
    source = Source(Camera(live=True))
    source.camera.see(*(str(number) for number in range(LIVE_FRAMES + 3)))
    for _ in range(LIVE_FRAMES + 3):
        source.step.step()
    assert source.names() == [str(number) for number in range(3, LIVE_FRAMES + 3)]
    assert source.missed.dropped == 3


def test_what_a_source_cannot_read_is_counted() -> None:
    source = Source(Camera())
    source.camera.frames.append(Unreadable("half a frame"))
    source.step.step()
    assert (source.names(), source.missed.unreadable) == ([], 1)


def test_a_source_that_was_given_up_hands_nothing_on() -> None:
    source = Source(Camera())
    source.camera.see("1")
    source.end.set()
    source.step.step()
    assert source.names() == []


def test_a_source_begins_when_the_frames_of_the_one_before_are_dealt_with() -> None:
    ready: list[int] = []
    source = Source(Camera(), begin=lambda: bool(ready))
    source.camera.see("1")
    assert source.step.step() > 0
    assert source.camera.handed == []
    ready.append(1)
    source.step.step()
    assert source.names() == ["1"]


def test_a_recording_that_has_ended_is_not_asked_all_the_time() -> None:
    source = Source(Camera())
    source.camera.exhausted = True
    assert source.step.step() > 0
    source.step.close()
    assert source.camera.closed


class Works:
    """A worker's step with queues of two."""

    def __init__(self, folder: Path) -> None:
        self.frames, self.works = Queue[Taken](2), Queue[Work](2)
        clock = ManualClock()
        self.worker = Worker(
            Configuration(watch_list=("crab",), alert_frames=1),
            thing=THING,
            clock=clock,
            health=Health(clock=clock, work=folder),
            seed=1,
        )
        self.model: Any = Oracle()
        self.end = threading.Event()
        self.step = WorkerStep(
            self.worker, frames=self.frames, works=self.works, serving=lambda: self.model, end=self.end
        )

    def see(self, name: str, *, live: bool = False) -> None:
        self.frames.push(taken(Camera(live=live), name))
        self.step.step()


@pytest.fixture
def works(tmp_path: Path) -> Works:
    return Works(tmp_path)


def test_a_frame_waits_for_the_first_model(works: Works) -> None:
    model, works.model = works.model, None
    works.see("crab-1.jpg")
    assert len(works.frames) == 1
    works.model = model
    works.step.step()
    assert model.asked == ["crab-1.jpg"]


def test_a_live_frame_that_leads_to_nothing_is_nobodys_business(works: Works) -> None:
    works.see("fish-1.jpg", live=True)
    assert not works.works
    works.see("fish-2.jpg", live=False)
    assert len(works.works) == 1, "a file has to leave its folder"
    works.see("crab-3.jpg", live=True)
    assert len(works.works) == 2


def test_a_worker_waits_for_the_disk(works: Works) -> None:
    for number in range(3):
        works.see(f"crab-{number}.jpg")
    assert not works.step.idle
    works.frames.push(taken(Camera(), "crab-4.jpg"))
    works.step.step()
    assert works.model.asked == ["crab-0.jpg", "crab-1.jpg", "crab-2.jpg"]
    works.works.take(wait_seconds=0)
    works.step.step()
    assert works.model.asked[-1] == "crab-4.jpg"
    works.works.drop(works.works.waiting(wait_seconds=0))
    works.step.close()
    assert works.step.idle
    assert len(works.works) == 1


def test_a_model_that_takes_over_while_a_frame_is_waited_for_gets_that_frame(works: Works) -> None:
    old, new = works.model, Oracle("m2")

    class Slow(Queue[Taken]):
        def take(self, *, wait_seconds: float) -> Taken | None:
            works.model = new
            return taken(Camera(), "crab-1.jpg")

    works.step._frames = Slow(1)
    works.step.step()
    assert (old.asked, new.asked) == ([], ["crab-1.jpg"])


def test_the_frame_at_which_a_model_breaks_is_set_aside_like_those_before(works: Works) -> None:
    works.works = works.step._works = Queue(9)
    works.see("faulty-1.jpg")
    works.see("faulty-2.jpg")
    with pytest.raises(Broken):
        works.see("faulty-3.jpg")
    faults = {work.taken.frame.name for work in works.works.waiting(wait_seconds=0) if work.taken and work.fault}
    assert faults == {"faulty-1.jpg", "faulty-2.jpg", "faulty-3.jpg"}


class Disk:
    """A spool's step over a real spool."""

    def __init__(self, folder: Path) -> None:
        clock = ManualClock()
        self.store = Store.opened(folder / "spool", Configuration(), clock)
        self.works, self.missed, self.camera, self.woken = Queue[Work](9), Missed(), Camera(), 0
        self.state = folder / "policy.json"
        self.step = SpoolStep(
            self.store,
            self.works,
            results=Results(folder / "results", clock=clock, limit_mib=0),
            missed=self.missed,
            state=self.state,
            spooled=self._spooled,
            current=lambda: self.store,
        )

    def _spooled(self, entries: Sequence[Entry]) -> None:
        assert entries
        self.woken += 1


@pytest.fixture
def disk(tmp_path: Path) -> Any:
    disk = Disk(tmp_path)
    yield disk
    disk.store.spool.close()


def test_all_that_waits_is_one_transaction(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[int] = []
    add = disk.store.spool.add
    monkeypatch.setattr(disk.store.spool, "add", lambda items: added.append(len(items)) or add(items))
    for number in range(5):
        disk.works.push(Work(taken(disk.camera, f"{number}"), entries=(ALERT,)))
    disk.step.step()
    assert added == [5]
    assert disk.camera.finished == ["0", "1", "2", "3", "4"]
    assert disk.woken == 1


def test_a_frame_does_not_leave_its_source_before_what_it_leads_to_is_spooled(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.works.push(Work(taken(disk.camera, "1"), entries=(ALERT,)))
    with monkeypatch.context() as patch:
        patch.setattr(disk.store.spool, "add", lambda items: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            disk.step.step()
    assert (disk.camera.finished, len(disk.works)) == ([], 1)
    disk.step.step()
    assert disk.camera.finished == ["1"]


def test_nothing_is_spooled_twice_because_a_source_fails(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.works.push(Work(taken(disk.camera, "1"), entries=(ALERT,)))
    with monkeypatch.context() as patch:
        patch.setattr(disk.camera, "finish", lambda frame: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            disk.step.step()
    disk.step.step()
    assert disk.store.spool.depth().records == 1


def test_a_source_that_keeps_a_frame_is_not_counted_against(disk: Disk) -> None:
    disk.camera.still_written.add("1")
    disk.works.push(Work(taken(disk.camera, "1"), fault="half"))
    disk.works.push(Work(taken(disk.camera, "2"), fault="half"))
    disk.step.step()
    assert disk.missed.unreadable == 1


def test_the_last_state_of_the_policy_is_remembered(disk: Disk) -> None:
    disk.works.push(Work(state={"review": 1}))
    disk.works.push(Work(state={"review": 2}))
    disk.works.push(Work(taken(disk.camera, "1")))
    disk.step.step()
    assert recalled(disk.state) == {"review": 2}
    assert disk.woken == 0


def test_bounds_change_between_two_transactions(disk: Disk) -> None:
    disk.step.configure(Configuration(bytes_per_hour=20_000, bytes_per_day=50_000, spool_mib=1))
    disk.step.step()
    assert disk.store.budget.most("alert") == 20_000


def test_what_is_remembered_is_nobody_elses(tmp_path: Path) -> None:
    remember(tmp_path / "a.json", {"source": "stream:rtsp://user:secret@10.0.0.7"})
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_cannot_be_recalled_is_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    assert recalled(tmp_path / "a.json") is None
    assert recalled(tmp_path / "no.json") is None


def test_a_disk_that_does_not_take_what_should_be_remembered_is_no_error(tmp_path: Path) -> None:
    remember(tmp_path / "no folder" / "a.json", {})


def test_a_file_at_which_the_process_died_twice_is_set_aside_unseen(tmp_path: Path) -> None:
    for _ in range(2):
        InHand(tmp_path / "in-hand").take("crab-1.jpg")
    clock, model, camera = ManualClock(), Oracle(), Camera()
    frames, works = Queue[Taken](4), Queue[Work](4)
    step = WorkerStep(
        Worker(Configuration(), thing=THING, clock=clock, health=Health(clock=clock, work=tmp_path), seed=1),
        frames=frames,
        works=works,
        serving=lambda: model,  # type: ignore[arg-type, return-value]
        end=threading.Event(),
        fatal=InHand(tmp_path / "in-hand"),
    )
    for name in ("crab-1.jpg", "crab-2.jpg"):
        frames.push(Taken(camera, Frame(name, 0.0, content=b"x", path=tmp_path / name)))
        step.step()
    assert model.asked == ["crab-2.jpg"]
    found = [(work.taken.frame.name, work.fault) for work in works.waiting(wait_seconds=0) if work.taken]
    assert found == [("crab-1.jpg", "the process ended at it again and again"), ("crab-2.jpg", "")]
    assert InHand(tmp_path / "in-hand").take("crab-2.jpg")


def test_a_frame_at_which_the_model_broke_takes_no_alerts_place(tmp_path: Path) -> None:
    clock, frames, works = ManualClock(), Queue[Taken](4), Queue[Work](1)
    worker = Worker(Configuration(), thing=THING, clock=clock, health=Health(clock=clock, work=tmp_path), seed=1)
    end, model = threading.Event(), Oracle()
    step = WorkerStep(worker, frames=frames, works=works, serving=lambda: model, end=end)  # type: ignore[arg-type, return-value]
    for number in range(FAILURES_IN_A_ROW - 1):
        frames.push(taken(Camera(), f"faulty-{number}"))
        step.step()
        works.drop(works.waiting(wait_seconds=0))
    alert = Work(entries=(ALERT,))
    model.classify = lambda _: works.push(alert) or 1 / 0  # type: ignore[assignment, func-returns-value, method-assign]
    frames.push(taken(Camera(), "faulty-9"))
    with pytest.raises(Broken):
        step.step()
    assert works.waiting(wait_seconds=0) == (alert,)
