"""What leaves the spool, in which order, how often, and what makes it go."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from classifier import spool as spools
from classifier.budget import Budget
from classifier.clock import ManualClock
from classifier.messages import MAXIMUM_BYTES, Ack, pack_ack
from classifier.spool import Message, Spool, Stream
from classifier.spool.entries import MessageRow
from classifier.uplink.nucleus import Nucleus, Unavailable
from classifier.uplink.sender import LONGEST_BUDGET_WAIT_SECONDS, LONGEST_PAUSE_SECONDS, Sender, cost
from classifier.uplink.window import PATIENCE

from tests.edge.uplink.cloud import THING, Cloud, FakeNucleus, alert, health, summary

BOOT, EARLIER = "1800000000000-00000002", "1700000000000-00000001"


class Rig:
    """A sender with its spool, budget and cloud, in time that is told."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.cloud = folder, ManualClock(), Cloud()
        self.nucleus = FakeNucleus(self.cloud)
        self.per_hour = 1_000_000
        self.spool = self.opened(BOOT)
        self.budget = Budget(self.spool, self.clock, per_hour=self.per_hour, per_day=10_000_000)
        self.woken = 0
        self.sender = self.started()

    def opened(self, boot: str) -> Spool:
        return spools.open(self.folder / "spool", clock=self.clock, boot=boot, max_bytes=1 << 24)

    def started(self) -> Sender:
        """What a new process has."""
        nucleus = cast(Nucleus, self.nucleus)
        return Sender(nucleus, self.spool, self.budget, self.clock, THING, wake=self.wake)

    def wake(self) -> None:
        self.woken += 1

    def killed(self, boot: str) -> None:
        """kill -9, and a new process of the component with a boot of its own."""
        self.spool.close()
        self.spool = self.opened(boot)
        self.budget = Budget(self.spool, self.clock, per_hour=self.per_hour, per_day=10_000_000)
        self.sender = self.started()

    def add(self, *messages: Message) -> None:
        self.spool.add(messages)

    def run(self, seconds: float) -> None:
        """Step whenever the sender asks for it, or something wakes it."""
        until = self.clock.elapsed() + seconds
        while self.clock.elapsed() < until:
            self.woken = 0
            pause = self.sender.step()
            if not self.woken:
                self.clock.advance(min(pause, until - self.clock.elapsed()))

    @property
    def waiting(self) -> int:
        return self.spool.depth().records


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.spool.close()


# ---- What leaves ----------------------------------------------------------------------------------------------------


def test_records_leave_the_spool_only_when_the_cloud_says_that_it_has_them(rig: Rig) -> None:
    rig.nucleus.held = []
    rig.add(alert(1), alert(2))
    rig.run(1.0)
    assert rig.cloud.numbers("alert") == [1, 2]
    assert rig.waiting == 2
    rig.nucleus.say(rig.nucleus.held[0])
    rig.run(0.1)
    assert rig.waiting == 0


def test_alerts_leave_before_health_and_health_before_summaries(rig: Rig) -> None:
    rig.add(summary(), health(), alert(), summary(), alert())
    rig.run(1.0)
    assert rig.nucleus.kinds == ["alert", "health", "summary"]
    assert [topic for topic, _ in rig.nucleus.published] == [f"reefloop/{THING}/{kind}" for kind in rig.nucleus.kinds]


def test_what_waits_goes_in_few_batches_in_order(rig: Rig) -> None:
    rig.add(*(alert(number, species=f"{number * 7919 % 1000:x}" * 10) for number in range(1, 501)))
    rig.run(5.0)
    assert rig.cloud.numbers("alert") == list(range(1, 501))
    assert rig.waiting == rig.cloud.repeated == 0
    assert len(rig.nucleus.published) < 12
    assert all(len(payload) <= MAXIMUM_BYTES for _, payload in rig.nucleus.published)


def test_several_starts_of_the_component_are_sent_side_by_side_the_oldest_first(rig: Rig) -> None:
    rig.nucleus.up = False
    rig.add(alert(1), summary())
    rig.run(1.0)
    rig.killed("1800000000001-00000003")
    rig.add(alert(2))
    rig.nucleus.up = True
    rig.run(20.0)
    assert [(batch.boot[-1], batch.kind) for batch in rig.nucleus.batches] == [
        ("2", "alert"),
        ("3", "alert"),
        ("2", "summary"),
    ]
    assert rig.waiting == 0


def test_a_step_looks_at_few_of_thousands_of_starts_and_all_go_in_order(rig: Rig) -> None:
    """What a device has to say whose power failed every few minutes for weeks."""
    records = [record for number in range(300) for record in earlier(number)]
    rig.spool._place.store.add(records, last_at=1)
    rig.add(alert(7))
    rig.sender.step()
    assert len(rig.sender._window._progress) < 100
    rig.run(600.0)
    assert rig.waiting == rig.cloud.repeated == 0
    alerts = [batch.boot for batch in rig.nucleus.batches if batch.kind == "alert"]
    assert alerts == sorted(alerts)


def test_few_batches_are_on_their_way_and_an_alert_finds_room_beside_what_is_slow(rig: Rig) -> None:
    rig.nucleus.held = []
    for number in range(10):
        rig.add(summary(number), health(str(number)))
        rig.run(0.1)
    assert len(rig.nucleus.published) == 2
    rig.add(alert())
    rig.sender.step()
    assert rig.nucleus.kinds[2:] == ["alert"]
    for number in range(10):
        rig.add(alert(number))
        rig.run(0.05)
    assert len(rig.nucleus.published) == 3


def test_an_alert_is_published_by_the_step_that_it_wakes(rig: Rig) -> None:
    rig.run(60.0)
    rig.add(alert())
    rig.sender.step()
    assert rig.nucleus.kinds == ["alert"]


def test_a_step_asks_to_be_called_again_within_seconds_and_an_acknowledgement_wakes_it_before(rig: Rig) -> None:
    assert 0 < rig.sender.step() <= LONGEST_PAUSE_SECONDS
    rig.add(alert())
    rig.sender.step()
    assert rig.woken == 1


# ---- Acknowledgements -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\x00",
        b"[]",
        b"[" * 100_000,
        b"null",
        b'{"v":1}',
        b'{"v":2,"boot":"%s","kind":"alert","through":1}' % BOOT.encode(),
        b'{"v":1,"boot":"%s","kind":"alert","through":-1}' % BOOT.encode(),
        b'{"v":1,"boot":"%s","kind":"alert","through":true}' % BOOT.encode(),
        b'{"v":1,"boot":"%s","kind":"frame","through":1}' % BOOT.encode(),
        b'{"v":1,"boot":"x","kind":"alert","through":1}',
    ],
)
def test_garbage_on_its_topic_deletes_nothing_and_is_counted(rig: Rig, payload: bytes) -> None:
    rig.nucleus.mute = True
    rig.add(alert())
    rig.run(0.5)
    rig.nucleus.say(payload)
    rig.run(0.5)
    assert rig.waiting == 1
    assert rig.sender.garbage == 1
    rig.nucleus.mute = False
    rig.run(60.0)
    assert rig.waiting == 0


def test_an_acknowledgement_deletes_nothing_that_was_not_published(rig: Rig) -> None:
    rig.run(0.1)
    rig.add(alert(), summary())
    rig.nucleus.say(pack_ack(Ack(BOOT, "alert", 9_999)))
    rig.nucleus.say(pack_ack(Ack(EARLIER, "alert", 9_999)))
    rig.nucleus.mute = True
    rig.sender.step()
    rig.add(alert())
    rig.nucleus.say(pack_ack(Ack(BOOT, "summary", 9_999)))
    rig.nucleus.say(pack_ack(Ack(BOOT, "alert", 9_999)))
    rig.sender._hear(rig.clock.elapsed())
    assert [record.seq for record in rig.spool.records(Stream(BOOT, "alert"))] == [2]


def test_acknowledgements_may_repeat_and_come_out_of_order(rig: Rig) -> None:
    rig.nucleus.held = []
    for number in range(3):
        rig.add(alert(number))
        rig.run(0.05)
    first, second, third = rig.nucleus.held
    for ack in (second, second, first, third, first):
        rig.nucleus.say(ack)
        rig.run(0.05)
    assert rig.waiting == rig.cloud.repeated == 0


def test_what_a_process_published_that_was_killed_is_sent_again_and_kept_once(rig: Rig) -> None:
    rig.nucleus.held = []
    rig.add(alert(1), alert(2))
    rig.run(1.0)
    rig.killed("1800000000001-00000003")
    rig.nucleus.say(rig.nucleus.held.pop())
    rig.sender.step()
    assert rig.waiting == 2
    rig.nucleus.held = None
    rig.run(30.0)
    assert rig.waiting == 0
    assert rig.cloud.numbers("alert") == [1, 2]


def test_a_flood_of_acknowledgements_does_not_fill_the_memory(rig: Rig) -> None:
    rig.run(0.1)
    for _ in range(5000):
        rig.nucleus.say(b"?")
    rig.sender.step()
    assert 0 < rig.sender.garbage < 5000


def test_without_a_subscription_only_alerts_are_sent_and_they_once(rig: Rig) -> None:
    rig.nucleus.subscribe = _refused  # type: ignore[method-assign]
    rig.add(alert(1), summary(), health())
    rig.run(3600.0)
    assert rig.nucleus.kinds == ["alert"]
    rig.add(alert(2))
    rig.run(3600.0)
    assert [[record.seq for record in batch.records] for batch in rig.nucleus.batches] == [[1], [2]]
    assert "subscribed" in rig.sender.trouble


def test_a_subscription_that_ended_is_made_anew_and_what_was_not_acknowledged_goes_again_at_once(rig: Rig) -> None:
    rig.nucleus.mute = True
    rig.add(alert())
    rig.run(1.0)
    rig.nucleus.mute = False
    rig.nucleus.subscriptions[-1].close()
    rig.sender.step()
    assert len(rig.nucleus.published) == 2
    rig.sender.step()
    assert rig.waiting == 0
    assert rig.sender.trouble == ""


def test_at_boot_there_is_no_link_and_the_subscription_is_tried_until_there_is_one(rig: Rig) -> None:
    rig.nucleus.up = False
    rig.add(alert(), summary())
    rig.run(600.0)
    assert rig.nucleus.subscriptions == []
    rig.nucleus.up = True
    rig.run(16.0)
    assert rig.waiting == 0


# ---- Again ----------------------------------------------------------------------------------------------------------


def test_a_batch_that_was_lost_goes_again_with_all_that_followed_it(rig: Rig) -> None:
    rig.nucleus.held = []
    lost = iter([True])
    rig.nucleus.refuses = lambda _: next(lost, False)
    for number in range(3):
        rig.add(alert(number))
        rig.run(0.05)
    assert rig.cloud.numbers("alert") == [2, 3]
    for ack in rig.nucleus.held:
        rig.nucleus.say(ack)
    rig.nucleus.held = None
    rig.run(60.0)
    assert rig.cloud.numbers("alert") == [2, 3, 1]
    assert rig.waiting == 0


def test_after_the_link_was_down_everything_is_sent_at_once(rig: Rig) -> None:
    rig.run(1.0)
    rig.nucleus.up = False
    for number in range(12):
        rig.add(alert(number), summary(number))
        rig.run(300.0)
    rig.nucleus.up = True
    rig.run(16.0)
    assert rig.waiting == 0
    assert rig.cloud.numbers("summary") == list(range(1, 13))


def test_messages_that_the_nucleus_refuses_cost_nothing(rig: Rig) -> None:
    rig.run(1.0)
    before = rig.budget.used()
    rig.nucleus.up = False
    rig.add(alert(), summary())
    rig.run(3600.0)
    assert 200 < rig.nucleus.offered < 600
    assert rig.budget.used() == before


def test_messages_whose_fate_is_not_known_cost_what_they_weigh(rig: Rig) -> None:
    rig.run(1.0)
    rig.nucleus.up = rig.nucleus.certain = False
    rig.add(alert())
    rig.sender.step()
    assert rig.budget.used()[0] > 0
    rig.nucleus.say(pack_ack(Ack(BOOT, "alert", 1)))
    rig.sender.step()
    assert rig.waiting == 0


def test_a_new_alert_does_not_wait_for_the_next_try(rig: Rig) -> None:
    rig.run(1.0)
    rig.nucleus.up = False
    rig.add(alert(1), summary())
    rig.run(600.0)
    rig.nucleus.up = True
    rig.add(alert(2))
    rig.sender.step()
    assert rig.cloud.numbers("alert") == [1, 2]


def test_a_new_alert_that_the_nucleus_refuses_is_not_offered_in_every_step(rig: Rig) -> None:
    rig.run(1.0)
    rig.nucleus.up = False
    rig.add(*(alert(number) for number in range(300)))
    for _ in range(50):
        rig.sender.step()
    assert rig.nucleus.offered <= 6


def test_in_silence_probes_are_small_and_ever_fewer(rig: Rig) -> None:
    """A classic nucleus takes everything while there is no link, and sends it all once there is one."""
    rig.nucleus.deaf = True
    for _ in range(12):
        rig.add(*(alert(number) for number in range(5)), summary(), health())
        rig.run(900.0)
    assert len(rig.nucleus.published) < 60
    assert sum(cost(topic, payload) for topic, payload in rig.nucleus.published) < 60_000
    late = rig.nucleus.batches[-9:]
    assert {len(batch.records) for batch in late} == {1}
    assert {batch.kind for batch in late} == {"alert", "health", "summary"}
    rig.nucleus.deaf = False
    rig.run(901.0)
    assert rig.waiting == 0
    assert "not acknowledged" not in rig.sender.trouble


def test_in_silence_new_alerts_still_leave_as_they_come(rig: Rig) -> None:
    rig.nucleus.deaf = True
    rig.add(summary())
    rig.run(100.0)
    rig.add(alert())
    rig.sender.step()
    assert rig.nucleus.kinds[-1] == "alert"
    rig.run(7200.0)
    assert rig.sender.trouble.endswith("not acknowledged")
    fresh = len(rig.nucleus.published)
    for number in range(3 * PATIENCE):
        rig.add(alert(number))
        rig.sender.step()
    assert len(rig.nucleus.published) - fresh <= PATIENCE


def test_a_stream_to_which_the_cloud_never_answers_holds_up_no_other(rig: Rig) -> None:
    rig.nucleus.refuses = lambda batch: batch.kind == "alert"
    rig.add(alert())
    for _ in range(20):
        rig.add(summary(), health())
        rig.run(300.0)
    assert rig.waiting <= 3
    assert rig.nucleus.kinds.count("alert") < 50
    rig.killed("1800000000001-00000003")
    rig.run(60.0)
    rig.nucleus.refuses = lambda batch: batch.boot == BOOT
    rig.add(alert())
    rig.run(1.0)
    assert rig.cloud.numbers("alert") == [1]


def test_a_slow_link_is_not_taken_for_a_broken_one(rig: Rig) -> None:
    """Twenty seconds there and back: longer than the first wait for an answer."""
    rig.nucleus.held = []
    arriving: list[tuple[float, bytes]] = []
    for second in range(3600):
        if second % 60 == 0:
            rig.add(summary(second))
        rig.run(1.0)
        arriving += [(rig.clock.elapsed() + 20.0, ack) for ack in rig.nucleus.held]
        rig.nucleus.held.clear()
        for at, ack in [each for each in arriving if each[0] <= rig.clock.elapsed()]:
            rig.nucleus.say(ack)
            arriving.remove((at, ack))
    assert rig.waiting <= 1
    assert rig.sender.sent.again <= 3


def test_what_was_evicted_is_not_waited_for(rig: Rig, tmp_path: Path) -> None:
    rig.spool.close()
    rig.spool = spools.open(tmp_path / "small", clock=rig.clock, boot=BOOT, max_bytes=1 << 20)
    rig.budget = Budget(rig.spool, rig.clock, per_hour=10_000_000, per_day=100_000_000)
    rig.sender = rig.started()
    rig.nucleus.up = False
    for _ in range(10):
        rig.add(*(health(f"{number:x}" * 500) for number in range(100)))
    assert rig.spool.evicted["health"] > 0
    rig.nucleus.up = True
    rig.run(60.0)
    assert rig.waiting == 0
    assert rig.cloud.bases[BOOT, "health"] > 1


def test_what_an_earlier_version_of_the_component_spooled_holds_up_nothing(rig: Rig) -> None:
    rows = [MessageRow("alert", EARLIER, 1, 1, b'{"species": 7}'), *earlier(1)]
    rig.spool._place.store.add(rows, last_at=1)
    rig.add(alert())
    rig.run(60.0)
    assert rig.waiting == 0
    assert {"species": 7} in [record.body for batch in rig.nucleus.batches for record in batch.records]


# ---- The budget -----------------------------------------------------------------------------------------------------


def test_every_attempt_is_paid_for_before_it_leaves(rig: Rig) -> None:
    rig.nucleus.deaf = True
    rig.add(alert(), summary())
    rig.run(300.0)
    paid = sum(cost(topic, payload) for topic, payload in rig.nucleus.published)
    assert rig.sender.sent.again > 1
    assert rig.budget.used()[0] == rig.sender.sent.bytes == paid


def test_the_cost_of_a_message_is_what_a_metered_link_counts() -> None:
    small, large = cost("t", b"x" * 100), cost("t", b"x" * 4_800)
    assert small == 7 + 1 + 100 + 29 + 52 + 512
    assert large == 7 + 1 + 4_800 + 29 + 4 * 52 + 512


def test_what_waits_for_the_budget_is_not_packed_all_the_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.budget.configure(per_hour=20_000, per_day=200_000)
    assert rig.budget.spend("summary", 15_900)
    asked: list[str] = []
    spend = rig.budget.spend
    monkeypatch.setattr(rig.budget, "spend", lambda kind, size: asked.append(kind) or spend(kind, size))
    rig.add(summary())
    rig.run(600)
    assert 1 <= len(asked) <= 11
    rig.budget.configure(per_hour=1_000_000, per_day=10_000_000)
    rig.run(LONGEST_BUDGET_WAIT_SECONDS + 5)
    assert rig.waiting == 0, "a budget that is raised is noticed"


def test_what_the_budget_keeps_back_waits_and_what_is_more_urgent_goes(rig: Rig) -> None:
    rig.run(0.1)
    rig.budget.configure(per_hour=20_000, per_day=200_000)
    assert rig.budget.spend("summary", 15_900)
    rig.add(summary())
    rig.run(10.0)
    assert rig.nucleus.published == []
    rig.add(alert(), health())
    rig.sender.step()
    assert rig.nucleus.kinds == ["alert", "health"]
    rig.run(3700.0)
    assert rig.nucleus.kinds == ["alert", "health", "summary"]
    assert rig.waiting == 0


def earlier(number: int) -> list[MessageRow]:
    """A record of each kind, from a start of its own before BOOT."""
    boot = f"{1_700_000_000_000 + number:013d}-00000000"
    return [
        MessageRow(each.kind, boot, 1, 1, json.dumps(each.body).encode()) for each in (alert(), health(), summary())
    ]


def _refused(*_: Any) -> Any:
    raise Unavailable("UnauthorizedError")
