"""Sweep: what endpoint tests left whose execution was stopped, every hour. An endpoint that is left costs money."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from reefloop import environment
from reefloop.compilation import hosted


@dataclass(frozen=True)
class Environment:
    """An endpoint test that began longer ago than this is no longer watched by its execution."""

    age_seconds: int


def handler(_event: object, _context: object) -> dict[str, list[str]]:
    """Delete what is left of old endpoint tests; returns the names that are gone, and those that are not yet."""
    age = timedelta(seconds=environment.read(Environment).age_seconds)
    names = hosted.older_than(datetime.now(UTC) - age)
    gone = {name: hosted.delete(name) for name in names}
    return {"gone": [name for name in names if gone[name]], "left": [name for name in names if not gone[name]]}
