"""Everything that one person can label of a round: its batches, and what the page asks and sends."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from console.clients import Clients
from console.errors import Failure
from console.label.answers import Spent, Worker
from console.label.batch import find_batches
from console.label.desk import Desk
from console.label.pictures import Picture, Unreadable

REFRESH_SECONDS: Final = 10.0
"""Pause between two looks at what others do. A look at a large batch takes long: then the pause is longer too."""
_PAUSES: Final = 10
_FAREWELL_SECONDS: Final = 10.0
"""How long the end waits for the page to hear of it: nobody may have the page open."""

Ref = tuple[int, int]
"""One object, for the page: the number of its batch, and its line there."""


class NoSuchObject(Exception):
    """The page asked for something that is in no batch."""


@dataclass
class Station:
    """The desks of one person. Batches keep their number: those that come later are added at the end."""

    clients: Clients
    bucket: str
    round_: str
    team: str
    worker: Worker
    tell: Callable[[str], None]
    waits: bool = False
    """More batches may come: the page goes on asking when nothing is left."""
    trouble: str = ""
    """Why the last look at the bucket failed; "" when it did not."""
    unsaved: set[Ref] = field(default_factory=set)
    """Answers that S3 did not take; the page tries again."""
    saving: set[Ref] = field(default_factory=set)
    """Answers on their way to S3."""
    ended: threading.Event = field(default_factory=threading.Event)
    """Nothing is open and nothing awaited, and the page has been told."""
    _exhausted: bool = False
    _desks: list[Desk] = field(default_factory=list)
    _woken: threading.Event = field(default_factory=threading.Event)
    _looking: threading.Lock = field(default_factory=threading.Lock)

    def refresh(self) -> None:
        """Look at every batch, and let the round go on with those that are complete.

        Raises:
            Failure, botocore.exceptions.ClientError, BotoCoreError: AWS did not answer; another time it may.
        """
        with self._looking:
            published = {batch.job: batch for batch in find_batches(self.clients, self.bucket, self.round_, self.team)}
            known = {desk.batch.job for desk in self._desks}
            new = [Desk(self.clients, batch, self.worker) for job, batch in published.items() if job not in known]
            for desk in [*self._desks, *new]:
                before = "" if desk in new else desk.state
                desk.refresh(published.get(desk.batch.job))
                if desk.state != before:
                    self.tell(desk.sentence)
            self._desks += new

    def keep(self, stopping: threading.Event) -> None:
        """Refresh again and again until told to stop, or until nothing is open and nothing awaited."""
        while not stopping.is_set():
            started = time.monotonic()
            try:
                self.refresh()
                self._note("")
            except (Failure, ClientError, BotoCoreError) as error:
                self._note(f"AWS does not answer as it should: {error}")
            if self._desks and not self.open and not self.waits:
                self.ended.wait(_FAREWELL_SECONDS)
                self.ended.set()
                return
            self._woken.wait(max(REFRESH_SECONDS, _PAUSES * (time.monotonic() - started)))
            self._woken.clear()

    def wake(self) -> None:
        """Have `keep` look now."""
        self._woken.set()

    def _note(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            self.tell(trouble)
        self.trouble = trouble

    @property
    def desks(self) -> Sequence[Desk]:
        return tuple(self._desks)

    @property
    def open(self) -> list[Desk]:
        return [desk for desk in self._desks if desk.state == "open"]

    def next(self, held: Sequence[Ref]) -> Ref | None:
        """The next object of any batch that takes answers, or None.

        Raises:
            Failure: the bucket cannot be listed.
        """
        for number, desk in enumerate(self._desks):
            index = desk.next({index for batch, index in held if batch == number})
            if index is not None:
                self._exhausted = False
                return number, index
        if not self._exhausted:
            # It may be the moment in which a batch becomes complete.
            self._exhausted = True
            self.wake()
        return None

    def save(self, ref: Ref, given: Mapping[str, Any]) -> None:
        """Write an answer; raises what Desk.save does, and NoSuchObject."""
        desk, index = self._find(ref)
        self.saving.add(ref)
        try:
            desk.save(index, given.get("answer"), Spent.read(given))
            self.unsaved.discard(ref)
        except (Failure, ClientError, BotoCoreError):
            self.unsaved.add(ref)
            raise
        finally:
            self.saving.discard(ref)
        # What the page still has are the last objects for this person: others may have finished the rest meanwhile.
        if self._exhausted or desk.votes.complete:
            self.wake()

    def before(self, ref: Ref | None) -> Ref | None:
        """What this person answered last, or before the object `ref`; only where answers are still taken."""
        given = sorted(
            (key.rpartition("/")[2], (number, index))
            for number, desk in enumerate(self._desks)
            if desk.state == "open"
            for index, key in tuple(desk.mine.items())
        )
        refs = [one for _, one in given]
        earlier = refs[: refs.index(ref)] if ref in refs else refs
        return earlier[-1] if earlier else None

    def given(self, ref: Ref) -> Any:
        """What this person answered; None where the station does not know it any more."""
        desk, index = self._find(ref)
        return desk.given(index)

    def picture(self, ref: Ref) -> Picture:
        """The image of an object; raises what Desk.picture does, and NoSuchObject."""
        desk, index = self._find(ref)
        try:
            return desk.picture(index)
        except Unreadable as error:
            self.tell(f"left out: {error}")
            self.wake()
            raise

    def boxes(self, ref: Ref) -> Sequence[Mapping[str, Any]]:
        """The boxes that an object has already, where its batch is about those."""
        desk, index = self._find(ref)
        return desk.subjects[index].boxes

    def _find(self, ref: Ref) -> tuple[Desk, int]:
        number, index = ref
        if not 0 <= number < len(self._desks) or not 0 <= index < len(self._desks[number].subjects):
            raise NoSuchObject(f"no object {index} in a batch {number}")
        return self._desks[number], index

    def report(self) -> dict[str, Any]:
        """What the page shows besides the object."""
        counted = self.open or self._desks
        if self._desks and not self.open and not self.waits:
            self.ended.set()
        return {
            "round": self.round_,
            "team": self.team,
            "worker": self.worker.name,
            "open": bool(self.open),
            "complete": all(desk.state == "complete" for desk in self._desks),
            "waits": self.waits,
            "trouble": self.trouble,
            "mine": sum(len(desk.mine) for desk in self._desks),
            "answered": sum(desk.votes.answered for desk in counted),
            "needed": sum(desk.votes.needed for desk in counted),
            "broken": sum(len(desk.votes.broken) for desk in counted),
            "until": min((desk.batch.deadline.isoformat() for desk in self.open), default=""),
            "sentences": [desk.sentence for desk in self._desks],
            "batches": [
                {
                    "question": desk.batch.question,
                    "categories": desk.batch.categories,
                    "draws": desk.batch.draws,
                }
                for desk in self._desks
            ],
        }
