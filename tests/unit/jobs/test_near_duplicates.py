"""Near-duplicates: pictures that look the same have fingerprints a few bits apart, and all such pairs are found."""

from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from jobs.labeling.fingerprint import BITS, NEAR, distance, fingerprint, is_fingerprint
from jobs.labeling.near_duplicates import Ids, pairs
from offline import scenes

SCENES = 40
Edit = Callable[[Image.Image], Image.Image]


def encoded(quality: int) -> Edit:
    def again(image: Image.Image) -> Image.Image:
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return again


def moved(image: Image.Image) -> Image.Image:
    """By one pixel, as between two frames of a camera that hangs from a rope."""
    pixels = np.asarray(image)
    return Image.fromarray(np.concatenate([pixels[:, :1], pixels[:, :-1]], axis=1))


EDITS: dict[str, tuple[Edit, float]] = {
    "encoded again": (encoded(70), 0.95),
    "encoded badly": (encoded(40), 0.9),
    "darker": (lambda image: ImageEnhance.Brightness(image).enhance(0.9), 0.95),
    "brighter": (lambda image: ImageEnhance.Brightness(image).enhance(1.1), 0.95),
    "half the size": (lambda image: image.resize((64, 48), Image.Resampling.LANCZOS), 0.95),
    "three times the size": (lambda image: image.resize((384, 288), Image.Resampling.BICUBIC), 0.95),
    "moved by a pixel": (moved, 0.85),
}


def scene(site: str, number: int, animal: int) -> Image.Image:
    """The animal alone follows from `animal`: water, light, pose and what hides it follow from `number`."""
    image, _ = scenes.draw(scenes.list_species(16)[animal % 16], site, np.random.default_rng([number, 5]))
    return encoded(88)(image)


def printed(image: Image.Image) -> str:
    return fingerprint(np.asarray(image))


@pytest.fixture(scope="module", params=["reef", "wreck"])
def pictures(request: pytest.FixtureRequest) -> list[Image.Image]:
    return [scene(request.param, number, number) for number in range(SCENES)]


@pytest.mark.parametrize("name", EDITS)
def test_the_same_picture_is_found_again(pictures: list[Image.Image], name: str) -> None:
    edit, expected = EDITS[name]
    near = [distance(printed(image), printed(edit(image))) <= NEAR for image in pictures]
    assert sum(near) >= expected * SCENES


def test_different_scenes_are_never_taken_for_the_same(pictures: list[Image.Image]) -> None:
    assert min(distance(one, other) for one, other in combinations(map(printed, pictures), 2)) > NEAR


@pytest.mark.parametrize(("site", "allowed"), [("reef", 0.05), ("wreck", 0.15)])
def test_another_animal_before_the_same_background_is_seldom_taken_for_the_same(site: str, allowed: float) -> None:
    apart = [
        distance(printed(scene(site, number, number)), printed(scene(site, number, number + 7)))
        for number in range(SCENES)
    ]
    assert sum(bits <= NEAR for bits in apart) <= allowed * SCENES


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 255))
def test_pictures_of_any_size_have_one_and_flat_ones_have_the_same(width: int, height: int, grey: int) -> None:
    found = fingerprint(np.full((height, width, 3), grey, np.uint8))
    assert is_fingerprint(found)
    assert found == fingerprint(np.full((7, 9, 3), grey, np.uint8))


def sorted_blocks(fingerprints: list[int], size: int) -> Callable[[int], Iterator[tuple[Ids, np.ndarray]]]:
    """As the index hands them over, but in blocks as small as equal keys allow."""

    def blocks(mask: int) -> Iterator[tuple[Ids, np.ndarray]]:
        order = sorted(range(len(fingerprints)), key=lambda place: fingerprints[place] & mask)
        while order:
            last = fingerprints[order[:size][-1]] & mask
            block = [place for place in order if fingerprints[place] & mask <= last]
            order = order[len(block) :]
            yield np.array(block), np.array([fingerprints[place] for place in block], np.uint64)

    return blocks


# Some bits of one number or of its opposite: as many pairs just within the distance as just beyond it.
some = st.builds(
    lambda bits, base: sum(1 << bit for bit in bits) ^ base, st.sets(st.integers(0, BITS - 1), max_size=5),
    st.sampled_from([0, 2**BITS - 1, 0x9E3779B97F4A7C15]),
)  # fmt: skip


@given(st.lists(some, unique=True, max_size=40), st.integers(1, 40))
def test_every_near_pair_is_found_and_no_other(fingerprints: list[int], size: int) -> None:
    found = {
        tuple(sorted(pair))
        for left, right in pairs(sorted_blocks(fingerprints, size), lambda one, other: np.ones(len(one), np.bool_))
        for pair in zip(left.tolist(), right.tolist(), strict=True)
    }
    assert found == {
        (one, other)
        for one, other in combinations(range(len(fingerprints)), 2)
        if (fingerprints[one] ^ fingerprints[other]).bit_count() <= NEAR
    }
