"""Draws the demo's scenes: python -m console.demo.draw FOLDER SEED."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from offline.scenes import list_species, make_images

PER_CLASS: Final[Mapping[str, int]] = {"reef": 72, "wreck": 8}
"""Scenes of each species, by site. Only the reef is labeled at first; devices see both."""


def main(folder: Path, seed: int) -> None:
    for site, per_class in PER_CLASS.items():
        make_images(folder / site, list_species(), per_class, seed, site)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
