"""What keeps the ledger of a budget, and a device that can be switched off and on around it."""

from bisect import bisect
from typing import Any

from classifier.budget import Budget
from classifier.clock import ManualClock
from classifier.spool import Ledger

MINUTE, HOUR, DAY = 60, 3600, 86_400


class Book:
    """What the budget needs of a spool: it keeps a ledger, and may be replaced by another at any moment."""

    def __init__(self, *, identity: str = "one", lost: bool = False) -> None:
        self.identity, self.lost = identity, lost
        self.kept: Ledger | None = None
        self.cells: dict[int, int] = {}
        self.writes = 0

    def ledger(self) -> Ledger | None:
        return self.kept and Ledger(self.kept.running, self.kept.boot, self.kept.elapsed, dict(self.cells))

    def keep(self, ledger: Ledger, *, oldest: int, identity: str) -> bool:
        if identity != self.identity:
            return False
        self.writes += 1
        self.kept = ledger
        self.cells = {cell: size for cell, size in self.cells.items() if cell >= oldest} | dict(ledger.cells)
        return True


class Spender:
    """A budget that can be switched off and on."""

    def __init__(self, book: Any = None, *, per_hour: int = 1000, per_day: int = 5000) -> None:
        self.book, self.clock = Book() if book is None else book, ManualClock()
        self.per_hour, self.per_day = per_hour, per_day
        self.boots = 0
        self.start()

    def start(self) -> Budget:
        self.budget = Budget(self.book, self.clock, per_hour=self.per_hour, per_day=self.per_day)
        return self.budget

    def reboot(self) -> Budget:
        self.boots += 1
        self.clock.reboot(f"boot {self.boots}")
        return self.start()

    def left(self, priority: str = "alert") -> int:
        """The most that may be spent now."""
        return bisect(range(1, self.per_hour + 1), False, key=lambda size: self.budget.wait(priority, size) > 0)
