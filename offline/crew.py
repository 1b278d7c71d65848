"""Simulated people of a private workforce, whose error rates are known and whose errors agree as real ones do.

People do not err independently: an animal that one takes for another species, the next one often takes for the same.
So an object is either plain or, with a small probability, treacherous: on a treacherous object each person errs with
probability TREACHERY, on a plain one with a small probability of their own, and whoever errs on an object names the
same wrong species. Two conditions fix the two probabilities of an experienced person with error e:

    t * TREACHERY + (1 - t) * lapse = e                      each person alone
    t * majority(TREACHERY) + (1 - t) * majority(lapse) = E  the majority of all experienced people together

where majority(x) is the probability that more than half of them err when each errs with probability x.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import comb
from typing import Final

TREACHERY: Final = 0.6
SECONDS: Final = (2.0, 9.0)

LABELERS: Final = "labelers"
EXPERTS: Final = "experts"


@dataclass(frozen=True)
class Person:
    """One worker; `error` is the share of objects that they label wrong when they work alone."""

    worker_id: str
    error: float
    experienced: bool


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
    """Answers labeling tasks about the images whose class it was told.

    Args:
        truth: SHA-256 of an image's bytes, in hex, to its class.
        people: who works; the team `labelers` is all of them, `experts` the experienced.
        team_error: the error of the experienced people's majority together; not above their error alone.
        seed: hidden from the product: decides which objects are treacherous and who errs where.
    """

    truth: Mapping[str, str]
    people: tuple[Person, ...] = field(default_factory=default_people)
    team_error: float = 0.01
    seed: int = 20_251

    def answers(self, image: bytes, categories: list[str], workers: int, team: str) -> list[tuple[str, str, float]]:
        """One answer per worker asked: (worker id, label, seconds spent); empty for an image nobody knows.

        Who is asked rotates with the image, so the same image always gets the same answers, in any order of calls.

        Raises:
            ValueError: no such team, or fewer people in it than workers asked for.
        """
        members = self.team(team)
        if not 1 <= workers <= len(members):
            raise ValueError(f"{workers} workers per object asked of the team {team!r}, which has {len(members)}")
        digest = hashlib.sha256(image).hexdigest()
        truth = self.truth.get(digest)
        if truth is None:
            return []
        others = sorted(set(categories) - {truth}) or [truth]
        lookalike = others[int(self._chance(digest, "lookalike") * len(others))]
        treacherous = self._chance(digest, "treachery") < self.treacherous_share
        first = int(self._chance(digest, "rotation") * len(members))
        answers = []
        for person in (members[(first + turn) % len(members)] for turn in range(workers)):
            error = TREACHERY if treacherous else self._lapse(person)
            wrong = truth not in categories or self._chance(digest, person.worker_id) < error
            slowness = self._chance(digest, f"{person.worker_id} seconds") ** (1 if treacherous else 2)
            seconds = SECONDS[0] + (SECONDS[1] - SECONDS[0]) * slowness
            answers.append((person.worker_id, lookalike if wrong else truth, round(seconds, 3)))
        return answers

    def team(self, name: str) -> tuple[Person, ...]:
        """The members of a team."""
        if name not in (LABELERS, EXPERTS):
            raise ValueError(f"no team {name!r}; there are {LABELERS} and {EXPERTS}")
        return tuple(person for person in self.people if person.experienced or name == LABELERS)

    @cached_property
    def treacherous_share(self) -> float:
        """The share of objects that are treacherous, so that the experienced people together reach `team_error`."""
        experts = [person.error for person in self.people if person.experienced]
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
