"""When each frame of a block was done, and how long it took."""

import time
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Times:
    """Of one block of frames."""

    latencies_ms: list[float] = field(default_factory=list)
    done_at: list[float] = field(default_factory=list)

    def add(self, latency_ms: float) -> None:
        """A frame is done now."""
        self.done_at.append(time.perf_counter())
        self.latencies_ms.append(latency_ms)

    @property
    def frames_per_second(self) -> float:
        """From the first frame done to the last, so that nobody's start counts."""
        return (len(self.done_at) - 1) / (self.done_at[-1] - self.done_at[0])


def percentile(blocks: list[Times], percent: float) -> float:
    """Milliseconds of all frames of some blocks."""
    return float(np.percentile([one for block in blocks for one in block.latencies_ms], percent))
