"""The link that the model component keeps: where it leads, and whether that has been dealt with."""

from pathlib import Path
from typing import Final

from classifier.clock import Clock
from classifier.models.package import SUMS

RETRY_SECONDS: Final = 60.0
"""After the disk did not take a model; to try at every look would wear a flash disk out."""


class Link:
    """Remembers the package that was dealt with last. The same files, unpacked again, are another one."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._seen = self._dealt_with = ("", 0)
        self._not_before, self._trouble = 0.0, ""

    @property
    def first(self) -> bool:
        """Nothing was dealt with yet."""
        return self._dealt_with == ("", 0)

    def look(self) -> Path | None:
        """The package that is to be dealt with now, if there is one."""
        try:
            source = self._path.resolve(strict=True)
            sums = source / SUMS
            seen = (str(source), sums.stat().st_mtime_ns if sums.exists() else 0)
        except (OSError, RuntimeError):  # before Python 3.13, a link to itself raises the latter
            return None  # no model yet, or the nucleus is just replacing it
        if seen != self._seen:
            self._not_before, self._trouble = 0.0, ""
        self._seen = seen
        return None if seen == self._dealt_with or self._clock.elapsed() < self._not_before else source

    def done(self) -> None:
        """What was seen is dealt with."""
        self._dealt_with = self._seen

    def later(self, trouble: str) -> bool:
        """It is to be seen again after a while; says whether this is another trouble than the last time."""
        new, self._trouble = trouble != self._trouble, trouble
        self._not_before = self._clock.elapsed() + RETRY_SECONDS
        return new

    def again(self) -> None:
        """It is to be seen again now."""
        self._dealt_with, self._not_before = ("", 0), 0.0
