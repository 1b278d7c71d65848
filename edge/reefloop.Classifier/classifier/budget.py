"""The byte budget: what may leave in any 60 minutes and in any 24 hours of the device's own running time.

Spent bytes are booked in minute cells in the spool before they leave, so that no kill lets out more. Time is the
device's own: it goes on while the operating system runs, and stands still while the device is off, since nobody can
tell then how long that was.
"""

import math
from collections.abc import Mapping
from threading import Lock
from typing import Final

from classifier.clock import Clock
from classifier.spool import Ledger, Spool

_CELL: Final = 60.0
_HOUR: Final = 60
_DAY: Final = 24 * 60
SHARES: Final[Mapping[str, float]] = {"frame": 0.6, "summary": 0.8, "health": 0.9, "alert": 1.0}
"""How much of the budget may be gone after a spending of each priority."""


class Budget:
    """Thread-safe."""

    def __init__(self, spool: Spool, clock: Clock, *, per_hour: int, per_day: int) -> None:
        self._spool, self._clock, self._lock = spool, clock, Lock()
        self._limits = {_HOUR: per_hour, _DAY: per_day}
        self._running, self._boot, self._elapsed = 0.0, clock.boot(), clock.elapsed()
        self._cells: dict[int, int] = {}
        self._identity = ""
        self._saved = -1
        self._adopt()

    def configure(self, *, per_hour: int, per_day: int) -> None:
        """Other limits from now on."""
        with self._lock:
            self._limits = {_HOUR: per_hour, _DAY: per_day}

    def spend(self, priority: str, size: int) -> bool:
        """Book these bytes durably, if a message or frame of this priority may still spend them."""
        with self._lock:
            now = self._now()
            if self._wait(priority, size, now) > 0:
                self._save(now, {})
                return False
            self._cells[now] = self._cells.get(now, 0) + size
            self._save(now, {now: self._cells[now]}, must=True)
            return True

    def refund(self, size: int) -> None:
        """Bytes that were booked within the last minute and certainly did not leave.

        Written with the next spending: a kill before that counts too much, never too little. The older minute gives
        first, so that what did leave is never forgotten early.
        """
        with self._lock:
            now = self._now()
            for cell in (now - 1, now):
                back = min(size, self._cells.get(cell, 0))
                if back:
                    self._cells[cell] -= back
                    size -= back

    def wait(self, priority: str, size: int) -> float:
        """Seconds until that may be spent, if nothing else is; infinite if it never may."""
        with self._lock:
            now = self._now()
            self._save(now, {})
            return self._wait(priority, size, now)

    def most(self, priority: str) -> int:
        """The most bytes that can ever be spent at once."""
        with self._lock:
            return int(min(self._limits.values()) * SHARES[priority])

    def used(self) -> tuple[int, int]:
        """Bytes spent in the last hour and day."""
        with self._lock:
            now = self._now()
            return self._spent(now, _HOUR), self._spent(now, _DAY)

    def _wait(self, priority: str, size: int, now: int) -> float:
        return max(self._free_at(priority, size, now, window) for window in self._limits)

    def _free_at(self, priority: str, size: int, now: int, window: int) -> float:
        room = self._limits[window] * SHARES[priority] - size
        if room < 0:
            return math.inf
        over = self._spent(now, window) - room
        for cell in sorted(self._cells):
            if over <= 0:
                break
            if cell >= now - window:
                over -= self._cells[cell]
                free = (cell + window + 1) * _CELL - self._running
        return free if over <= 0 and self._spent(now, window) > room else 0.0

    def _spent(self, now: int, window: int) -> int:
        """A window that ends in this cell can begin in the one `window` cells before: that one counts whole."""
        return sum(size for cell, size in self._cells.items() if cell >= now - window)

    def _now(self) -> int:
        boot, elapsed = self._clock.boot(), self._clock.elapsed()
        if boot == self._boot:
            self._running += max(0.0, elapsed - self._elapsed)
        self._boot, self._elapsed = boot, elapsed
        return int(self._running // _CELL)

    def _save(self, now: int, cells: Mapping[int, int], *, must: bool = False) -> None:
        """Time is written too, at most once a cell: a device that is switched off often must not stand still."""
        if not must and now == self._saved:
            return
        self._cells = {cell: size for cell, size in self._cells.items() if cell >= now - _DAY}
        while not self._spool.keep(
            Ledger(self._running, self._boot, self._elapsed, cells), oldest=now - _DAY, identity=self._identity
        ):
            self._adopt()
            cells = self._cells
        self._saved = now

    def _adopt(self) -> None:
        """Take over what another database knows."""
        first = not self._identity
        self._identity = self._spool.identity
        kept = self._spool.ledger()
        if first and kept is not None:
            self._running, self._cells = kept.running, dict(kept.cells)
            if kept.boot == self._clock.boot():
                self._running += max(0.0, self._clock.elapsed() - kept.elapsed)
        elif first and self._spool.lost:
            now = int(self._running // _CELL)
            self._cells = {now - age: self._limits[_HOUR] // (_HOUR + 1) for age in range(_HOUR + 1)}
