"""A model asked about every object of the test split, and the champion about the same; nothing per object is kept."""

import heapq
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from jobs import images
from jobs.errors import JobError
from jobs.evaluation.comparison import Comparison
from jobs.evaluation.tables import Matrix
from jobs.manifest import Entry
from jobs.model_package import ModelPackage
from jobs.paths import object_key
from jobs.training.calibration import Reliability

WORST: Final = 24
AHEAD: Final = 256
"""As many answers wait in memory."""
LISTED: Final = 100
"""As many unreadable images are listed; all are counted."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Mistake:
    """An object that the model got wrong. `confidence` is the probability of its answer, `probability` the truth's."""

    source_ref: str
    label: str
    predicted: str
    probability: float
    confidence: float
    picture: NDArray[np.uint8] = field(repr=False, compare=False)
    """What the model saw, HWC."""

    def described(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "picture"}


@dataclass
class Measured:
    """The counts of a test split."""

    confusion: Matrix
    comparison: Comparison | None
    before: Reliability = field(default_factory=Reliability)
    """Of the probabilities without the temperature."""
    after: Reliability = field(default_factory=Reliability)
    unreadable: int = 0
    unreadable_listed: list[dict[str, str]] = field(default_factory=list)
    _worst: list[tuple[float, int, Mistake]] = field(default_factory=list)

    @property
    def objects(self) -> int:
        return int(self.confusion.sum())

    @property
    def errors(self) -> int:
        return self.objects - int(np.diag(self.confusion).sum())

    @property
    def worst(self) -> list[Mistake]:
        """The mistakes that the model was surest of, the surest first."""
        return [mistake for _, _, mistake in sorted(self._worst, reverse=True)]

    def add_mistake(self, number: int, mistake: Mistake) -> None:
        """The `number`-th mistake; of equally sure ones the first stay."""
        heapq.heappush(self._worst, (mistake.confidence, -number, mistake))
        if len(self._worst) > WORST:
            heapq.heappop(self._worst)


@dataclass(frozen=True)
class _Answer:
    logits: NDArray[np.float32]
    champion: str | None
    picture: NDArray[np.uint8]


def measure(
    entries: Iterable[Entry],
    folder: Path,
    model: ModelPackage,
    champion: ModelPackage | None,
    *,
    attribute: str,
    unreadable_allowed: int,
) -> Measured:
    """Decode and ask with as many threads as there are processors, in the order of the entries.

    Args:
        entries: objects of classes that the model knows.
        folder: images by their S3 key.

    Raises:
        JobError: more unreadable images than allowed, or an answer that is no number.
    """
    index = {label: number for number, label in enumerate(model.labels)}
    known = set(champion.labels) if champion else set()
    found = Measured(
        confusion=np.zeros((len(index), len(index)), np.int64),
        comparison=Comparison(champion.version) if champion else None,
    )

    def ask(entry: Entry) -> _Answer | str:
        try:
            image = images.decode(folder / object_key(entry.source_ref))
        except images.UnreadableImage as error:
            return str(error)
        picture = images.resized(image, model.pixels)
        said = None
        if champion and entry.class_name(attribute) in known:
            said = champion.labels[int(champion.logits(images.resized(image, champion.pixels)).argmax())]
        return _Answer(model.logits(picture), said, picture)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, (entry, answer) in enumerate(_ahead(pool, ask, entries)):
            if isinstance(answer, str):
                _leave_out(found, entry, answer, unreadable_allowed)
            else:
                _count(found, number, entry, entry.class_name(attribute), answer, model, index)
                if found.comparison:
                    _compare(found.comparison, answer, entry, attribute, model)
    return found


def _count(
    found: Measured, number: int, entry: Entry, label: str, answer: _Answer, model: ModelPackage, index: dict[str, int]
) -> None:
    if not np.isfinite(answer.logits).all():
        raise JobError(f"the model answers {entry.source_ref} with values that are no numbers: train it again")
    truth, predicted = index[label], int(answer.logits.argmax())
    found.confusion[truth, predicted] += 1
    right = np.array([predicted == truth])
    probabilities = _softmax(answer.logits, model.temperature)
    found.before.add(_softmax(answer.logits, 1.0)[[predicted]], right)
    found.after.add(probabilities[[predicted]], right)
    if predicted != truth:
        chances = float(probabilities[truth]), float(probabilities[predicted])
        found.add_mistake(number, Mistake(entry.source_ref, label, model.labels[predicted], *chances, answer.picture))


def _compare(comparison: Comparison, answer: _Answer, entry: Entry, attribute: str, model: ModelPackage) -> None:
    if answer.champion is None:
        comparison.left_out += 1
        return
    label = entry.class_name(attribute)
    comparison.add(
        candidate=model.labels[int(answer.logits.argmax())] == label,
        champion=answer.champion == label,
        by_machine=not entry.by_human(attribute),
    )


def _leave_out(found: Measured, entry: Entry, reason: str, allowed: int) -> None:
    """An image that nobody can read is left out of both models."""
    found.unreadable += 1
    if len(found.unreadable_listed) < LISTED:
        found.unreadable_listed.append({"source_ref": entry.source_ref, "reason": reason})
    if found.unreadable > allowed:
        first = found.unreadable_listed[0]
        raise JobError(
            f"more than {allowed} of the test split's images cannot be read, first {first['source_ref']}: "
            f"{first['reason']}; put them back into the bucket, or raise training.unreadable_share"
        )


def _ahead(
    pool: ThreadPoolExecutor, function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[tuple[Item, Result]]:
    """What the function gives for each item, in order, while the pool works on the next ones."""
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    for item in items:
        waiting.append((item, pool.submit(function, item)))
        if len(waiting) >= AHEAD:
            first, future = waiting.popleft()
            yield first, future.result()
    for item, future in waiting:
        yield item, future.result()


def _softmax(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    scaled = logits.astype(np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max())
    return np.asarray(exponentials / exponentials.sum())
