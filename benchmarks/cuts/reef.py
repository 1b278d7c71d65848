"""A device whose power fails, and its link."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from classifier.messages import KINDS
from classifier.uplink.sender import cost

from benchmarks.cuts.eyes import SETTINGS
from benchmarks.cuts.fast_clock import FastClock
from offline.broker import Broker, Link
from offline.device.credentials import Credentials, Denied
from offline.device.ipc import Configurations
from offline.device.nucleus import Nucleus
from offline.device.resolution import Wanted
from reefloop.deployment import records

COMPONENT: Final = "reefloop.Classifier"
HOUR_SECONDS: Final = 3600.0
_PROGRAM: Final = Path(__file__).with_name("component.py")


class Metered(Link):
    """A link that notes when how many bytes leave, as the component's budget counts them."""

    def __init__(self, broker: Broker, client: str, clock: FastClock) -> None:
        super().__init__(broker, client)
        self.left: list[tuple[float, int]] = []
        self._clock = clock

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 0, acknowledged: Callable[[], None] | None = None
    ) -> None:
        super().publish(topic, payload, qos=qos, acknowledged=acknowledged)
        self.left.append((self._clock.elapsed(), cost(topic, payload)))

    @property
    def most(self) -> int:
        """The most bytes that left within any hour."""
        most = within = first = 0
        for at, size in self.left:
            within += size
            while at - self.left[first][0] >= HOUR_SECONDS:
                within -= self.left[first][1]
                first += 1
            most = max(most, within)
        return most


class Device:
    """A core device: its nucleus in this process, its component in one of its own that is begun anew when it ends."""

    def __init__(self, folder: Path, link: Link, *, lite: bool, whole: bool, arguments: Sequence[str]) -> None:
        self.starts, self.whole = 0, whole
        self.work, self.journal = folder / "work", folder / "journal"
        self.work.mkdir(parents=True)
        self.seen: set[str] = set()
        """Every record that was in the spool at some kill, by the name that the cloud gives it."""
        self.arguments = arguments
        access = {"1": {"operations": ["*"], "resources": ["*"]}}
        services = ("aws.greengrass.ipc.mqttproxy", "aws.greengrass.ipc.pubsub")
        configured = {COMPONENT: {**SETTINGS, "accessControl": dict.fromkeys(services, access)}}
        self._nucleus = Nucleus(
            folder,
            lite=lite,
            link=link,
            exchange=_refuse,
            configurations=Configurations(configured, lambda: None),
            lifecycle=lambda *_: True,
        )
        self._nucleus.start()
        self._pid = 0
        self._lives = subprocess.Popen(
            [sys.executable, str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "log").open("wb"),
            text=True,
        )

    @property
    def alive(self) -> bool:
        """Whether a life of the component is under way."""
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return False
        return self._pid != 0

    def start(self) -> None:
        """Begin a life of the component, as the nucleus does when one has ended."""
        if self.alive:
            return
        self.starts += 1
        own = ["--numbers", str(1_000_000 * self.starts), "--journal", str(self.journal)]
        own += ["--whole"] if self.whole else []
        wanted = {
            "arguments": [str(self.work), *own, *self.arguments],
            "environment": self._nucleus.variables(Wanted(COMPONENT, "1.0.0", True, {}, {}, ())),
        }
        assert self._lives.stdin is not None
        assert self._lives.stdout is not None
        self._lives.stdin.write(f"{json.dumps(wanted)}\n")
        self._lives.stdin.flush()
        self._pid = int(self._lives.stdout.readline())

    def kill_component(self) -> None:
        """kill -9, wherever it is; then look at what it left in its spool."""
        if self.alive:
            os.kill(self._pid, signal.SIGKILL)
        while self.alive:
            time.sleep(0.001)
        self._pid = 0
        self.seen |= self.spooled()

    def kill_nucleus(self, dead_seconds: float) -> None:
        """kill -9: its queue and its tokens are gone. It lives again after a while."""
        self._nucleus.stop()
        time.sleep(dead_seconds)
        self._nucleus.start()

    def spooled(self) -> set[str]:
        """What the spool holds, read from a copy: whatever is to be repaired is left to the component."""
        copy = self.work.parent / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.work / "spool", copy) if (self.work / "spool").exists() else copy.mkdir()
        if not (copy / "spool.db").exists():
            return set()
        with closing(sqlite3.connect(copy / "spool.db")) as database:
            try:
                rows = database.execute(
                    "SELECT kind, name, seq FROM messages JOIN boots ON boots.id = messages.boot"
                ).fetchall()
            except sqlite3.OperationalError:  # killed before it had made its tables
                return set()
        return {records.item(KINDS[kind], boot, seq) for kind, boot, seq in rows}

    def journalled(self) -> set[str]:
        """Every record whose `add` returned, by the number that it bears; of a whole component, what its sender saw."""
        return set(self.journal.read_text().splitlines()) if self.journal.exists() else set()

    def close(self) -> None:
        self.kill_component()
        self._lives.kill()
        self._lives.wait()
        self._nucleus.stop()


class Flapping:
    """A link that comes and goes at random, and holds things back, until `end`."""

    def __init__(self, link: Link, chance: random.Random) -> None:
        self.cuts = 0
        self._link, self._chance = link, chance
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._flap, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """From now on the link is there."""
        self._over.set()
        self._thread.join()
        self._link.release()
        self._link.restore()

    def _flap(self) -> None:
        while not self._over.wait(self._chance.uniform(0.05, 0.5)):
            how = self._chance.choice((self._link.cut, self._link.hold_messages, self._link.hold_acknowledgements))
            how()
            self.cuts += how == self._link.cut
            self._over.wait(self._chance.uniform(0.05, 0.5))
            self._link.release()
            self._link.restore()


def _refuse() -> Credentials:
    raise Denied("this device sends no frames")
