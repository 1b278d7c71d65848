"""Work that hangs. It imports next to nothing, since a fresh process has only seconds to come here."""

import time
from pathlib import Path

from jobs.comparison.isolated import Beat


def hung(beat: Beat, path: Path) -> None:
    """Beat once, leave a file, hang."""
    beat()
    path.touch()
    time.sleep(600)
