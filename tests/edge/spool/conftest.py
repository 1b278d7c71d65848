"""A device with a folder for its spool, that can be switched off and on; and a disk that can be told to fail."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from classifier import messages, spool
from classifier.clock import ManualClock
from classifier.messages import Ack
from classifier.spool import Spool, Stream

MIB = 1024 * 1024


class Device:
    """`spool` is open; `restart` is what a new start of the component finds."""

    def __init__(self, folder: Path, *, max_bytes: int = MIB) -> None:
        self.folder, self.max_bytes, self.clock = folder, max_bytes, ManualClock()
        self._spools: list[Spool] = []
        self.spool = self.start()

    def start(self) -> Spool:
        self.boot = spool.new_boot(self.clock)
        self.spool = spool.open(self.folder, clock=self.clock, boot=self.boot, max_bytes=self.max_bytes)
        self._spools.append(self.spool)
        return self.spool

    def restart(self) -> Spool:
        self.spool.close()
        return self.start()

    def crash(self) -> Spool:
        """The files as they are now, in a folder of their own: nothing of the process before has a hold on them."""
        copy = self.folder.with_name(f"{self.folder.name}+")
        shutil.copytree(self.folder, copy)
        self.spool.close()
        self.folder = copy
        return self.start()

    def a_minute_later(self) -> None:
        """Long enough for another look at the disk."""
        self.clock.advance(61)
        self.spool.add([])

    def close(self) -> None:
        for each in self._spools:
            each.close()

    def stream(self, kind: str) -> Stream:
        """The one stream of this kind."""
        (found,) = [stream for stream in self.spool.streams() if stream.kind == kind]
        return found

    def numbers(self, kind: str) -> list[int]:
        """Those that wait of the one stream of this kind."""
        return [record.seq for record in everything(self.spool, self.stream(kind))]

    def alerts(self) -> list[int]:
        """What `any_message.alerts` numbered them by, oldest first, through all starts."""
        streams = [stream for stream in self.spool.streams() if stream.kind == "alert"]
        return [record.body["frames"] for stream in streams for record in everything(self.spool, stream)]

    def uploads(self) -> list[str]:
        """Keys in the order in which they go."""
        keys, seen = [], set[str]()
        while found := self.spool.next_upload(besides=seen):
            keys.append(found.key)
            seen.add(found.id)
        return keys

    def acknowledge(self, kind: str, through: int) -> int:
        return self.spool.acknowledge(Ack(self.stream(kind).boot, kind, through))

    @property
    def file(self) -> Path:
        return self.folder / "spool.db"

    @property
    def size(self) -> int:
        """Of all files."""
        return sum(path.stat().st_size for path in self.folder.iterdir())


def everything(of: Spool, stream: Stream) -> list[messages.Record]:
    records: list[messages.Record] = []
    while more := of.records(stream, after=records[-1].seq if records else 0):
        records += more
    return records


class Disk:
    """Stands between SQLite and the disk: while `error` is set, what would write to a file fails with it."""

    def __init__(self) -> None:
        self.error: int | None = None
        self.at = ("BEGIN", "COMMIT", "PRAGMA journal_mode")
        self.failures = 0

    def check(self, statement: str) -> None:
        if self.error is not None and statement.startswith(self.at):
            self.failures += 1
            failure = sqlite3.OperationalError("the disk fails")
            failure.sqlite_errorcode = self.error
            raise failure


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk, connect = Disk(), sqlite3.connect

    class Connection(sqlite3.Connection):
        on_disk = True

        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            if self.on_disk:
                disk.check(statement)
            return super().execute(statement, *values)

    def connected(path: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(path, factory=Connection, **options)
        connection.on_disk = path != ":memory:"
        return connection

    monkeypatch.setattr(sqlite3, "connect", connected)
    return disk


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    device = Device(tmp_path / "spool")
    yield device
    device.close()
