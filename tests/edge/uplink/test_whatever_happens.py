"""Records, acknowledgements and bytes together, on a device to which everything happens in any order: kills, reboots, a
link that loses, holds back, repeats and reorders, a nucleus that forgets, a disk that fails, clocks that jump, other
budgets, acknowledgements of what was never sent."""

import logging
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest
from classifier import spool as spools
from classifier.budget import SHARES, Budget
from classifier.clock import ManualClock
from classifier.messages import Ack, pack_ack, unpack
from classifier.spool import Message
from classifier.uplink import backoff, window
from classifier.uplink.nucleus import NotSent, Nucleus
from classifier.uplink.sender import Sender, cost

from tests.edge.spool.conftest import Disk, disk
from tests.edge.uplink.cloud import THING, Cloud, FakeNucleus, alert, health, summary

__all__ = ["disk"]

STEPS: Final = 600
_MAKE: Final[dict[str, Callable[[int], Message]]] = {
    "alert": alert,
    "health": lambda number: health(str(number)),
    "summary": summary,
}
_LIMITS: Final = ((4_000, 12_000), (8_000, 24_000), (200_000, 2_000_000))


def number_of(kind: str, body: Any) -> int:
    """By what `_MAKE` told this record from all others of its kind."""
    return int(body["model"]["reason"] if kind == "health" else body["frames"])


class Link(FakeNucleus):
    """Takes messages that arrive later, in any order, once, twice or never; so do the answers."""

    def __init__(self, device: "Device") -> None:
        super().__init__(device.cloud)
        self.fair = False
        self._device = device
        self._out: list[bytes] = []
        self._back: list[bytes] = []

    def publish(self, topic: str, payload: bytes) -> None:
        if not self.up and self.certain:
            raise NotSent("ServiceError", certain=True)
        self._device.paid(unpack(payload).kind, cost(topic, payload))
        self._out.append(payload)
        if not self.up:
            raise NotSent("TimeoutError", certain=False)

    def pass_on(self, chance: random.Random) -> None:
        """Let some of what is under way arrive."""
        out, self._out = self._out, []
        for payload in out:
            if self._stays(payload, self._out, chance):
                continue
            for _ in range(self._times(chance)):
                self._back.append(self.cloud.take(payload))
        back, self._back = self._back, []
        for ack in back:
            if self._stays(ack, self._back, chance):
                continue
            for _ in range(self._times(chance)):
                self.say(ack)

    def forget(self) -> None:
        """The nucleus starts anew, with nothing of what it held."""
        self._out.clear()
        for subscription in self.subscriptions:
            subscription.close()

    def _stays(self, message: bytes, among: list[bytes], chance: random.Random) -> bool:
        if self.fair or chance.random() < 0.6:
            return False
        among.insert(chance.randint(0, len(among)), message)
        return True

    def _times(self, chance: random.Random) -> int:
        return 1 if self.fair else chance.choice((0, 1, 1, 1, 2))


class Device:
    """Checks what leaves as it leaves."""

    def __init__(self, folder: Path, disk: Disk, chance: random.Random) -> None:
        self.folder, self.disk, self.chance = folder, disk, chance
        self.clock, self.cloud = ManualClock(), Cloud()
        self.link = Link(self)
        self.limits = _LIMITS[1]
        self.running, self.left = 0.0, list[tuple[float, int]]()
        self.made, self.mortal = Counter[str](), list[tuple[str, int]]()
        self.lost = set[tuple[str, int]]()
        self.begin()

    def begin(self) -> None:
        boot = spools.new_boot(self.clock)
        self.spool = spools.open(self.folder, clock=self.clock, boot=boot, max_bytes=1 << 22)
        hour, day = self.limits
        self.budget = Budget(self.spool, self.clock, per_hour=hour, per_day=day)
        self.sender = Sender(cast(Nucleus, self.link), self.spool, self.budget, self.clock, THING)

    def paid(self, kind: str, size: int) -> None:
        """In no 60 minutes and no 24 hours of running time leaves more than a priority's share of what is allowed."""
        self.left.append((self.running, size))
        for seconds, limit in zip((3600.0, 86_400.0), self.limits, strict=True):
            spent = sum(each for at, each in self.left if at > self.running - seconds)
            assert spent <= limit * SHARES[kind], f"{spent} bytes in {seconds} s, {limit} are allowed"

    # ---- What may happen ---------------------------------------------------------------------------------------------

    def records(self) -> None:
        entries = []
        for kind in self.chance.choices(list(_MAKE), k=self.chance.randint(1, 6)):
            self.made[kind] += 1
            entries.append(_MAKE[kind](self.made[kind]))
            self.mortal.append((kind, self.made[kind]))
        self.spool.add(entries)
        self.budget.follow()
        if self.spool.place == "disk":
            self.mortal.clear()

    def step(self) -> None:
        for _ in range(self.chance.randint(1, 4)):
            self.time(self.sender.step())

    def time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.running += seconds

    def pause(self) -> None:
        self.time(self.chance.choice((0.1, 3.0, 30.0, 300.0, 1000.0)))

    def kill(self) -> None:
        if self.spool.place == "memory":
            self.lost.update(self.mortal)
            self.left.clear()  # the ledger dies too: the bytes may be spent a second time
        self.mortal.clear()
        self.spool.close()
        self.sender.close()
        self.begin()

    def reboot(self) -> None:
        self.clock.reboot(f"os-{self.chance.random()}")
        self.kill()

    def jump(self) -> None:
        self.clock.set_wall(self.chance.choice((0.0, 1.5e9, 1.9e9, 2.0e9)))

    def fail(self) -> None:
        self.disk.error = self.chance.choice((sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY))

    def mend(self) -> None:
        self.disk.error = None
        self.time(61.0)
        self.spool.add([])
        self.budget.follow()
        if self.spool.place == "disk":
            self.mortal.clear()

    def afford(self) -> None:
        self.limits = self.chance.choice(_LIMITS)
        self.budget.configure(per_hour=self.limits[0], per_day=self.limits[1])

    def flap(self) -> None:
        self.link.up, self.link.certain = self.chance.random() < 0.7, self.chance.random() < 0.7

    def forge(self) -> None:
        boots = [stream.boot for stream in self.spool.streams()] or ["1800000000000-00000000"]
        self.link.say(pack_ack(Ack(self.chance.choice(boots), self.chance.choice(list(_MAKE)), 0)))
        self.link.say(pack_ack(Ack("1800000000000-0badb007", "alert", 9_999_999_999)))

    # ---- The end -----------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        self.mend()
        self.link.up = self.link.fair = True
        self.limits = _LIMITS[-1]
        self.budget.configure(per_hour=self.limits[0], per_day=self.limits[1])
        end = self.running + 2 * 86_400.0
        while self.spool.depth().records and self.running < end:
            self.time(self.sender.step())
            self.link.pass_on(self.chance)

    def judge(self) -> None:
        assert self.spool.depth().records == 0
        assert not any(self.spool.evicted.values())
        kept = Counter(
            (kind, number_of(kind, body))
            for (_, kind), records in self.cloud.records.items()
            for body in records.values()
        )
        assert {each for each, count in kept.items() if count > 1} == set(), "twice in the cloud"
        made = {(kind, number) for kind, count in self.made.items() for number in range(1, count + 1)}
        assert made - kept.keys() <= self.lost, "neither in the cloud nor in a memory that died"
        for (_, kind), records in self.cloud.records.items():
            numbers = [number_of(kind, records[seq]) for seq in sorted(records)]
            assert numbers == sorted(numbers), "out of order"


@pytest.fixture
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.usefixtures("quiet")
def test_every_record_is_in_the_cloud_once_and_in_order_and_no_hour_costs_more_than_is_allowed(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    # The same history each time: the pauses of the sender are part of it.
    for module in (backoff, window):
        monkeypatch.setattr(module, "random", SimpleNamespace(Random=lambda: random.Random(chance.random())))
    device = Device(tmp_path, disk, chance)
    often: list[Callable[[], object]] = [device.records, device.step, lambda: device.link.pass_on(chance), device.pause]
    seldom = [device.kill, device.reboot, device.jump, device.fail, device.mend, device.afford, device.flap]
    seldom += [device.forge, device.link.forget]
    for _ in range(STEPS):
        chance.choice(often if chance.random() < 0.85 else seldom)()
    device.drain()
    device.judge()
    device.spool.close()
