"""The byte budget: what may leave in any 60 minutes and in any 24 hours of the device's own running time.

Bytes are booked in the spool before they leave, in cells of a minute, so that no kill lets more out. The device's own
time goes on while its operating system runs, and stands still while it is off: how long that was, nobody can tell.

Where the ledger may be lost (a corrupt spool, or one that is in memory from the start), the hour before is taken as
spent whole and evenly, and the day so far as frames may spend it: what comes then comes at the hourly rate, from the
next minute on. What a spool in memory booked dies with the process: should the disk work again just then, the rest of
that hour's budget may be spent a second time.
"""

import math
from collections import deque
from collections.abc import Mapping
from threading import Lock
from typing import Final

from classifier.clock import Clock
from classifier.spool import Ledger, Spool

_CELL: Final = 60.0
_HOUR: Final = 60
_DAY: Final = 24 * 60
_NEVER: Final = 2**62
SHARES: Final[Mapping[str, float]] = {"frame": 0.6, "summary": 0.8, "health": 0.9, "alert": 1.0}
"""How much of a budget may be gone once something of a priority is spent: the rest is for what matters more."""


class Budget:
    """Thread-safe. Sizes in bytes, priorities as in SHARES."""

    def __init__(self, spool: Spool, clock: Clock, *, per_hour: int, per_day: int) -> None:
        self._spool, self._clock, self._lock = spool, clock, Lock()
        self._limits: Mapping[int, int] = {_HOUR: per_hour, _DAY: per_day}
        self._boot, self._elapsed, self._running = clock.boot(), clock.elapsed(), 0.0
        self._cells: dict[int, int] = {}
        self._taken: dict[int, int] = {}
        """Of the cells, what is only taken as spent."""
        self._recent: deque[tuple[int, int]] = deque(maxlen=16)
        self._kept = -1
        self._identity = spool.identity
        self._seen = {self._identity}
        if (ledger := spool.ledger()) is not None:
            self._running, self._cells = _time(ledger, clock), dict(ledger.cells)
        elif spool.lost:
            self._taken = self._assumed()
            self._cells = dict(self._taken)
        self._keep(self._now(), self._cells)

    def configure(self, *, per_hour: int, per_day: int) -> None:
        """Other limits, for the hour and the day that have begun too."""
        with self._lock:
            self._limits = {_HOUR: per_hour, _DAY: per_day}

    def spend(self, priority: str, size: int) -> bool:
        """Book what is about to leave, durably; False if it may not leave now."""
        with self._lock:
            now = self._now()
            if self._free_at(priority, size, now) > 0:
                self._keep_time(now)
                return False
            self._cells[now] = self._cells.get(now, 0) + size
            self._keep(now, {now: self._cells[now]})
            self._recent.append((now, size))
            return True

    def refund(self, size: int) -> None:
        """Give back what was booked of late and certainly did not leave.

        Kept with what is spent next: a kill before that counts too much, never too little.
        """
        with self._lock:
            # The oldest of that size: to give back later than was booked would let out too much.
            for spent in self._recent:
                if spent[1] == size:
                    self._recent.remove(spent)
                    if spent[0] in self._cells:
                        self._cells[spent[0]] -= size
                    return

    def follow(self) -> None:
        """Carry the books over if the spool has moved, as from memory to the disk: a kill must not lose them."""
        with self._lock:
            if self._spool.identity != self._identity:
                self._keep(self._now(), {})

    def wait(self, priority: str, size: int) -> float:
        """Seconds until that may leave, if nothing else does; infinite if it never may."""
        with self._lock:
            now = self._now()
            self._keep_time(now)
            return self._free_at(priority, size, now)

    def most(self, priority: str) -> int:
        """The largest that may ever leave at once."""
        with self._lock:
            return int(min(self._limits.values()) * SHARES[priority])

    def used(self) -> tuple[int, int]:
        """What was spent in the last hour and in the last day."""
        with self._lock:
            now = self._now()
            return self._spent(now, _HOUR), self._spent(now, _DAY)

    def _free_at(self, priority: str, size: int, now: int) -> float:
        """Seconds until it fits both windows."""
        return max(
            self._fits_at(limit * SHARES[priority] - size, now, window) for window, limit in self._limits.items()
        )

    def _fits_at(self, room: float, now: int, window: int) -> float:
        """Seconds until no more than `room` was spent in a window."""
        if room < 0:
            return math.inf
        spent, free = self._spent(now, window), 0.0
        # Cells come in order of time, but for those of another ledger.
        for cell in sorted(self._cells) if spent > room else ():
            if cell >= now - window and spent > room:
                spent -= self._cells[cell]
                free = (cell + window + 1) * _CELL - self._running
        return free

    def _spent(self, now: int, window: int) -> int:
        """In the cell `now` and as many before as a window has minutes: the first of them may lie in it only in part,
        and counts whole."""
        return sum(size for cell, size in self._cells.items() if cell >= now - window)

    def _now(self) -> int:
        """The cell that the device's own time is in."""
        boot, elapsed = self._clock.boot(), self._clock.elapsed()
        if boot != self._boot:
            self._boot, self._elapsed = boot, elapsed
        self._running += max(0.0, elapsed - self._elapsed)
        self._elapsed = max(elapsed, self._elapsed)
        return int(self._running // _CELL)

    def _keep_time(self, now: int) -> None:
        """Once a minute also when nothing may leave: the time of a device that is on for minutes only must go on."""
        if now != self._kept:
            self._keep(now, {})

    def _keep(self, now: int, cells: Mapping[int, int]) -> None:
        self._cells = {cell: size for cell, size in self._cells.items() if cell >= now - _DAY}
        oldest = now - _DAY
        while not self._spool.keep(
            Ledger(self._running, self._boot, self._elapsed, cells), oldest=oldest, identity=self._identity
        ):
            self._adopt(now)
            cells, oldest = self._cells, _NEVER  # the other database may have counted time otherwise
        self._kept = now

    def _adopt(self, now: int) -> None:
        """The spool has moved: what its database knows that this process neither read nor took as spent counts too, as
        of now."""
        self._identity = self._spool.identity
        ledger = self._spool.ledger()
        if ledger is not None and self._identity not in self._seen:
            later = now - int(_time(ledger, self._clock) // _CELL)
            for cell, size in ledger.cells.items():
                # It was taken as spent because this was not known. Or, of two ledgers, each takes the same.
                taken = min(size, self._taken.pop(cell + later, 0))
                self._cells[cell + later] = self._cells.get(cell + later, 0) + size - taken
        self._seen.add(self._identity)

    def _assumed(self) -> dict[int, int]:
        """What is taken as spent where nothing is known."""
        day = self._limits[_DAY] * SHARES["frame"]
        hour = min(self._limits[_HOUR], day)
        now = int(self._running // _CELL)
        recent = {now - age: math.ceil(hour / (_HOUR + 1)) for age in range(_HOUR + 1)}
        return recent | {now - age: int((day - hour) / (_DAY - _HOUR)) for age in range(_HOUR + 1, _DAY + 1)}


def _time(ledger: Ledger, clock: Clock) -> float:
    """The device's own time, from where it was kept last: a reboot earns nothing."""
    return ledger.running + (max(0.0, clock.elapsed() - ledger.elapsed) if ledger.boot == clock.boot() else 0.0)
