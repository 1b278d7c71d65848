"""One batch on the desk of one person: what comes next, what they answered, and when the batch is done."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final, Literal

from console.clients import Clients
from console.label.answers import Size, Spent, Worker, content, response
from console.label.batch import Batch, Subject, read_subjects
from console.label.pictures import Picture, Unreadable, fetch
from console.label.release import release
from console.label.votes import Votes, voter_of

State = Literal["open", "complete", "ended"]

_WINDOW: Final = 48
"""Objects within which each person starts elsewhere: the batch's order counts, and people who start together do not
all answer the same objects."""

_STALE: Final = 5
"""Objects in a row that others turn out to have finished before a look at all of them is cheaper."""


class BatchOver(Exception):
    """The batch takes no answers any more; the message says why."""


@dataclass
class Desk:
    """Safe to use from several threads: votes only grow, and the state is one word."""

    clients: Clients
    batch: Batch
    worker: Worker
    state: State = "open"
    released: bool = False
    """This station, and no other, let the round go on."""
    subjects: list[Subject] = field(init=False)
    votes: Votes = field(init=False)
    _sizes: dict[int, Size] = field(default_factory=dict)
    _given: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.voter = voter_of(self.worker.name)
        self.subjects = read_subjects(self.clients, self.batch)
        self.votes = Votes(self.clients, self.batch, len(self.subjects))

    def refresh(self, published: Batch | None) -> None:
        """Look what others have done, and let the round go on when the batch is complete.

        Args:
            published: the batch as it is published now, under another token when the round was started again; None
                when it is not any more.

        Raises:
            Failure, botocore.exceptions.ClientError, BotoCoreError: AWS did not answer; another time it may.
        """
        if published is None:
            self.state = "ended"
        elif published.token != self.batch.token:
            self.batch = self.votes.batch = published
            self.state, self.released = "open", False
        if self.state != "open":
            return
        self.votes.refresh()
        if self.votes.complete:
            self.released = release(self.clients, self.batch, self.votes)
            self.state = "complete"
        elif datetime.now(UTC) > self.batch.deadline:
            self.state = "ended"

    def next(self, held: Collection[int]) -> int | None:
        """An object that this person has not answered and that lacks answers, or None.

        Args:
            held: objects that the page has already.

        Raises:
            Failure: the bucket cannot be listed.
        """
        stale = 0
        for index in _order(len(self.subjects), self.voter) if self.state == "open" else ():
            if index in held or not self._wanted(index):
                continue
            # Others may have answered since everything was looked at.
            self.votes.refresh(index if stale < _STALE else None)
            if self._wanted(index):
                return index
            stale += 1
        return None

    def _wanted(self, index: int) -> bool:
        return self.votes.missing(index) > 0 and index not in self.mine

    def picture(self, index: int) -> Picture:
        """The image of an object.

        Raises:
            Unreadable: there is none; the object counts for the batch no more.
            botocore.exceptions.ClientError, BotoCoreError: S3 did not answer; another time it may.
        """
        try:
            picture = fetch(self.clients, self.batch.bucket, self.subjects[index].image)
        except Unreadable:
            self.votes.broken.add(index)
            raise
        self._sizes[index] = picture.size
        return picture

    def save(self, index: int, given: Any, spent: Spent) -> None:
        """Write an answer into the bucket.

        Raises:
            BatchOver: the round went on already. A batch whose time is over takes answers: it may be published again.
            AnswerInvalid: it is none.
            Unreadable, botocore.exceptions.ClientError, BotoCoreError: it could not be checked or written.
        """
        if self.state == "complete":
            raise BatchOver(self.sentence)
        size = self._sizes.get(index) or self.picture(index).size
        self.votes.save(index, self.voter, response(self.worker, content(self.batch, given, size), spent))
        self._given[index] = given

    def given(self, index: int) -> Any:
        """What this person answered since the station started, as the page sent it; None for what came before: nobody
        at the station may read answers."""
        return self._given.get(index)

    @property
    def mine(self) -> Mapping[int, str]:
        """What this person answered: object to the key of the answer."""
        return self.votes.of(self.voter)

    @property
    def sentence(self) -> str:
        """What has become of the batch, for a person."""
        batch, votes = self.batch, self.votes
        have = f"{votes.answered} of {votes.needed} answers"
        if self.state == "open":
            return f"{batch.job} waits for people: {have}, until {batch.deadline.astimezone():%Y-%m-%d %H:%M}"
        if self.released:
            return f"{batch.job} is complete: every object has its answers, and the round goes on"
        if self.state == "complete":
            return (
                f"{batch.job} is complete: every object has its answers. The round does not wait for it any more: "
                "another station let it go on, or its execution ended; then start the round again, answers are kept"
            )
        return (
            f"{batch.job} is over: it waited until {batch.deadline.astimezone():%Y-%m-%d %H:%M} and got {have}. "
            "They are kept: start the round again to go on"
        )


def _order(objects: int, voter: str) -> Iterator[int]:
    """The lines of the tasks manifest, most valuable first, as one person takes them."""
    offset = int(voter, 16)
    for start in count(0, _WINDOW):
        size = min(_WINDOW, objects - start)
        if size <= 0:
            return
        yield from (start + (offset + turn) % size for turn in range(size))
