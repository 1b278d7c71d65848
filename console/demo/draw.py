"""Draws the demo's scenes, in a process of its own so that it does not hold up the account: FOLDER SEED."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from offline.scenes import list_species, make_images

ROOT: Final = Path(__file__).resolve().parents[2]
PER_CLASS: Final[Mapping[str, int]] = {"reef": 52, "wreck": 20}
"""Scenes of each species, by site. Only the reef is labeled at first; devices see both."""


class Drawing:
    """A process that draws; `wait` until it has, leave the block and it is gone."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed = folder, seed

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "console.demo.draw", str(self._folder), str(self._seed)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        return self

    def wait(self) -> Mapping[str, Path]:
        """Wait for the scenes; returns the folder of each site.

        Raises:
            RuntimeError: they could not be drawn.
        """
        _, problem = self._process.communicate()
        if self._process.returncode:
            raise RuntimeError(f"the scenes could not be drawn: {problem.strip().splitlines()[-1]}")
        return {site: self._folder / site for site in PER_CLASS}

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()


def main(folder: Path, seed: int) -> None:
    for site, per_class in PER_CLASS.items():
        make_images(folder / site, list_species(), per_class, seed, site)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
