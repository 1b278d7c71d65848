"""How the demo deals photographs: by content, each once, none to two parts."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from console.demo.pictures import (
    FEWEST_PER_CLASS,
    GOLD,
    LONGEST_SIDE_PIXELS,
    MOST,
    PARTS,
    SHARES,
    UPLOAD,
    choose_files,
    deal,
    read_folder,
    shrink,
)
from console.errors import Refusal
from console.photos import Photo, Photos

Write = Callable[..., Path]


def any_photos(*counts: int) -> Photos:
    """So many photographs of each class; nothing of them is on disk."""
    photos = [
        Photo(Path(f"{label}-{number}.jpg"), f"{label:032x}{number:032x}", ".jpg", f"class-{label}")
        for label, count in enumerate(counts)
        for number in range(count)
    ]
    return Photos(tuple(photos), ())


def test_each_photograph_goes_to_exactly_one_part() -> None:
    photos = any_photos(40, 17)
    parts = deal(photos, SHARES, seed=1)
    dealt = [photo for part in parts.values() for photo in part]
    assert Counter(dealt) == Counter(photos.photos)


@pytest.mark.parametrize("count", [FEWEST_PER_CLASS, 11, 13, 60])
def test_every_part_has_every_class(count: int) -> None:
    for part in deal(any_photos(count, count), SHARES, seed=1).values():
        assert {photo.label for photo in part} == {"class-0", "class-1"}


def test_the_shares_are_kept_class_by_class() -> None:
    parts = deal(any_photos(80, 40), SHARES, seed=1)
    counts = {part: Counter(photo.label for photo in photos) for part, photos in parts.items()}
    assert counts[GOLD] == {"class-0": 12, "class-1": 6}
    assert counts[UPLOAD] == {"class-0": 40, "class-1": 20}


def test_the_same_photographs_are_dealt_the_same_way_whatever_their_order() -> None:
    photos = any_photos(30, 30)
    shuffled = Photos(tuple(reversed(photos.photos)), ())
    assert deal(photos, SHARES, seed=4) == deal(shuffled, SHARES, seed=4)


def test_another_seed_deals_them_differently() -> None:
    photos = any_photos(30, 30)
    assert deal(photos, SHARES, seed=1) != deal(photos, SHARES, seed=2)


def any_folder(write: Write, tmp_path: Path, **counts: int) -> Path:
    for label, count in counts.items():
        for number in range(count):
            write(tmp_path / "photos" / label / f"{number}.png")
    return tmp_path / "photos"


def test_a_folder_becomes_a_collection_with_its_truth(any_photo: Write, tmp_path: Path) -> None:
    folder = any_folder(any_photo, tmp_path, crab=12, squid=10)
    collection, skipped = read_folder(folder, seed=1, scratch=tmp_path / "scaled")
    assert collection.labels == ("crab", "squid")
    assert set(collection.parts) == set(PARTS)
    assert Counter(collection.truth.values()) == {"crab": 12, "squid": 10}
    assert skipped == ()


def test_an_unreadable_image_is_reported_under_its_own_name(any_photo: Write, tmp_path: Path) -> None:
    folder = any_folder(any_photo, tmp_path, crab=11, squid=10)
    (folder / "crab" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    _, skipped = read_folder(folder, seed=1, scratch=tmp_path / "scaled")
    assert [skip.path for skip in skipped] == [folder / "crab" / "broken.jpg"]


def test_a_class_with_too_few_files_is_refused(any_photo: Write, tmp_path: Path) -> None:
    folder = any_folder(any_photo, tmp_path, crab=FEWEST_PER_CLASS, squid=FEWEST_PER_CLASS - 1)
    with pytest.raises(Refusal, match=f"'squid' has {FEWEST_PER_CLASS - 1} readable photographs"):
        choose_files(folder, seed=1)


def test_a_class_with_too_few_readable_files_is_refused(any_photo: Write, tmp_path: Path) -> None:
    folder = any_folder(any_photo, tmp_path, crab=FEWEST_PER_CLASS, squid=FEWEST_PER_CLASS)
    (folder / "squid" / "0.png").write_bytes(b"broken")
    with pytest.raises(Refusal, match=f"'squid' has {FEWEST_PER_CLASS - 1} readable photographs"):
        read_folder(folder, seed=1, scratch=tmp_path / "scaled")


def test_more_classes_than_there_is_time_for_are_refused(tmp_path: Path) -> None:
    for number in range(MOST // FEWEST_PER_CLASS + 1):
        (tmp_path / f"class-{number}").mkdir()
    with pytest.raises(Refusal, match="121 classes; the demo takes up to 120"):
        choose_files(tmp_path, seed=1)


def test_a_large_folder_is_sampled_evenly(tmp_path: Path) -> None:
    for label, count in (("crab", MOST), ("squid", 20)):
        (tmp_path / label).mkdir()
        for number in range(count):
            (tmp_path / label / f"{number}.jpg").touch()
    chosen = Counter(label for _, label in choose_files(tmp_path, seed=1))
    assert chosen == {"crab": MOST // 2, "squid": 20}


def test_a_small_photograph_is_taken_as_it_is(any_photo: Write, tmp_path: Path) -> None:
    path = any_photo("small.jpg", size=(LONGEST_SIDE_PIXELS, 10))
    assert shrink(path, tmp_path / "smaller.jpg") == path


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_large_photograph_is_scaled_down(any_photo: Write, tmp_path: Path, suffix: str) -> None:
    path = any_photo(f"large{suffix}", size=(4 * LONGEST_SIDE_PIXELS, 2 * LONGEST_SIDE_PIXELS))
    with Image.open(shrink(path, tmp_path / f"smaller{suffix}")) as image:
        assert image.size == (LONGEST_SIDE_PIXELS, LONGEST_SIDE_PIXELS // 2)
