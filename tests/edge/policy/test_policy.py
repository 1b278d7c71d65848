"""The policy as a whole: pure, repeatable, and cheap beside a model."""

import sys
from types import FrameType

from classifier.policy import Policy, Sighting

from tests.edge.policy.recorded import SURE, UNKNOWN, UNSURE, policy, seen


def run(subject: Policy, frames: int) -> list[object]:
    kinds = (SURE, UNSURE, SURE, UNKNOWN)
    sightings = [seen(0.5 * n, f"species {n // 7 % 40}", kinds[n // 3 % 4]) for n in range(frames)]
    return [(subject.see(each), subject.tick(each.at)) for each in sightings]


def test_the_same_frames_and_seed_give_the_same_verdicts() -> None:
    def once() -> list[object]:
        return run(policy(seed=3, watch_list=("species 1",), audit_frames_per_hour=60, summary_seconds=30), 2000)

    assert once() == once()


def test_a_frame_costs_no_more_after_many_thousands_than_after_a_few() -> None:
    subject = policy(watch_list=("species 1",))
    sightings = [seen(0.5 * n, f"species {n // 7 % 40}", UNSURE if n % 5 == 0 else SURE) for n in range(10_000)]

    def calls(some: list[Sighting]) -> int:
        """Of functions, built-in ones too: they do not depend on what else the machine does."""
        count = 0

        def called(frame: FrameType, event: str, argument: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(called)
        try:
            for sighting in some:
                subject.see(sighting)
        finally:
            sys.setprofile(before)
        return count

    first, between, last = sightings[:1400], sightings[1400:-1400], sightings[-1400:]
    early = calls(first)
    for sighting in between:
        subject.see(sighting)
    assert calls(last) <= 1.1 * early
    assert early <= 30 * len(first)
