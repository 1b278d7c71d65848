"""The policy as a whole: pure, repeatable, and cheap beside a model."""

import time

from classifier.policy import Policy

from tests.edge.policy.recorded import SURE, UNKNOWN, UNSURE, policy, seen


def run(subject: Policy, frames: int) -> list[object]:
    kinds = (SURE, UNSURE, SURE, UNKNOWN)
    sightings = [seen(0.5 * n, f"species {n // 7 % 40}", kinds[n // 3 % 4]) for n in range(frames)]
    return [(subject.see(each), subject.tick(each.at)) for each in sightings]


def test_the_same_frames_and_seed_give_the_same_verdicts() -> None:
    def once() -> list[object]:
        return run(policy(seed=3, watch_list=("species 1",), audit_frames_per_hour=60, summary_seconds=30), 2000)

    assert once() == once()


def test_a_frame_costs_less_than_20_microseconds() -> None:
    subject = policy(watch_list=("species 1",))
    sightings = [seen(0.5 * n, f"species {n // 7 % 40}", UNSURE if n % 5 == 0 else SURE) for n in range(10_000)]

    def seconds() -> float:
        began = time.process_time()
        for sighting in sightings:
            subject.see(sighting)
        return time.process_time() - began

    assert min(seconds() for _ in range(3)) / len(sightings) < 20e-6
