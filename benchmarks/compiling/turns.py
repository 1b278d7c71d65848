"""Ways to do the same thing, timed by turns: what else the machine does meets all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

BLOCK_SECONDS = 0.02


@dataclass
class Times:
    """Milliseconds of single calls, block after block."""

    blocks: list[list[float]] = field(default_factory=list)

    def percentile(self, percent: float) -> float:
        return float(np.percentile([one for block in self.blocks for one in block], percent))

    def times_as_slow_as(self, other: "Times") -> float:
        """The median over pairs of blocks that stood side by side, of the medians of their calls."""
        pairs = zip(self.blocks, other.blocks, strict=True)
        return statistics.median(statistics.median(mine) / statistics.median(its) for mine, its in pairs)


def timed(ways: Mapping[str, Callable[[], object]], *, blocks: int) -> dict[str, Times]:
    """Every way's calls, each way in blocks of at least BLOCK_SECONDS and of 3 calls."""
    found = {name: Times() for name in ways}
    for number in range(-2, blocks):  # two blocks to warm up
        for name, call in ways.items():
            block: list[float] = []
            end = time.perf_counter() + BLOCK_SECONDS
            while len(block) < 3 or time.perf_counter() < end:
                started = time.perf_counter()
                call()
                block.append(1000 * (time.perf_counter() - started))
            if number >= 0:
                found[name].blocks.append(block)
    return found
