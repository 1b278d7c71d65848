"""One frame, and what it leads to."""

import hashlib
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classifier import spool
from classifier.budget import Budget
from classifier.clock import ManualClock
from classifier.configuration import Configuration
from classifier.frames import Frame
from classifier.messages import check
from classifier.pipeline.health import Health
from classifier.pipeline.worker import FAILURES_IN_A_ROW, Broken, Taken, Work, Worker
from classifier.spool import Message, Upload
from classifier.uplink.uploader import Uploader

from tests.edge.device import THING, Camera, Oracle
from tests.edge.model_packages import image

BOOT = "1800000000000-00000001"


class Bench:
    """A worker with a model that knows the answers."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.health = Health(clock=self.clock, work=folder)
        self.model: Any = Oracle()
        self.configured()

    def configured(self, **values: Any) -> Worker:
        usual = {"bucket": "data", "watch_list": ("crab",), "alert_frames": 1, "audit_frames_per_hour": 0}
        asked = Configuration(**(usual | values))
        self.worker = Worker(asked, thing=THING, clock=self.clock, health=self.health, seed=1)
        return self.worker

    def see(self, name: str, *, content: bytes | None = None, pixels: Any = None, after: float = 1.0) -> Work:
        self.clock.advance(after)
        if pixels is None and content is None:
            content = name.encode()
        taken = Taken(Camera(), Frame(name, self.clock.elapsed(), content=content, pixels=pixels))
        self.worker.look("m1")
        work = self.worker.handle(taken, self.model)
        assert work is not None
        return work


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_frame_that_says_nothing_leads_to_nothing(bench: Bench) -> None:
    work = bench.see("fish-1.jpg")
    assert (work.entries, work.fault, work.result, work.state) == ((), "", None, None)
    assert bench.health.latencies.count == 1


def test_an_animal_of_the_watch_list_raises_an_alert(bench: Bench) -> None:
    (entry,) = bench.see("crab-1.jpg").entries
    assert isinstance(entry, Message)
    assert entry.kind == "alert"
    assert entry.body["species"] == "crab"
    check("alert", entry.body)


def test_a_frame_that_the_model_is_unsure_of_is_sent_as_it_is(bench: Bench) -> None:
    content = image("red", form="JPEG")
    work = bench.see("unsure-squid-1.JPG", content=content)
    (upload,) = work.entries
    assert isinstance(upload, Upload)
    assert upload.key == f"images/edge/{THING}/{hashlib.sha256(content).hexdigest()[:16]}.jpg"
    assert upload.content == content
    assert upload.metadata == {
        "reason": "uncertain",
        "frame": "unsure-squid-1.JPG",
        "label": "squid",
        "probability": "0.400000",
        "model": "m1",
    }
    assert work.state is not None, "the allowance for review must outlive the process"


@pytest.mark.parametrize(
    ("form", "ending"), [("PNG", ".png"), ("JPEG", ".jpg"), ("MPO", ".jpg"), ("WEBP", ".jpg"), ("TIFF", ".jpg")]
)
@pytest.mark.parametrize("name", ["unsure-crab-1.php", "unsure-crab-1", "unsure-crab-1." + "é" * 200, "unsure-crab-.."])
def test_the_key_of_a_frame_ends_by_what_it_is_whatever_its_file_is_called(
    bench: Bench, name: str, form: str, ending: str
) -> None:
    upload = bench.see(name, content=image("red", form=form)).entries[-1]
    assert isinstance(upload, Upload)
    assert re.fullmatch(rf"images/edge/{THING}/[0-9a-f]{{16}}{re.escape(ending)}", upload.key)


def test_a_frame_of_pixels_is_sent_as_jpeg(bench: Bench) -> None:
    (upload,) = bench.see("unknown-camera-17", pixels=np.zeros((8, 8, 3), np.uint8)).entries
    assert isinstance(upload, Upload)
    assert upload.key.endswith(".jpg")
    assert upload.content[:2] == b"\xff\xd8"
    assert upload.metadata["reason"] == "unknown"


def test_a_frame_that_the_budget_could_never_pay_for_is_sent_smaller(bench: Bench, tmp_path: Path) -> None:
    bench.configured(bytes_per_hour=100_000)
    noise = np.random.default_rng(1).integers(0, 256, (600, 800, 3), np.uint8)
    (upload,) = bench.see("unsure-squid-1.jpg", pixels=noise).entries
    assert isinstance(upload, Upload)
    opened = spool.open(tmp_path / "spool", clock=bench.clock, boot=BOOT, max_bytes=1 << 24)
    opened.add([upload])
    budget = Budget(opened, bench.clock, per_hour=100_000, per_day=10_000_000)
    sent: list[str] = []
    budget.spend("health", 10_000)  # as every device does
    Uploader(lambda key, *_: sent.append(key), opened, budget, bench.clock).step()
    opened.close()
    assert sent == [upload.key]


def test_without_a_bucket_no_frame_is_sent(bench: Bench) -> None:
    bench.configured(bucket="", audit_frames_per_hour=3600)
    assert bench.see("unsure-squid-1.jpg").entries == ()
    bench.clock.advance(2)
    due = bench.worker.look("m1")
    assert due is None or not any(isinstance(entry, Upload) for entry in due.entries)


def test_the_draw_of_an_audit_speaks_for_all_frames_of_its_interval(bench: Bench) -> None:
    bench.configured(audit_frames_per_hour=60)
    names = [f"fish-{number}.jpg" for number in range(30)]
    for name in names:
        bench.see(name)
    bench.clock.advance(60)
    due = bench.worker.look("m1")
    assert due is not None
    (upload,) = due.entries
    assert isinstance(upload, Upload)
    assert (upload.metadata["reason"], upload.metadata["of"]) == ("audit", "30")
    assert upload.metadata["frame"] in names
    assert upload.value > 2, "an audit that loses frames is no random sample"


def test_frames_for_the_audit_are_worth_more_than_the_unknown_and_those_more_than_the_uncertain(bench: Bench) -> None:
    bench.configured(audit_frames_per_hour=60, visit_gap_seconds=0.1)
    uploads = [*bench.see("unsure-squid-1.jpg").entries, *bench.see("unknown-2.jpg", after=10).entries]
    uploads += bench.worker.finish().entries
    values = {upload.metadata["reason"]: upload.value for upload in uploads if isinstance(upload, Upload)}
    assert sorted(values, key=values.__getitem__) == ["uncertain", "unknown", "audit"]


def test_what_is_no_image_is_a_fault_of_the_frame(bench: Bench) -> None:
    work = bench.see("broken-1.jpg")
    assert (work.fault, work.entries) == ("this is no image", ())
    assert bench.health.latencies.count == 0


def test_a_model_that_fails_now_and_then_blames_the_frame(bench: Bench) -> None:
    for _ in range(2 * FAILURES_IN_A_ROW):
        assert bench.see("faulty-1.jpg").fault == "the model failed on it: RuntimeError: the runtime is upset"
        bench.see("crab-1.jpg")


def test_a_model_that_fails_again_and_again_is_broken(bench: Bench) -> None:
    for _ in range(FAILURES_IN_A_ROW - 1):
        bench.see("faulty-1.jpg")
    with pytest.raises(Broken, match="fails on every frame: RuntimeError: the runtime is upset"):
        bench.see("faulty-1.jpg")
    assert bench.see("faulty-1.jpg").fault, "one that is loaded anew begins anew"


@pytest.mark.parametrize("name", ["crab-1.jpg", "broken-1.jpg", "faulty-1.jpg"])
def test_what_a_thread_comes_back_with_that_was_given_up_is_nothing(bench: Bench, name: str) -> None:
    taken = Taken(Camera(), Frame(name, 0.0, content=b"?"))
    assert bench.worker.handle(taken, bench.model, wanted=lambda: False) is None
    assert bench.worker.finish().entries == ()
    assert bench.health.latencies.count == 0


def test_a_window_that_ends_is_summarized(bench: Bench) -> None:
    bench.configured(summary_seconds=60)
    for number in range(10):
        bench.see(f"crab-{number}.jpg")
    bench.health.missed.add(dropped=3, unreadable=2)
    bench.clock.advance(60)
    due = bench.worker.look("m1")
    assert due is not None
    (summary,) = due.entries
    assert isinstance(summary, Message)
    check("summary", summary.body)
    assert (summary.body["frames"], summary.body["dropped"], summary.body["unreadable"]) == (10, 3, 2)
    assert summary.body["species"]["crab"]["visits"] == 1


def test_finishing_closes_the_window_at_once(bench: Bench) -> None:
    bench.see("crab-1.jpg")
    bench.health.missed.add(unreadable=1)
    work = bench.worker.finish()
    (summary,) = work.entries
    assert isinstance(summary, Message)
    assert (summary.body["frames"], summary.body["unreadable"]) == (1, 1)
    assert work.state is not None


def test_a_new_model_begins_a_new_window(bench: Bench) -> None:
    bench.see("crab-1.jpg")
    due = bench.worker.look("m2")
    assert due is not None
    (summary,) = due.entries
    assert isinstance(summary, Message)
    assert summary.body["model"] == "m1"


def test_results_are_there_when_they_are_asked_for(bench: Bench) -> None:
    bench.configured(results_mib=1)
    result = bench.see("crab-1.jpg").result
    assert result is not None
    assert (result.frame, result.label, result.model_version) == ("crab-1.jpg", "crab", "m1")
    bench.worker.configure(Configuration())
    assert bench.see("crab-2.jpg").result is None


def test_whoever_brings_another_configuration_does_not_wait_for_a_worker_that_hangs(bench: Bench) -> None:
    bringing = threading.Thread(target=bench.worker.configure, args=(Configuration(),), daemon=True)
    with bench.worker._lock:
        bringing.start()
        bringing.join(30)
        assert not bringing.is_alive()


def test_a_state_that_makes_no_sense_does_no_harm(bench: Bench) -> None:
    asked = Configuration()
    for state in ({"review": None}, {"nonsense": [1]}, {"review": {"allowance": "many"}}):
        Worker(asked, thing=THING, clock=bench.clock, health=bench.health, state=state, seed=1)
