"""The people of a round: a crew that is of different minds about some pictures, at pages and at the station."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from console.label.answers import Spent, Worker
from console.label.batch import find_batches
from console.label.desk import Desk
from offline.boxes import Box
from offline.crew import LABELERS, Crew
from offline.state import Answer, Work
from tests.workflow.deployed import Deployed


@dataclass
class Divided:
    """A crew whose labelers all say something else about the `hard` pictures (SHA-256, hex); its experts know them."""

    truth: dict[str, str] = field(default_factory=dict)
    boxes: dict[str, list[Box]] = field(default_factory=dict)
    hard: set[str] = field(default_factory=set)

    def answers(
        self,
        image: bytes,
        categories: list[str],
        workers: int,
        team: str,
        *,
        work: Work = "classify",
        shown: Sequence[Box] = (),
    ) -> list[Answer]:
        answers = Crew(truth=self.truth, boxes=self.boxes).answers(
            image, categories, workers, team, work=work, shown=shown
        )
        digest = hashlib.sha256(image).hexdigest()
        if digest not in self.hard:
            return answers
        if team != LABELERS:
            return [answer._replace(content=self._right(digest, work)) for answer in answers]
        return [answer._replace(content=self._own(digest, work, categories, n)) for n, answer in enumerate(answers)]

    def _right(self, digest: str, work: Work) -> str | list[Box]:
        return self.truth[digest] if work == "classify" else list(self.boxes[digest])

    def _own(self, digest: str, work: Work, categories: list[str], number: int) -> str | list[Box]:
        if work == "classify":
            return categories[number]
        return [replace(box, label=categories[number]) for box in self.boxes[digest]]


def sit_down(loop: Deployed, crew: Divided, round_: str, team: str, *, at_most: int = 10_000) -> int:
    """Answer everything that is published for a team at the station, or `at_most` votes of it; returns how many.

    As `console label` does it, for one person after the other; each answers what the crew would ask them.
    """
    given = 0
    [batch] = find_batches(loop.account.client, loop.project.data_bucket, round_, team)
    for person in Crew(truth={}).team(team):
        desk = Desk(loop.account.client, batch, Worker(person.worker_id, {"identityProviderType": "IAM"}))
        desk.refresh(batch)
        left_to_others: set[int] = set()
        while given < at_most and (index := desk.next(left_to_others)) is not None:
            image = loop.read(desk.subjects[index].image)
            said = {one.worker: one for one in crew.answers(image, list(batch.categories), batch.votes, team)}
            if person.worker_id not in said:
                left_to_others.add(index)
                continue
            now = datetime.now(UTC)
            desk.save(index, said[person.worker_id].content, Spent(now, now, 1.0))
            given += 1
        desk.refresh(batch)
    return given
