"""The field accuracy: only of frames that were drawn at random and labeled by people, each as heavy as it should be."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from console import field
from console.field import Audited, Frames, estimate
from offline.account import Account
from tests.any import any_round, any_thing


def audited(right: int, wrong: int, *, of: int = 1, model: str = "r1") -> list[Audited]:
    return [Audited(model, "crab", "crab", of)] * right + [Audited(model, "crab", "squid", of)] * wrong


def test_with_equal_weights_the_interval_is_wilsons() -> None:
    one = estimate("r1", audited(81, 19))
    assert one.share == pytest.approx(0.81)
    # https://www.itl.nist.gov/div898/handbook/prc/section2/prc241.htm has the formula.
    assert (one.low, one.high) == (pytest.approx(0.7222, abs=1e-4), pytest.approx(0.8749, abs=1e-4))


def test_a_frame_counts_for_as_many_as_it_was_drawn_from() -> None:
    assert estimate("r1", audited(1, 0, of=900) + audited(0, 1, of=100)).share == pytest.approx(0.9)


def test_how_many_each_was_drawn_from_does_not_matter_when_it_was_the_same() -> None:
    assert estimate("r1", audited(8, 2, of=1)) == estimate("r1", audited(8, 2, of=500))


def test_a_frame_that_outweighs_all_others_proves_little_more_than_itself() -> None:
    one = estimate("r1", audited(1, 0, of=10_000) + audited(99, 0))
    assert one.high - one.low > 0.7


@given(right=st.integers(0, 50), wrong=st.integers(0, 50), of=st.integers(1, 10**9))
def test_the_share_is_within_its_interval(right: int, wrong: int, of: int) -> None:
    if right + wrong:
        one = estimate("r1", audited(right, wrong, of=of))
        assert 0 <= one.low <= one.share + 1e-12
        assert one.share <= one.high + 1e-12 <= 1 + 2e-12


def test_of_many_estimates_from_intervals_of_any_size_nineteen_in_twenty_hold_the_truth() -> None:
    """Devices that see few frames in one hour and many in the next, and are wrong more often in the busy ones."""
    chance = random.Random(1)
    held = 0
    for _ in range(400):
        hours = [chance.choice((10, 100, 1000)) for _ in range(150)]
        rates = [0.95 if of < 1000 else 0.85 for of in hours]
        truth = sum(of * rate for of, rate in zip(hours, rates, strict=True)) / sum(hours)
        drawn = [
            Audited("r1", "crab", "crab" if chance.random() < rate else "squid", of)
            for of, rate in zip(hours, rates, strict=True)
        ]
        one = estimate("r1", drawn)
        held += one.low <= truth <= one.high
    assert held >= 0.93 * 400


# ---- From the bucket -------------------------------------------------------------------------------------------------


@pytest.fixture
def frames(account: Account) -> Frames:
    bucket = any_round()
    account.client("s3").create_bucket(Bucket=bucket)
    return Frames(account.client, bucket)


def label(frames: Frames, round_: str, *lines: tuple[str, str, str]) -> None:
    """Let a round label objects: key, class, and whether a person did."""
    manifest = [
        {
            "source-ref": f"s3://{frames.bucket}/{key}",
            "species": 0,
            "species-metadata": {"class-name": name, "human-annotated": human},
        }
        for key, name, human in lines
    ]
    text = "".join(json.dumps(line) + "\n" for line in manifest)
    frames.clients("s3").put_object(Bucket=frames.bucket, Key=f"rounds/{round_}/consolidated.manifest", Body=text)


def send(frames: Frames, **metadata: str) -> str:
    """Let a device send a frame; returns its key."""
    key = f"images/edge/{any_thing()}/a.jpg"
    frames.clients("s3").put_object(Bucket=frames.bucket, Key=key, Body=b"frame", Metadata=metadata)
    return key


AUDIT = {"reason": "audit", "label": "crab", "probability": "0.9", "model": "r1", "of": "600"}


def test_audit_frames_get_the_label_that_people_gave_them_in_any_round(frames: Frames) -> None:
    first, second = send(frames, **AUDIT), send(frames, **AUDIT | {"of": "7", "model": "r2"})
    label(frames, "1", (first, "crab", "yes"))
    label(frames, "2", (second, "squid", "yes"))
    assert frames.rounds() == ["1", "2"]
    assert frames.audited(frames.rounds()) == [Audited("r1", "crab", "crab", 600), Audited("r2", "crab", "squid", 7)]
    assert frames.audited(["2"]) == [Audited("r2", "crab", "squid", 7)]


def test_what_proves_nothing_of_the_field_is_left_out(frames: Frames) -> None:
    chosen = send(frames, **AUDIT | {"reason": "uncertain"})
    by_machine, gone, unlabeled = send(frames, **AUDIT), "images/edge/buoy/gone.jpg", send(frames, **AUDIT)
    odd = [send(frames, **AUDIT | {"of": of}) for of in ("0", "-3", "many")] + [send(frames)]
    label(
        frames,
        "1",
        *((key, "crab", "yes") for key in (chosen, gone, *odd, "images/upload/a.jpg")),
        (by_machine, "crab", "no"),
    )
    assert unlabeled
    assert frames.audited([*frames.rounds(), "never"]) == []


def shown(found: list[Audited]) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(field.table(found))
    return capture.get()


def test_each_model_has_its_line() -> None:
    lines = shown(audited(9, 1, model="r2") + audited(3, 0, model="r1")).splitlines()
    assert [line.split()[0] for line in lines if line.startswith("r")] == ["r1", "r2"]
    (second,) = [line for line in lines if line.startswith("r2")]
    assert "90.0%" in second


def test_without_frames_nothing_is_claimed() -> None:
    assert "the accuracy is not known" in " ".join(shown([]).split())


def test_what_is_no_absence_is_not_taken_for_one(frames: Frames) -> None:
    missing = Frames(frames.clients, any_round())
    with pytest.raises(Exception, match="NoSuchBucket"):
        missing.audited(["1"])
