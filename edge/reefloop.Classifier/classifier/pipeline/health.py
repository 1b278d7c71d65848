"""How the device is: what it measures of itself, and the body of the health record that says so."""

import math
import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from classifier.clock import Clock

MIB: Final = 1024 * 1024
JUMP_SECONDS: Final = 2.0
"""The clock was set when it moved that much against the time that passed."""
_THERMAL: Final = Path("/sys/class/thermal")
_STATM: Final = Path("/proc/self/statm")


class Latencies:
    """Milliseconds in buckets that grow by 5 %, from 0.1 ms to 10 minutes: a percentile is at most 5 % too high, never
    too low, and the memory is the same after a frame and after a billion. The largest value is exact."""

    _SMALLEST: Final = 0.1
    _GROWTH: Final = math.log(1.05)
    _BUCKETS: Final = math.ceil(math.log(600_000 / 0.1) / math.log(1.05)) + 1

    def __init__(self) -> None:
        self._counts = [0] * self._BUCKETS
        self.count, self.largest = 0, 0.0

    def add(self, milliseconds: float) -> None:
        bucket = math.ceil(math.log(max(milliseconds, self._SMALLEST) / self._SMALLEST) / self._GROWTH)
        self._counts[min(bucket, self._BUCKETS - 1)] += 1
        self.count += 1
        self.largest = max(self.largest, milliseconds)

    def percentile(self, percent: float) -> float:
        """By nearest rank; 0 without values."""
        rank, seen = max(1, math.ceil(self.count * percent / 100)), 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if seen >= rank:
                return min(self.largest, self._SMALLEST * math.exp(bucket * self._GROWTH))
        return 0.0

    def told(self) -> dict[str, float]:
        """What a health record says of them."""
        return {
            "p50": round(self.percentile(50), 2),
            "p99": round(self.percentile(99), 2),
            "max": round(self.largest, 2),
        }


class Jumps:
    """Counts how often somebody, or a time server, moved the clock."""

    def __init__(self, clock: Clock) -> None:
        self.count = 0
        self._clock, self._offset = clock, clock.wall() - clock.elapsed()

    def look(self) -> None:
        offset = self._clock.wall() - self._clock.elapsed()
        if abs(offset - self._offset) > JUMP_SECONDS:
            self.count += 1
        self._offset = offset


def temperature_c(zones: Path = _THERMAL) -> float | None:
    """The hottest thermal zone of the device; None where there is none that makes sense.

    https://www.kernel.org/doc/html/latest/driver-api/thermal/sysfs-api.html: millidegrees Celsius.
    """
    found = []
    for file in zones.glob("thermal_zone*/temp"):
        try:
            degrees = int(file.read_text()) / 1000
        except (OSError, ValueError):
            continue
        # Zones of sleeping parts read 0, -274 and the like.
        if 0 < degrees < 150:
            found.append(degrees)
    return round(max(found), 1) if found else None


def disk_free_mib(folder: Path) -> int:
    """Of what an ordinary user may still write; 0 where the disk does not answer."""
    try:
        return shutil.disk_usage(folder).free // MIB
    except OSError:
        return 0


def memory_mib(statm: Path = _STATM) -> float:
    """The resident set of this process: https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html"""
    try:
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB
    except (OSError, ValueError, IndexError):
        return 0.0


class Missed:
    """Frames of which nobody knows what was on them, counted by any thread: in all, and since they were `taken`."""

    def __init__(self) -> None:
        self.dropped = self.unreadable = 0
        self._lock = threading.Lock()
        self._taken = (0, 0)

    def add(self, *, dropped: int = 0, unreadable: int = 0) -> None:
        with self._lock:
            self.dropped += dropped
            self.unreadable += unreadable

    def take(self) -> tuple[int, int] | None:
        """How many were dropped and were unreadable since the last call; None for none."""
        if self._taken == (self.dropped, self.unreadable):
            return None
        with self._lock:
            before, self._taken = self._taken, (self.dropped, self.unreadable)
        return self._taken[0] - before[0], self._taken[1] - before[1]


class Health:
    """Counts what happens between two health records, and writes the body of one."""

    def __init__(self, *, clock: Clock, work: Path) -> None:
        self.latencies, self.missed = Latencies(), Missed()
        self.jumps = Jumps(clock)
        self._clock, self._work = clock, work
        self._started = self._since = clock.elapsed()

    def frame(self, milliseconds: float) -> None:
        """One frame was classified."""
        self.latencies.add(milliseconds)

    def body(self, **parts: Mapping[str, Any] | int | str) -> dict[str, Any]:
        """A health record of the time since the last one; `parts` are what other stages know of themselves."""
        now = self._clock.elapsed()
        latencies, self.latencies = self.latencies, Latencies()
        seconds, self._since = max(now - self._since, 1e-3), now
        return {
            "frames_per_second": round(latencies.count / seconds, 3),
            "latency_ms": latencies.told(),
            "temperature_c": temperature_c(),
            "dropped": self.missed.dropped,
            "unreadable": self.missed.unreadable,
            "disk_free_mib": disk_free_mib(self._work),
            "memory_mib": round(memory_mib()),
            "clock_jumps": self.jumps.count,
            "uptime_seconds": round(now - self._started),
            **parts,
        }
