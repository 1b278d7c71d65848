"""What time it is on a device whose clock may jump: time that passes, and time that is written into records."""

import time
from pathlib import Path
from typing import Final, Protocol

_OS_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """Every rate, window and pause is measured by `elapsed`; `wall` only labels what leaves the device."""

    def elapsed(self) -> float:
        """Seconds since the device was switched on, asleep or not. Never goes back while `boot` stays the same."""

    def wall(self) -> float:
        """Seconds since 1970, as far as the device knows. May jump either way at any moment."""

    def boot(self) -> str:
        """Names this life of the operating system: two readings of `elapsed` compare only under the same name."""


class SystemClock:
    """The clocks of Linux: https://man7.org/linux/man-pages/man2/clock_gettime.2.html (CLOCK_BOOTTIME)."""

    def __init__(self) -> None:
        try:
            self._boot = _OS_BOOT.read_text().strip()
        except OSError:
            self._boot = f"{time.time() - self.elapsed():.0f}"

    def elapsed(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()

    def wall(self) -> float:
        return time.time()

    def boot(self) -> str:
        return self._boot


class ManualClock:
    """Time that passes only when told: recorded footage is replayed by it, and tests wait a day in no time."""

    def __init__(self, *, wall: float = 1_800_000_000.0, boot: str = "manual") -> None:
        self._elapsed, self._wall, self._boot = 0.0, wall, boot

    def elapsed(self) -> float:
        return self._elapsed

    def wall(self) -> float:
        return self._wall

    def boot(self) -> str:
        return self._boot

    def advance(self, seconds: float) -> None:
        """Let time pass, on both clocks."""
        self._elapsed += seconds
        self._wall += seconds

    def set_wall(self, wall: float) -> None:
        """Somebody, or a time server, sets the clock."""
        self._wall = wall

    def reboot(self, name: str) -> None:
        """The operating system starts anew: `elapsed` begins at nought."""
        self._elapsed, self._boot = 0.0, name
