"""How much boxes overlap and which belong together."""

import pytest

from offline.boxes import Box, matches, overlap, same

BOX = Box("crab", 10, 20, 30, 40)


@pytest.mark.parametrize(
    ("other", "share"),
    [
        (BOX, 1.0),
        (Box("fish", 25, 20, 30, 40), 1 / 3),
        (Box("crab", 40, 20, 30, 40), 0.0),
        (Box("crab", 10, 20, 0, 0), 0.0),
    ],
)
def test_overlap_is_intersection_over_union_whatever_the_label(other: Box, share: float) -> None:
    assert overlap(BOX, other) == pytest.approx(share)
    assert overlap(other, BOX) == pytest.approx(share)


def test_two_boxes_without_an_area_do_not_overlap() -> None:
    empty = Box("crab", 10, 20, 0, 0)
    assert overlap(empty, empty) == 0.0


def test_each_box_is_matched_once_and_the_best_pair_first() -> None:
    near, nearer = Box("crab", 12, 20, 30, 40), Box("crab", 11, 20, 30, 40)
    assert matches([BOX], [near, nearer], 0.5) == [(0, 1)]
    assert matches([BOX, near], [near, nearer], 0.5) == [(1, 0), (0, 1)]
    assert matches([BOX], [near], 0.99) == []


def test_the_same_boxes_are_as_many_with_the_same_labels() -> None:
    assert same([BOX], [BOX], 0.9)
    assert same([], [], 0.9)
    assert not same([BOX], [BOX, BOX], 0.9)
    assert not same([BOX], [Box("fish", 10, 20, 30, 40)], 0.9)


def test_a_box_is_submitted_in_whole_pixels() -> None:
    submitted = Box("crab", 1.4, 2.6, 3.5, 4).rounded()
    assert submitted == {"height": 4, "label": "crab", "left": 1, "top": 3, "width": 4}
    assert Box.read(submitted) == Box("crab", 1, 3, 4, 4)
