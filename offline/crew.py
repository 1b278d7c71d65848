"""Simulated people of a private workforce, whose error rates are known and whose errors agree as real ones do.

People do not err independently: an animal that one takes for another species, the next one often takes for the same.
So an object is either plain or, with a small probability, treacherous: on a treacherous object each person errs with
probability TREACHERY, on a plain one with a small probability of their own, and whoever errs on an object names the
same wrong species. Two conditions fix the two probabilities of an experienced person with error e:

    t * TREACHERY + (1 - t) * lapse = e                      each person alone
    t * majority(TREACHERY) + (1 - t) * majority(lapse) = E  the majority of all experienced people together

where majority(x) is the probability that more than half of them err when each errs with probability x.

With boxes every thing in the picture is an object of its own: who errs on it misses it or names the wrong species, and
whoever draws it draws each edge a little beside where it is.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import comb
from typing import Final

from offline.boxes import Box, matches, same
from offline.state import Answer, Work

TREACHERY: Final = 0.6
SECONDS: Final = (2.0, 9.0)
# How far beside its true place an edge is drawn, at most, as a share of the box's side.
JITTER: Final = 0.06
# A box that is shown and overlaps the true one by this much is good enough for people.
GOOD_OVERLAP: Final = 0.6

LABELERS: Final = "labelers"
EXPERTS: Final = "experts"


@dataclass(frozen=True)
class Person:
    """One worker; `error` is the share of objects that they label wrong when they work alone.

    A spammer does not look: their answers are drawn at random, whatever `error` says.
    """

    worker_id: str
    error: float
    experienced: bool
    spammer: bool = False


def default_people() -> tuple[Person, ...]:
    """Five people: two newly trained, three experienced."""
    return (
        Person("private.us-east-1.5c1e9a7d20f4b386", 0.05, experienced=False),
        Person("private.us-east-1.a83d06be47f1925c", 0.05, experienced=False),
        Person("private.us-east-1.1f7b42c9d8e0635a", 0.025, experienced=True),
        Person("private.us-east-1.e69402d1b7a58fc3", 0.025, experienced=True),
        Person("private.us-east-1.7ad5f3180c9be264", 0.025, experienced=True),
    )


@dataclass(frozen=True, kw_only=True)
class Crew:
    """Answers labeling tasks about the images whose class, or whose boxes, it was told.

    Args:
        truth: SHA-256 of an image's bytes, in hex, to its class.
        boxes: the same to the boxes of what is in it; an image that has none here has nothing in it.
        people: who works; the team `labelers` is all of them, `experts` the experienced.
        team_error: the error of the experienced people's majority together; not above their error alone.
        seed: hidden from the product: decides which objects are treacherous and who errs where.
    """

    truth: Mapping[str, str]
    boxes: Mapping[str, Sequence[Box]] = field(default_factory=dict)
    people: tuple[Person, ...] = field(default_factory=default_people)
    team_error: float = 0.01
    seed: int = 20_251

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
        """One answer per worker asked; none about an image that nobody knows.

        Who is asked rotates with the image, so the same image always gets the same answers, in any order of calls.

        Args:
            work: what the page asks: a class of `categories`; the boxes of what is in the picture; whether the boxes
                `shown` are right (the first category) or not (another); those boxes put right.

        Raises:
            ValueError: no such team, or fewer people in it than workers asked for.
        """
        members = self.team(team)
        if not 1 <= workers <= len(members):
            raise ValueError(f"{workers} workers per object asked of the team {team!r}, which has {len(members)}")
        digest = hashlib.sha256(image).hexdigest()
        if digest not in self.truth and (work == "classify" or digest not in self.boxes):
            return []
        first = int(self._chance(digest, "rotation") * len(members))
        asked = [members[(first + turn) % len(members)] for turn in range(workers)]
        return [
            Answer(person.worker_id, self._says(person, digest, categories, work, shown), self._seconds(person, digest))
            for person in asked
        ]

    def _says(
        self, person: Person, digest: str, categories: list[str], work: Work, shown: Sequence[Box]
    ) -> str | list[Box]:
        if work == "classify":
            return self._classify(person, digest, self.truth[digest], categories)
        truth = list(self.boxes.get(digest, ()))
        if work == "verify":
            right = categories[0] if same(shown, truth, GOOD_OVERLAP) else categories[-1]
            return self._classify(person, digest, right, categories)
        return self._draw(person, digest, truth, categories, shown if work == "adjust" else ())

    def _classify(self, person: Person, digest: str, truth: str, categories: list[str]) -> str:
        if person.spammer:
            return categories[int(self._chance(digest, f"{person.worker_id} spam") * len(categories))]
        wrong = truth not in categories or self._errs(person, digest)
        return self._lookalike(digest, truth, categories) if wrong else truth

    def _draw(
        self, person: Person, digest: str, truth: list[Box], categories: list[str], shown: Sequence[Box]
    ) -> list[Box]:
        """The person's own boxes; what is shown and good enough they leave as it is."""
        if person.spammer:
            sides = [1 + 40 * self._chance(digest, f"{person.worker_id} {side}") for side in ("x", "y", "wide", "high")]
            return [Box(self._classify(person, digest, "", categories), *sides)]
        kept = {j: shown[i] for i, j in matches(shown, truth, GOOD_OVERLAP)}
        drawn = []
        for number, box in enumerate(truth):
            thing = f"{digest}/{number}" if number else digest
            box = replace(kept[number], label=box.label) if number in kept else self._beside(person, thing, box)
            if not self._errs(person, thing):
                drawn.append(box)
            elif self._chance(thing, f"{person.worker_id} misses") < 0.5:
                drawn.append(replace(box, label=self._lookalike(thing, box.label, categories)))
        return drawn

    def _beside(self, person: Person, thing: str, box: Box) -> Box:
        def off(edge: str, side: float) -> float:
            return JITTER * side * (2 * self._chance(thing, f"{person.worker_id} {edge}") - 1)

        left, top = max(0.0, box.left + off("left", box.width)), max(0.0, box.top + off("top", box.height))
        right = box.left + box.width + off("right", box.width)
        return Box(box.label, left, top, right - left, box.top + box.height + off("bottom", box.height) - top)

    def _errs(self, person: Person, thing: str) -> bool:
        error = TREACHERY if self._treacherous(thing) else self._lapse(person)
        return self._chance(thing, person.worker_id) < error

    def _treacherous(self, thing: str) -> bool:
        return self._chance(thing, "treachery") < self.treacherous_share

    def _lookalike(self, thing: str, truth: str, categories: list[str]) -> str:
        """What everybody takes it for who does not know better."""
        others = sorted(set(categories) - {truth}) or [truth]
        return others[int(self._chance(thing, "lookalike") * len(others))]

    def _seconds(self, person: Person, digest: str) -> float:
        slowness = self._chance(digest, f"{person.worker_id} seconds") ** (1 if self._treacherous(digest) else 2)
        return round(SECONDS[0] + (SECONDS[1] - SECONDS[0]) * slowness, 3)

    def team(self, name: str) -> tuple[Person, ...]:
        """The members of a team."""
        if name not in (LABELERS, EXPERTS):
            raise ValueError(f"no team {name!r}; there are {LABELERS} and {EXPERTS}")
        return tuple(person for person in self.people if person.experienced or name == LABELERS)

    @cached_property
    def treacherous_share(self) -> float:
        """The share of objects that are treacherous, so that the experienced people together reach `team_error`."""
        experts = [person.error for person in self.people if person.experienced and not person.spammer]
        if not experts:
            return 0.0
        if len(set(experts)) > 1:
            raise ValueError(f"experienced people must have one error rate, got {sorted(set(experts))}")
        alone = experts[0]
        lowest, highest = 0.0, alone / TREACHERY
        team = [self._team_error(share, alone, len(experts)) for share in (lowest, highest)]
        if not team[0] <= self.team_error <= team[1]:
            raise ValueError(
                f"team_error {self.team_error} is out of reach: {len(experts)} people who err at {alone} alone can "
                f"together err at {team[0]:.4f} (independent) to {team[1]:.4f} (always together)"
            )
        for _ in range(60):
            middle = (lowest + highest) / 2
            below = self._team_error(middle, alone, len(experts)) < self.team_error
            lowest, highest = (middle, highest) if below else (lowest, middle)
        return lowest

    def _lapse(self, person: Person) -> float:
        return max(0.0, (person.error - self.treacherous_share * TREACHERY) / (1 - self.treacherous_share))

    @staticmethod
    def _team_error(share: float, alone: float, size: int) -> float:
        lapse = (alone - share * TREACHERY) / (1 - share)
        return share * _majority(TREACHERY, size) + (1 - share) * _majority(lapse, size)

    def _chance(self, digest: str, what: str) -> float:
        """A number in [0, 1) that only this seed, this image and this purpose determine."""
        mixed = hashlib.blake2b(f"{self.seed}/{digest}/{what}".encode(), digest_size=7).digest()
        return int.from_bytes(mixed) / 2**56


def _majority(error: float, size: int) -> float:
    """The probability that more than half of `size` people err, each independently with probability `error`."""
    return sum(comb(size, k) * error**k * (1 - error) ** (size - k) for k in range(size // 2 + 1, size + 1))
