"""Whatever returned before the power went is there when it comes back, and nothing is there by half."""

import contextlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from classifier import spool
from classifier.budget import Budget
from classifier.clock import ManualClock
from classifier.spool import Spool

from tests.edge.any_message import alerts, any_alert, message, upload
from tests.edge.spool.conftest import MIB, Device, everything

_REPOSITORY = Path(__file__).parents[3]
_SECTOR = 512
_LOG, _HEAD = "spool.db-wal", 32
Files = dict[str, bytes]


def reopened(folder: Path) -> Spool:
    clock = ManualClock()
    return spool.open(folder, clock=clock, boot=spool.new_boot(clock), max_bytes=2 * MIB)  # evicts nothing


def test_thirty_kills_lose_nothing_that_was_promised(tmp_path: Path) -> None:
    draw, folder, promised, spent = random.Random(9), tmp_path / "spool", list[int](), 0
    environment = os.environ | {"PYTHONPATH": f"{_REPOSITORY}:{_REPOSITORY / 'edge' / 'reefloop.Classifier'}"}
    for start in range(30):
        first = start * 100_000
        command = [sys.executable, str(Path(__file__).with_name("child.py")), str(folder), str(first)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert child.stdout is not None
        assert child.stdout.readline() == "started disk \n"
        said = [child.stdout.readline() for _ in range(draw.randrange(12))]
        time.sleep(draw.uniform(0, 0.01))
        child.kill()
        said += child.stdout.readlines()
        child.wait()
        added = [int(line.split()[1]) for line in said if line.startswith("added") and line.endswith("\n")]
        promised += range(first, max(added, default=first - 1) + 1)
        spent += sum(int(line.split()[1]) for line in said if line.startswith("spent") and line.endswith("\n"))
    found = reopened(folder)
    assert found.trouble == ""
    kept = [r for s in found.streams() if s.kind == "alert" for r in everything(found, s)]
    numbers = [record.body["frames"] for record in kept]
    assert numbers == sorted(set(numbers))
    assert set(promised) <= set(numbers)
    assert len(promised) > 300
    # Three at a time, and all three or none; of a start only the last may be there without a promise.
    assert all(numbers[n : n + 3] == list(range(numbers[n], numbers[n] + 3)) for n in range(0, len(numbers), 3))
    assert len(numbers) - len(promised) <= 3 * 30
    assert [record.at for record in kept] == sorted({record.at for record in kept})
    ledger = found.ledger()
    assert ledger is not None
    assert sum(ledger.cells.values()) >= spent > 0
    found.close()


def files(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def contents(of: Spool) -> tuple[object, ...]:
    """All that waits, and that it can be read."""
    streams = {stream: everything(of, stream) for stream in of.streams()}
    uploads, seen = [], set[str]()
    while found := of.next_upload(besides=seen):
        uploads.append(found.key)
        seen.add(found.id)
        assert found.content == upload(found.key, size=len(found.content)).content
    return streams, sorted(uploads), of.ledger()


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Files, tuple[object, ...]]]:
    """The files after each of many transactions, evictions among them, and what they hold."""
    device, draw, moments = Device(tmp_path_factory.mktemp("history") / "spool"), random.Random(4), []
    store = device.spool._place.store
    transaction = store.transaction

    @contextlib.contextmanager
    def remembered() -> Iterator[None]:
        with transaction():
            yield
        moments.append((files(device.folder), contents(device.spool)))

    store.transaction = remembered  # type: ignore[method-assign]
    budget = Budget(device.spool, device.clock, per_hour=10**6, per_day=10**6)
    for n in range(40):
        entries = [*alerts(draw.randrange(4), first=10 * n), message("summary", n), message("health")]
        frames = [upload(f"{n}-{i}", size=draw.randrange(20_000, 50_000), value=draw.random()) for i in range(3)]
        device.spool.add([*entries, *frames[: draw.randrange(4)]])
        if n % 5 == 4:
            device.acknowledge("summary", device.spool.base(device.stream("summary")) + 2)
            budget.spend("alert", 100)
    assert device.spool.evicted["frame"] > 0
    device.close()
    return moments


def torn(before: bytes, after: bytes, draw: random.Random) -> bytes:
    """Written when the power went: of the sectors that change, any may be the new ones."""
    lengths = sorted([len(before), len(after)])
    size = lengths[1] if draw.random() < 0.7 else draw.randint(*lengths)
    share, parts = draw.choice([0.0, 0.5, 0.95, 1.0]), []
    for begin in range(0, size, _SECTOR):
        new = draw.random() < share or begin >= len(before)
        parts.append((after if new else before)[begin : begin + _SECTOR])
    return b"".join(parts)[:size]


def laid_out(folder: Path, contents_of: Files) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in contents_of.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("seed", range(2))
def test_a_transaction_that_is_cut_off_is_there_whole_or_not_at_all(
    tmp_path: Path, history: list[tuple[Files, tuple[object, ...]]], seed: int
) -> None:
    draw, whole, none = random.Random(seed), 0, 0
    for (before, had), (after, has) in draw.sample(list(pairwise(history)), 40):
        # SQLite syncs the log's head before it writes what follows: https://www.sqlite.org/src/info/ff5be73dee
        log = after[_LOG][:_HEAD] + torn(before[_LOG][_HEAD:], after[_LOG][_HEAD:], draw)
        found = reopened(laid_out(tmp_path / "torn", before | {_LOG: log}))
        assert found.trouble == ""
        there = contents(found)
        assert there in (had, has)
        whole, none = whole + (there == has), none + (there == had)
        found.add(alerts(1, first=1_000_000))
        assert any(r.body == any_alert(frames=1_000_000) for s in found.streams() for r in everything(found, s))
        found.close()
    assert none > 5
    assert whole > 0


@pytest.mark.parametrize("seed", range(2))
def test_a_checkpoint_that_is_cut_off_loses_nothing(
    tmp_path: Path, history: list[tuple[Files, tuple[object, ...]]], seed: int
) -> None:
    draw = random.Random(seed)
    changes = [pair for pair in pairwise(history) if pair[0][0]["spool.db"] != pair[1][0]["spool.db"]]
    for (before, _), (after, has) in draw.sample(changes, 20):
        # The log is on the disk before the first page of it is carried into the file.
        file = torn(before["spool.db"], after["spool.db"], draw)
        found = reopened(laid_out(tmp_path / "torn", after | {"spool.db": file}))
        assert found.trouble == ""
        assert contents(found) == has
        found.close()
