"""The whole component with its threads: whatever hangs, fails or changes, the rest goes on."""

import json
import sqlite3
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from classifier.configuration import Configuration
from classifier.frames import Unreadable
from classifier.models import proof
from classifier.pipeline import supervisor as module
from classifier.pipeline.steps import LIVE_FRAMES, Store
from classifier.pipeline.supervisor import LIMITS, LOST_SECONDS, MEMORY_SECONDS
from classifier.pipeline.watchdog import MOST_PER_HOUR, STANDSTILL_SECONDS
from classifier.spool import Spool

from tests.edge.device import Camera, Device, Oracle, eventually

YEAR_SECONDS = 365 * 86_400


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the process of the tests holds, after hours of others, is nothing that the component does."""
    monkeypatch.setattr(module, "memory_mib", lambda: 100.0)


def serving(device: Device) -> bool:
    return device.supervisor is not None and device.supervisor.parts.models.serving is not None


def wait_until_stuck(device: Device, name: str) -> None:
    """Let the time pass after which a stage counts as stuck; the others have been heard of since.

    A stage's new thread may begin seconds of the device's clock after `start`, and has its full limit from then.
    """
    assert device.supervisor is not None
    stages = device.supervisor.stages
    life = stages[name]._life

    def given_up() -> bool:
        device.clock.advance(STANDSTILL_SECONDS - 1)
        for other in stages.values():
            if other is not stages[name]:
                other.forgive()
        device.supervisor.look()
        return stages[name]._life is not life

    eventually(given_up)


def test_frames_of_a_folder_leave_it_once_what_they_lead_to_is_spooled(device: Device) -> None:
    device.configure(watch_list=["crab"], alert_frames=1, bucket="data")
    device.camera.see("crab-1.jpg", "unsure-squid-2.jpg", "fish-3.jpg")
    device.start()
    eventually(lambda: len(device.camera.finished) == 3)
    device.end()
    assert [alert["species"] for alert in device.spooled("alert")] == ["crab"]
    assert device.spooled("summary")[0]["frames"] == 3
    reasons = [upload.metadata["reason"] for upload in device.uploads()]
    assert sorted(reasons) == ["audit", "uncertain"]


def test_what_is_no_frame_is_set_aside_counted_and_told(device: Device) -> None:
    device.camera.see("broken-1.jpg", "crab-2.jpg")
    device.camera.frames.append(Unreadable("the camera sent half a frame"))
    device.camera.see("faulty-3.jpg", "crab-4.jpg")
    device.start()
    eventually(lambda: len(device.camera.finished) == 2 and len(device.camera.aside) == 2)
    eventually(lambda: device.supervisor is not None and device.supervisor.parts.health.missed.unreadable == 3)
    device.end()
    assert device.camera.aside == {
        "broken-1.jpg": "this is no image",
        "faulty-3.jpg": "the model failed on it: RuntimeError: the runtime is upset",
    }
    (summary,) = device.spooled("summary")
    assert (summary["frames"], summary["unreadable"]) == (2, 3)


def test_a_file_that_is_still_being_written_does_not_count(device: Device) -> None:
    device.camera.see("broken-1.jpg", "crab-2.jpg")
    device.camera.still_written.add("broken-1.jpg")
    device.start()
    eventually(lambda: device.camera.finished == ["crab-2.jpg"])
    device.end()
    assert device.spooled("summary")[0]["unreadable"] == 0


def test_without_a_model_files_wait_and_live_frames_are_dropped_and_counted(device: Device) -> None:
    model, device.shelf.model = device.shelf.model, None
    device.camera.see(*(f"crab-{number}.jpg" for number in range(20)))
    started = device.start()
    eventually(lambda: len(started.parts.frames) == started.parts.frames.limit)
    assert started.parts.health.missed.dropped == 0
    device.shelf.model = model
    started.wake("models")
    eventually(lambda: len(device.camera.finished) == 20)


def test_a_live_source_that_nobody_keeps_up_with_loses_its_oldest_frames(device: Device) -> None:
    model, device.shelf.model = device.shelf.model, None
    device.camera = Camera(live=True)
    device.camera.see(*(f"crab-{number}.jpg" for number in range(20)))
    started = device.start()
    eventually(lambda: len(device.camera.handed) == 20)
    eventually(lambda: started.parts.health.missed.dropped == 20 - LIVE_FRAMES)
    device.shelf.model = model
    started.wake("models")
    assert model is not None
    eventually(lambda: model.asked == ["crab-16.jpg", "crab-17.jpg", "crab-18.jpg", "crab-19.jpg"])
    device.end()
    assert device.spooled("summary")[0]["dropped"] == 16


def test_a_runtime_that_hangs_is_left_behind_and_the_model_loaded_anew(device: Device) -> None:
    first = device.model
    device.camera.see("crab-1.jpg", "stuck-2.jpg", "crab-3.jpg")
    started = device.start()
    eventually(lambda: "stuck-2.jpg" in first.asked)
    wait_until_stuck(device, "worker")
    eventually(lambda: "crab-3.jpg" in device.camera.finished)
    assert device.shelf.reloads == 1
    assert device.model is not first
    assert device.camera.aside == {"stuck-2.jpg": "the model did not come back from it"}
    eventually(lambda: any(health["restarts"] == {"worker": 1} for health in device.spooled("health")))
    first.release.set()
    device.end()
    assert device.spooled("summary")[0]["frames"] == 2, "what the old thread comes back with is not wanted"
    assert started.stages["worker"].restarts == 1


def test_a_model_that_fails_on_every_frame_is_loaded_anew(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classifier.pipeline.stage.FIRST_PAUSE_SECONDS", 0.001)
    device.camera.see("faulty-1.jpg", "faulty-2.jpg", "faulty-3.jpg", "crab-4.jpg")
    device.start()
    eventually(lambda: device.camera.finished == ["crab-4.jpg"])
    assert device.shelf.reloads == 1
    assert list(device.camera.aside) == ["faulty-1.jpg", "faulty-2.jpg", "faulty-3.jpg"]


def test_a_camera_that_hangs_is_opened_anew(device: Device) -> None:
    stuck = device.camera
    stuck.hang = threading.Event()
    started = device.start()
    eventually(lambda: len(device.opened) == 1)
    device.camera = Camera()
    device.camera.see("crab-1.jpg")
    wait_until_stuck(device, "source")
    eventually(lambda: device.camera.finished == ["crab-1.jpg"])
    stuck.see("squid-1.jpg")
    stuck.hang.set()
    eventually(lambda: stuck.closed)
    assert stuck.finished == []
    assert started.stages["source"].restarts == 1


def test_a_camera_that_raises_is_opened_anew_after_a_pause(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classifier.pipeline.stage.FIRST_PAUSE_SECONDS", 0.001)
    device.camera.frames.append(ValueError("a bug of a driver"))
    device.camera.see("crab-1.jpg")
    device.start()
    eventually(lambda: device.camera.finished == ["crab-1.jpg"])
    assert len(device.opened) == 2
    device.until(lambda: any(health["restarts"] == {"source": 1} for health in device.spooled("health")))


def closed(spool: Spool) -> bool:
    try:
        spool.depth()
    except sqlite3.ProgrammingError:
        return True
    return False


def test_why_a_source_does_not_open_is_told_without_its_password(
    device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> Camera:
        raise ValueError("rtsp://reef:secret@10.0.0.7/live is none")

    device.start(source=refuse)
    device.until(lambda: any("trouble" in health for health in device.spooled("health")))
    told = next(health["trouble"] for health in device.spooled("health") if "trouble" in health)
    assert told == {"source": "ValueError: rtsp://***@10.0.0.7/live is none"}
    assert "secret" not in caplog.text


def test_a_spool_that_hangs_is_opened_anew_and_nothing_in_the_queue_is_lost(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.configure(watch_list=["crab"], alert_frames=1)
    started = device.start()
    eventually(lambda: started.parts.store is not None and serving(device) and not started.parts.works)
    assert started.parts.store is not None
    release, hung = threading.Event(), threading.Event()
    monkeypatch.setattr(started.parts.store.spool, "add", lambda items: hung.set() or release.wait(600))
    device.camera.see("crab-1.jpg")
    eventually(hung.is_set)
    assert device.camera.finished == []
    old = started.parts.store
    wait_until_stuck(device, "spool")
    eventually(lambda: device.camera.finished == ["crab-1.jpg"])
    assert started.parts.store is not old
    # The thread that hangs has the file, so what is new is kept in memory.
    assert [alert["species"] for alert in device.spooled("alert")] == ["crab"]
    assert started.parts.store is not None
    assert started.parts.store.spool.place == "memory"
    release.set()
    eventually(lambda: closed(old.spool))
    device.clock.advance(61)
    started.parts.store.spool.add([])
    assert started.parts.store.spool.place == "disk"


@pytest.mark.parametrize("name", ["sender", "uploader"])
def test_an_uplink_that_hangs_is_replaced(device: Device, name: str) -> None:
    release = threading.Event()
    built: list[list[str]] = []

    def build(*store: Any) -> Any:
        """The first hangs at its first step."""
        steps: list[str] = []
        built.append(steps)
        hangs = len(built) == 1
        return SimpleNamespace(step=lambda: steps.append("") or float((hangs and release.wait(600)) or 60), close=int)

    device.configure(bucket="data")
    started = device.start(**{name: build})
    eventually(lambda: len(built) == 1 and len(built[0]) == 1)
    wait_until_stuck(device, name)
    eventually(lambda: len(built) == 2 and bool(built[1]))  # a step or more: it is woken when a record comes
    assert started.stages[name].restarts == 1
    release.set()


def test_a_stage_that_hangs_again_and_again_ends_the_process(device: Device) -> None:
    device.camera.hang = threading.Event()
    started = device.start()
    for _ in range(MOST_PER_HOUR):
        assert started.beyond_help() == ""
        wait_until_stuck(device, "source")
    assert started.beyond_help() == "source was stuck 3 times within an hour"


def test_more_memory_than_allowed_ends_the_process_once_it_is_held_for_a_while(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = device.start()
    assert started.beyond_help() == ""
    for memory in (1024.6, 500.0, 1024.6):
        monkeypatch.setattr(module, "memory_mib", lambda memory=memory: memory)
        device.clock.advance(MEMORY_SECONDS - 1)
        assert started.beyond_help() == "", "a large picture is decoded"
    device.clock.advance(MEMORY_SECONDS)
    assert started.beyond_help() == "1025 MiB of memory are held; 1024 are allowed"


def test_a_process_that_has_just_been_started_twice_goes_on_without_its_nucleus(device: Device) -> None:
    device.start()
    device.end()
    device.camera = Camera()
    again = device.start()
    device.nucleus.lost.set()
    again.beyond_help()
    device.clock.advance(LOST_SECONDS + 1)
    assert again.beyond_help() == "", "the third start of an hour is kept for a crash"
    device.camera.see("crab-1.jpg")
    eventually(lambda: device.camera.finished == ["crab-1.jpg"])
    device.clock.advance(3600)
    assert again.beyond_help() == "the nucleus is lost"


def test_a_nucleus_that_comes_back_in_time_is_no_reason_to_end(device: Device) -> None:
    started = device.start()
    device.nucleus.lost.set()
    assert started.beyond_help() == ""
    device.clock.advance(LOST_SECONDS - 1)
    assert started.beyond_help() == ""
    device.nucleus.lost.clear()
    device.clock.advance(LOST_SECONDS)
    assert started.beyond_help() == ""


def test_run_ends_with_code_1_when_only_a_new_process_helps(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    started = device.start()
    eventually(lambda: serving(device))
    device.end()
    monkeypatch.setattr(module, "LAST_WORDS_SECONDS", 0.1)  # nobody is there to hear them
    monkeypatch.setattr(module, "memory_mib", lambda: 2000.0)
    monkeypatch.setattr(started, "start", lambda: device.clock.advance(MEMORY_SECONDS))
    assert started.run() == 1
    assert not device.shelf.clean, "it may be the model that takes it"


def test_an_end_for_want_of_a_nucleus_says_nothing_against_a_model_on_probation(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = device.start()
    eventually(lambda: serving(device))
    device.end()
    monkeypatch.setattr(module, "LAST_WORDS_SECONDS", 0.1)
    device.nucleus.lost.set()
    started.beyond_help()
    monkeypatch.setattr(started, "start", lambda: device.clock.advance(LOST_SECONDS + 1))
    assert started.run() == 1
    assert device.shelf.clean


@pytest.mark.parametrize(
    ("name", "budget_ms", "suspect"),
    [("source", 1000, False), ("worker", 1000, True), ("worker", 600_000, True), ("models", 1000, True)],
)
def test_a_stage_that_hangs_again_and_again_is_the_models_matter_only_where_the_model_runs(
    device: Device, name: str, budget_ms: float, suspect: bool
) -> None:
    release, begun = threading.Event(), list[str]()
    device.configure(latency_budget_ms=budget_ms)
    started = device.start()
    eventually(lambda: serving(device))
    hangs = SimpleNamespace(step=lambda: begun.append("") or float(release.wait(600)), close=int)
    started.stages[name]._build = lambda _: hangs
    started.stages[name].renew()
    for time in range(MOST_PER_HOUR):
        eventually(lambda time=time: len(begun) > time)  # type: ignore[misc]
        wait_until_stuck(device, name)
    assert started.beyond_help() == f"{name} was stuck 3 times within an hour"
    assert started.model_is_suspect is suspect
    release.set()


def test_run_ends_with_code_0_when_told_to_stop(device: Device) -> None:
    device.camera.see("crab-1.jpg")
    started = device.start()
    eventually(lambda: device.camera.finished == ["crab-1.jpg"])
    started.start = lambda: None  # type: ignore[method-assign]
    threading.Timer(0.02, started.stop).start()
    assert started.run() == 0
    device.ended()
    assert device.shelf.clean
    assert device.spooled("summary")[0]["frames"] == 1


@pytest.mark.parametrize("step", range(12))
def test_a_signal_ends_the_process_in_whatever_moment_it_comes(
    device: Device, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """A signal's handler runs in the main thread, between any two of its steps, while that may hold a lock."""
    started, steps, codes = device.start(), iter(range(1000)), list[int]()
    device.end()
    for name in ("start", "look", "last_words"):
        monkeypatch.setattr(started, name, lambda: None)

    def strike(_frame: Any, event: str, _function: Any) -> None:
        if event in ("c_call", "c_return") and next(steps) == step:
            sys.setprofile(None)
            started.stop()

    def run() -> None:
        sys.setprofile(strike)
        codes.append(started.run())

    main = threading.Thread(target=run, daemon=True)
    main.start()
    main.join(30)
    assert codes == [0]


def test_a_changed_configuration_applies_without_a_restart(device: Device) -> None:
    device.configure(summary_seconds=3600, frames_per_second=2)
    started = device.start()
    eventually(lambda: bool(device.nucleus.callbacks) and serving(device) and bool(device.opened))
    of_other_sources = {"frames_per_second": 9, "still_seconds": 9}
    device.nucleus.change(
        watch_list="crab",
        alert_frames="1",
        bytes_per_hour="20000",
        spool_mib=7,
        inference_threads=3,
        **of_other_sources,
    )
    device.until(lambda: device.shelf.configured[-1].watch_list == ("crab",))
    device.camera.see("crab-1.jpg")
    eventually(lambda: [alert["species"] for alert in device.spooled("alert")] == ["crab"])
    assert device.shelf.configured[-1].inference_threads == 3
    store = started.parts.store
    assert store is not None
    eventually(lambda: store.budget.most("alert") == 20_000)
    assert len(device.opened) == 1, "the source is what it was"


def test_a_folder_that_is_looked_at_more_often_is_opened_anew(device: Device) -> None:
    device.configure(source="folder:frames")
    device.start()
    eventually(lambda: bool(device.nucleus.callbacks) and serving(device) and bool(device.opened))
    device.nucleus.change(poll_seconds=0.5)
    device.until(lambda: len(device.opened) == 2)
    assert device.opened[-1].poll_seconds == 0.5


def test_another_source_is_opened_once_the_frames_of_the_one_before_are_dealt_with(device: Device) -> None:
    device.configure(source="folder:frames")
    device.start()
    eventually(lambda: bool(device.nucleus.callbacks) and serving(device))
    before = device.camera
    before.see("stuck-1.jpg")
    eventually(lambda: "stuck-1.jpg" in device.model.asked)
    device.camera = Camera()
    device.camera.see("squid-1.jpg")
    device.nucleus.change(source="folder:others")
    device.until(lambda: before.closed and len(device.opened) == 2)
    assert device.camera.handed == []
    device.model.release.set()
    eventually(lambda: device.camera.finished == ["squid-1.jpg"])
    assert before.finished == ["stuck-1.jpg"]


def test_an_invalid_configuration_changes_nothing_and_is_reported(device: Device) -> None:
    device.configure(summary_seconds=77)
    started = device.start()
    eventually(lambda: bool(device.nucleus.callbacks))
    device.nucleus.change(summary_seconds=1, source="rtsp://user:secret@10.0.0.7/live")
    device.until(lambda: any(health["configuration"] for health in device.spooled("health")))
    assert started.parts.configuration.summary_seconds == 77
    refusals = [health["configuration"] for health in device.spooled("health") if health["configuration"]]
    assert "source is 'rtsp://***@10.0.0.7/live" in refusals[0]
    assert "secret" not in json.dumps(refusals)
    device.nucleus.change(source="folder:frames")
    device.until(lambda: device.spooled("health")[-1]["configuration"] == "")
    assert started.parts.configuration.summary_seconds == 1


def test_without_a_nucleus_the_last_good_configuration_is_in_force(device: Device) -> None:
    device.configure(summary_seconds=77)
    device.nucleus.lost.set()
    assert device.start().parts.configuration.summary_seconds == 77


def test_a_clock_that_is_set_back_a_year_harms_nothing(device: Device) -> None:
    device.configure(watch_list=["crab", "squid"], alert_frames=1, health_seconds=30)
    device.camera.see("crab-1.jpg")
    started = device.start()
    eventually(lambda: device.camera.finished == ["crab-1.jpg"])
    eventually(lambda: len(device.records("alert")) == 1)
    device.clock.set_wall(device.clock.wall() - YEAR_SECONDS)
    device.camera.see("squid-2.jpg")
    eventually(lambda: len(device.records("alert")) == 2)
    first, second = device.records("alert")
    assert first.at < second.at
    eventually(lambda: started.parts.health.jumps.count == 1)
    device.end()
    assert device.spooled("summary")[0]["seconds"] >= 0


def test_a_disk_that_cannot_be_written_costs_nothing_but_durability(device: Device) -> None:
    device.configure(watch_list=["crab"], alert_frames=1)
    (device.work / "spool").write_text("where the spool's folder should be")
    device.camera.see("crab-1.jpg", "fish-2.jpg")
    started = device.start()
    eventually(lambda: len(device.camera.finished) == 2)
    store = started.parts.store
    assert store is not None
    assert store.spool.place == "memory"
    assert store.spool.streams()[0].kind == "alert"


def test_a_model_that_is_taken_in_or_refused_is_told_at_once(device: Device) -> None:
    started = device.start()
    eventually(lambda: any(health["model"]["self_test"] == "passed" for health in device.spooled("health")))
    device.shelf.refusal = "red.png is 'blue'; expected 'red'"
    started.wake("models")
    eventually(lambda: device.spooled("health")[-1]["model"]["self_test"] == "failed")
    told = device.spooled("health")[-1]["model"]
    assert told == {
        "version": "m2",
        "target": "",
        "runtime": "",
        "self_test": "failed",
        "reason": "red.png is 'blue'; expected 'red'",
    }


def test_a_new_model_serves_from_the_next_frame_on(device: Device) -> None:
    device.camera.see("crab-1.jpg")
    started = device.start()
    eventually(lambda: device.camera.finished == ["crab-1.jpg"])
    device.shelf.model = Oracle("m2")
    started.wake("models")
    eventually(lambda: started.parts.models.serving is device.model)
    device.camera.see("crab-2.jpg")
    eventually(lambda: device.camera.finished == ["crab-1.jpg", "crab-2.jpg"])
    assert device.model.asked == ["crab-2.jpg"]
    device.end()
    assert [summary["model"] for summary in device.spooled("summary")] == ["m1", "m2"]


def test_the_allowance_of_frames_for_review_outlives_the_process(device: Device) -> None:
    device.configure(bucket="data", review_frames_per_hour=1, audit_frames_per_hour=0)
    device.camera.see("unsure-crab-1.jpg")
    device.start()
    eventually(lambda: len(device.camera.finished) == 1)
    device.end()
    device.camera = Camera()
    device.camera.see("unsure-squid-2.jpg")
    device.start()
    eventually(lambda: len(device.camera.finished) == 1)
    device.end()
    assert [upload.metadata["frame"] for upload in device.uploads()] == ["unsure-crab-1.jpg"]


def test_the_log_of_results_has_a_line_for_every_frame(device: Device) -> None:
    device.configure(results_mib=1)
    device.camera.see("crab-1.jpg", "squid-2.jpg")
    device.start()
    eventually(lambda: len(device.camera.finished) == 2)
    device.end()
    lines = [json.loads(text) for path in (device.work / "results").glob("*.jsonl") for text in path.open()]
    assert [(line["frame"], line["label"], line["model_version"]) for line in lines] == [
        ("crab-1.jpg", "crab", "m1"),
        ("squid-2.jpg", "squid", "m1"),
    ]
    assert set(lines[0]) == {"frame", "label", "probability", "model_version", "at"}


def test_a_model_stage_does_not_count_as_stuck_while_it_proves_the_two_models_that_it_holds(device: Device) -> None:
    assert device.start().stages["models"].limit_seconds > 2 * proof.SECONDS


def test_every_stage_has_a_limit(device: Device) -> None:
    started = device.start(sender=lambda store: None, uploader=lambda store, bucket: None)
    assert started.stages.keys() == LIMITS.keys()


def test_health_says_how_the_device_is(device: Device) -> None:
    device.configure(bytes_per_hour=123_456, results_mib=0)
    device.camera.see("crab-1.jpg")
    started = device.start()
    eventually(lambda: device.camera.finished == ["crab-1.jpg"])
    eventually(lambda: any(health["model"]["version"] for health in device.spooled("health")))
    before = len(device.spooled("health"))
    started.parts.health_wanted.set()
    eventually(lambda: len(device.spooled("health")) > before)
    told = device.spooled("health")[-1]
    assert told["model"]["version"] == "m1"
    assert told["spool"]["place"] == "disk"
    assert told["sent"]["hour_budget"] == 123_456
    assert told["memory_mib"] > 10
    assert told["disk_free_mib"] > 0


def test_a_configuration_that_comes_while_the_spool_is_being_opened_applies_to_it(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, slow = threading.Event(), threading.Event()
    opened = Store.opened

    def open_slowly(folder: Path, configuration: Configuration, clock: Any) -> Store:
        opening.set()
        slow.wait(600)
        return opened(folder, configuration, clock)

    monkeypatch.setattr(Store, "opened", open_slowly)
    started = device.start()
    eventually(lambda: opening.is_set() and bool(device.nucleus.callbacks and device.shelf.configured))
    device.nucleus.change(bytes_per_hour=20_000)
    device.until(lambda: device.shelf.configured[-1].bytes_per_hour == 20_000)
    slow.set()
    eventually(lambda: started.parts.store is not None and started.parts.store.budget.most("alert") == 20_000)
