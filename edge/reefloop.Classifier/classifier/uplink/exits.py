"""How often the component may end itself, so that the nucleus does not give it up.

A lost connection to the nucleus is only mended by a new process with a new token. Nucleus lite starts a component
three times within an hour and then leaves it alone, BROKEN, for good; the classic nucleus counts three errors:
https://docs.aws.amazon.com/greengrass/v2/developerguide/troubleshooting.html. Starts are what is counted here, as a
crash, a kill for want of memory and a deployment use them up too.
"""

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from classifier.clock import Clock

log = logging.getLogger(__name__)

HOUR_SECONDS: Final = 3600.0
STARTS_PER_HOUR: Final = 2
"""After which the component does not end itself: the third start that the nucleus allows is kept for a crash."""


class Exits:
    """The starts of the last hour, remembered in a file. They count within one life of the operating system, by its
    `elapsed`: whoever counts them forgets them with it, and its wall clock may jump.

    What cannot be read in the file counts for nothing. Where it cannot be written, an hour is waited for.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._started = clock.elapsed()
        self._starts = [*self._before(self._started), self._started]
        self._kept = self._keep()

    def wait(self) -> float:
        """Seconds until the process may end itself; 0.0 when it may now."""
        now = self._clock.elapsed()
        if not self._kept:  # the next process will know nothing of this one
            return max(0.0, self._started + HOUR_SECONDS - now)
        recent = sorted(start for start in self._starts if start > now - HOUR_SECONDS)
        if len(recent) < STARTS_PER_HOUR:
            return 0.0
        return max(0.0, recent[-STARTS_PER_HOUR] + HOUR_SECONDS - now)

    def _before(self, now: float) -> Iterable[float]:
        try:
            document = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, ValueError, RecursionError) as error:
            log.warning("%s is not readable, earlier starts are not counted: %s", self._path, error)
            return []
        found: Any = document.get("starts") if isinstance(document, dict) else None
        if not isinstance(found, list) or document.get("boot") != self._clock.boot():
            return []
        return [float(each) for each in found if type(each) in (int, float) and now - HOUR_SECONDS < each <= now]

    def _keep(self) -> bool:
        draft = self._path.with_name(f"{self._path.name}.new")
        try:
            draft.write_text(json.dumps({"boot": self._clock.boot(), "starts": self._starts}))
            draft.replace(self._path)
        except OSError as error:
            log.warning("%s cannot be written, the process will not end itself within an hour: %s", self._path, error)
            return False
        return True
