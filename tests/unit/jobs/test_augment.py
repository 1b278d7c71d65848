"""Augmentation: a view belongs to its object, whatever else is in the batch."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from jobs.training.augment import DRAWS, GOLDEN, HIDDEN_EXTENT, HIDDEN_SHARE, augmented, draws, mixed

PIXELS = 32
numbers = st.integers(0, 2**64 - 1)
some_objects = st.lists(numbers, min_size=1, max_size=8, unique=True).map(lambda them: np.array(them, np.uint64))


def pictures(objects: NDArray[np.uint64]) -> torch.Tensor:
    """A picture of each object, the same whenever it is asked for."""
    drawn = [np.random.default_rng(int(one)).random((3, PIXELS, PIXELS), np.float32) for one in objects]
    return torch.from_numpy(np.stack(drawn))


@given(some_objects, st.integers(0, 2**63 - 1), st.integers(0, 1000), st.integers(0, 1000), st.randoms())
def test_a_view_depends_on_its_object_alone(objects, seed, epoch, view, random) -> None:  # type: ignore[no-untyped-def]
    together = augmented(pictures(objects), objects, seed=seed, epoch=epoch, view=view)
    order = random.sample(range(len(objects)), random.randint(1, len(objects)))
    apart = augmented(pictures(objects[order]), objects[order], seed=seed, epoch=epoch, view=view)
    assert torch.equal(apart, together[order])


@given(numbers, st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_whatever_the_key_says_decides(one: int, seed: int, epoch: int, view: int) -> None:
    objects = np.array([one], np.uint64)
    others = [(seed + 1, epoch, view), (seed, epoch + 1, view), (seed, epoch, view + 1), (epoch + 100, seed, view)]
    drawn = {tuple(draws(objects, *key, count=4)[0]) for key in [(seed, epoch, view), *others]}
    assert len(drawn) == 5
    assert len(np.unique(draws(np.array([one, one ^ 1], np.uint64), seed, epoch, view, count=4))) == 8


def test_draws_are_the_same_on_every_machine() -> None:
    # What the published SplitMix64 gives from state 0: https://prng.di.unimi.it/splitmix64.c
    with np.errstate(over="ignore"):
        states = GOLDEN * np.arange(1, 3, dtype=np.uint64)
    assert [hex(value) for value in mixed(states)] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]
    drawn = draws(np.array([7, 2**64 - 1], np.uint64), 1, 2, 3, count=2)
    assert drawn.tolist() == [[0.668972792174642, 0.2544992318376733], [0.9781722833116343, 0.30112221539819095]]


def test_draws_are_uniform_and_of_one_another_independent() -> None:
    drawn = draws(np.arange(20_000, dtype=np.uint64), 1, 2, 3, count=len(DRAWS))
    counts = np.stack([np.histogram(column, 10, (0, 1))[0] for column in drawn.T])
    # 5 standard deviations of a binomial count of 20,000 in one of ten bins.
    assert np.abs(counts - 2000).max() < 5 * (20_000 * 0.1 * 0.9) ** 0.5
    between = np.corrcoef(drawn.T) - np.eye(len(DRAWS))
    assert np.abs(between).max() < 5 / 20_000**0.5


def test_a_square_hides_a_part_of_the_right_share_of_pictures() -> None:
    objects = np.arange(1000, dtype=np.uint64)
    noise = torch.rand(1, 3, PIXELS, PIXELS, generator=torch.Generator().manual_seed(1))
    views = augmented(noise.expand(len(objects), 3, PIXELS, PIXELS), objects, seed=1, epoch=0, view=0)
    # No value but that of the square comes twice in a picture of noise.
    ordered = views[:, 0].flatten(1).sort(1).values
    equal = (ordered[:, 1:] == ordered[:, :-1]).sum(1) + 1
    hidden = equal == int(HIDDEN_EXTENT * PIXELS) ** 2
    assert abs(hidden.float().mean().item() - HIDDEN_SHARE) < 5 * (0.25 / len(objects)) ** 0.5


def test_a_view_keeps_shape_and_range() -> None:
    objects = np.arange(16, dtype=np.uint64)
    views = augmented(pictures(objects), objects, seed=1, epoch=2, view=3)
    assert views.shape == (16, 3, PIXELS, PIXELS)
    assert views.dtype == torch.float32
    assert 0 <= views.min() <= views.max() <= 1
    assert not torch.equal(views, pictures(objects))


def test_a_smaller_view_shows_the_same() -> None:
    objects = np.arange(8, dtype=np.uint64)
    rows = torch.linspace(0.2, 0.8, PIXELS).view(1, 1, PIXELS, 1).expand(8, 3, PIXELS, PIXELS).contiguous()
    full, half = (augmented(rows, objects, seed=1, epoch=0, view=0, pixels=size) for size in (PIXELS, PIXELS // 2))
    assert half.shape == (8, 3, PIXELS // 2, PIXELS // 2)
    shrunk = torch.nn.functional.avg_pool2d(full, 2)
    # The edges of what is hidden, and of what lay outside, fall elsewhere.
    assert (shrunk - half).abs().mean() < 0.02
