"""Lines in an order of their own, however many there are: sorted in memory by the piece, merged from disk."""

import heapq
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

BYTES_IN_MEMORY: Final = 8 * 2**20
OVERHEAD: Final = 60
"""What Python adds to each line in memory, in bytes."""
RUNS: Final = 64
"""As many sorted files are merged at once: far fewer than a process may have open."""


class SortedLines:
    """An external merge sort (D. E. Knuth, The Art of Computer Programming, volume 3, section 5.4).

    Sorted runs of a few megabytes go to disk and are merged when they are read; as soon as there are RUNS of one
    generation they become one run of the next, so every line is written once per generation: twice up to some 30
    gigabytes. Memory stays below twice BYTES_IN_MEMORY.
    """

    def __init__(self, folder: Path, *, bytes_in_memory: int = BYTES_IN_MEMORY, runs: int = RUNS) -> None:
        """Args: folder: an empty one that the caller removes."""
        self.count = 0
        self._folder, self._limit, self._runs = folder, bytes_in_memory, runs
        self._lines: list[str] = []
        self._bytes = 0
        self._generations: list[list[Path]] = [[]]
        self._written = 0

    def add(self, key: str, line: str) -> None:
        """Args: key: what to sort by, as ASCII text of the same length for every line. line: without a line break."""
        self._lines.append(f"{key}\t{line}\n")
        self._bytes += len(key) + len(line) + OVERHEAD
        self.count += 1
        if self._bytes >= self._limit:
            self._spill()

    def __iter__(self) -> Iterator[str]:
        """The lines in the order of their keys, without them, each with its line break. The end of adding."""
        self._lines.sort()
        runs = [run for generation in self._generations for run in generation]
        yield from (text[text.index("\t") + 1 :] for text in self._merged(runs, self._lines))

    def _spill(self) -> None:
        self._lines.sort()
        self._write(0, iter(self._lines))
        self._lines, self._bytes = [], 0
        for number, runs in enumerate(self._generations):
            if len(runs) == self._runs:
                self._write(number + 1, self._merged(runs, []))
                for run in runs:
                    run.unlink()
                runs.clear()

    def _write(self, generation: int, lines: Iterator[str]) -> None:
        path = self._folder / f"{self._written}.run"
        self._written += 1
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
        if generation == len(self._generations):
            self._generations.append([])
        self._generations[generation].append(path)

    @staticmethod
    def _merged(runs: list[Path], lines: list[str]) -> Iterator[str]:
        with ExitStack() as files:
            opened = [files.enter_context(run.open(encoding="utf-8", newline="\n")) for run in runs]
            yield from heapq.merge(*opened, lines)
