"""Everything that is known of a round once its people have answered, read from the round's folder."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from jobs.labeling import gold_answers, labeling_jobs
from jobs.labeling.answers import NO_CATEGORY, Book, Bools, Given, collect
from jobs.labeling.fates import Answered, Routing
from jobs.labeling.human_level import human_level
from jobs.labeling.labeling_jobs import LabelingJob
from jobs.labeling.objects import Objects
from jobs.labeling.people import Honeypots
from jobs.labeling.tasks import Opinions, Task


@dataclass(frozen=True)
class Gathered:
    """The answers of a round and what follows from them."""

    objects: Objects
    routing: Routing
    jobs: list[LabelingJob]
    given: Given
    """All answers, with those of earlier rounds to gold."""
    on_gold: Bools
    right: Bools
    """[answer]: whether it is to a gold object, and whether it is what gold says."""
    honeypots: Honeypots
    opinions: Opinions
    answered: Answered

    @classmethod
    def read(
        cls, objects: Objects, task: Task, earlier: list[dict[str, Any]], attribute: str, minimum_accuracy: float
    ) -> Self:
        """
        Raises:
            JobError: a manifest or a response that is broken, or about an object that the round does not have.
        """
        routing, jobs, book = Routing.read(objects), labeling_jobs.listed(objects.folder), Book()
        gold_answers.enter(book, earlier, objects, task)
        asked_experts, automated = objects.marked([]), objects.marked([])
        for job in jobs:
            asked = job.asked(objects)
            collect(book, job, asked, task.parse)
            asked_experts[asked[asked >= 0]] |= job.team == labeling_jobs.EXPERTS
            for entry in job.automated(attribute):
                task.truth(entry)
                automated[objects.number(entry)] = True
        given = book.closed()
        right, on_gold = task.right(given, objects.gold), objects.is_gold[given.objects]
        honeypots = Honeypots.judged(given, on_gold, right, minimum_accuracy)
        believed = ~honeypots.dropped[given.workers]
        opinions = task.consolidate(given, believed, objects.gold, len(objects))
        now = given.where(believed & ~given.before)
        answered = Answered(
            anybody=objects.marked(now.objects),
            confidences=opinions.confidences,
            asked_experts=asked_experts,
            by_experts=objects.marked(now.objects[now.by_experts]),
            automated=automated,
        )
        return cls(objects, routing, jobs, given, on_gold, right, honeypots, opinions, answered)

    @property
    def experts(self) -> Bools:
        """[worker]: who ever answered as an expert is of the experts' tier."""
        return self.given.experts

    def human_level(self, task: Task) -> dict[str, Any]:
        said = self.given.labels != NO_CATEGORY

        def blind(members: Bools) -> Any:
            return task.blind(self.given.where(said & members[self.given.workers]), self.objects.gold)

        counted = said & self.on_gold
        return human_level(
            self.given.where(counted),
            self.right[counted],
            experts=self.experts,
            dropped=self.honeypots.dropped,
            blind=blind,
        )

    def described(self) -> dict[str, Any]:
        """What the people's work came to, in numbers."""
        given = self.given.where(~self.given.before)
        by_dropped = self.honeypots.dropped[given.workers]
        return {
            "answers": len(given),
            "answers_without_category": int((given.labels == NO_CATEGORY).sum()),
            "answers_of_dropped_workers": int(by_dropped.sum()),
            "dropped_workers": [
                self.given.people[number] for number in np.flatnonzero(self.honeypots.dropped).tolist()
            ],
            "unfinished_labeling_jobs": [job.name for job in self.jobs if job.status != "Completed"],
            "unlisted_labeling_jobs": labeling_jobs.unlisted(self.objects.folder, self.jobs),
        }
