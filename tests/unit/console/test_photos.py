"""Folders of photographs: what is read, what is skipped and said, what is refused."""

import io
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from classifier import preprocess
from PIL import Image

from console import photos as rules
from console.errors import Refusal
from console.photos import SUFFIXES, class_folders, files_in, read_photos
from jobs import images
from tests.edge.malformed_images import originals, progressive_bomb

Write = Callable[..., Path]


def test_jpeg_and_png_of_any_name_and_size_are_read(any_photo: Write) -> None:
    files = [any_photo("a b/Ünder wasser.JPG", size=(3, 200)), any_photo("x/noextension.png", size=(1, 1))]
    photos = read_photos((path, path.parent.name) for path in files)
    assert {(photo.label, photo.suffix) for photo in photos.photos} == {("a b", ".jpg"), ("x", ".png")}
    assert not photos.skipped


def test_the_format_is_what_is_in_the_file_and_not_what_its_name_says(any_photo: Write) -> None:
    jpeg = any_photo("a/really.jpg")
    liar = jpeg.rename(jpeg.with_name("really.png"))
    (photo,) = read_photos([(liar, "a")]).photos
    assert photo.suffix == ".jpg"


def test_an_unreadable_image_is_skipped_with_its_reason(any_photo: Write, tmp_path: Path) -> None:
    whole = any_photo("a/whole.png", size=(64, 64))
    half = tmp_path / "a" / "half.png"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    text = tmp_path / "a" / "notes.txt"
    text.write_text("not an image")
    photos = read_photos([(whole, "a"), (half, "a"), (text, "a")])
    assert [photo.path for photo in photos.photos] == [whole]
    assert {skip.path for skip in photos.skipped} == {half, text}
    assert all("cannot be read" in skip.reason for skip in photos.skipped)


def test_a_format_that_ground_truth_does_not_show_is_skipped(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "moving.gif")
    (skip,) = read_photos([(tmp_path / "moving.gif", "a")]).skipped
    assert skip.reason == "is GIF; JPEG and PNG are allowed"


def test_the_jpeg_that_a_phone_writes_is_a_jpeg(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 8))
    picture.save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[picture])
    (photo,) = read_photos([(tmp_path / "phone.jpg", "a")]).photos
    assert photo.suffix == ".jpg"


def test_more_pixels_than_jobs_and_devices_take_are_skipped(any_photo: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.photos.MAXIMUM_PIXELS", 99)
    (skip,) = read_photos([(any_photo("a/1.png", size=(10, 10)), "a")]).skipped
    assert skip.reason == "has 10 x 10 pixels; 99 are allowed"


@pytest.mark.parametrize("limit", ["MAXIMUM_PIXELS", "MAXIMUM_SCANNED", "START_OF_SCAN", "DEEP"])
def test_the_limits_are_those_of_the_jobs_and_of_the_device(limit: str) -> None:
    assert getattr(rules, limit) == getattr(images, limit) == getattr(preprocess, limit)


def is_read_by_the_jobs(path: Path) -> bool:
    try:
        images.decode(path)
    except images.UnreadableImage:
        return False
    return True


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # jobs pass them on
def test_gold_that_counts_here_is_gold_that_the_jobs_can_read(tmp_path: Path) -> None:
    paths = []
    for content in [*originals(random.Random(1)), progressive_bomb(2000, 2000)]:
        if Image.open(io.BytesIO(content)).format in SUFFIXES:
            paths.append(tmp_path / str(len(paths)))
            paths[-1].write_bytes(content)
    taken = {photo.path for photo in read_photos((path, "a") for path in paths).photos}
    assert taken == {path for path in paths if is_read_by_the_jobs(path)}
    assert len(paths) - len(taken) == 2, "sixteen bits and endless scans"


def test_what_would_be_cut_off_or_take_too_long_is_said(tmp_path: Path) -> None:
    Image.new("I;16", (8, 8)).save(tmp_path / "deep.png")
    (tmp_path / "endless.jpg").write_bytes(progressive_bomb(2000, 2000))
    skipped = read_photos([(tmp_path / "deep.png", "a"), (tmp_path / "endless.jpg", "a")]).skipped
    assert [skip.reason for skip in skipped] == [
        "has more than 8 bits per channel (I;16), which would be cut off: convert it",
        "is a JPEG of 2006 scans of 4000000 pixels, which takes too long to decode: save it anew",
    ]


def test_the_same_content_is_taken_once(any_photo: Write, tmp_path: Path) -> None:
    first = any_photo("a/1.png")
    second = tmp_path / "a" / "2.png"
    second.write_bytes(first.read_bytes())
    photos = read_photos([(first, "a"), (second, "a")])
    assert len(photos.photos) == 1
    assert photos.skipped[0].reason == "has the same content as 1.png"


def test_content_that_lies_in_two_classes_says_nothing(any_photo: Write, tmp_path: Path) -> None:
    first = any_photo("a/1.png")
    second = tmp_path / "2.png"
    second.write_bytes(first.read_bytes())
    photos = read_photos([(first, "a"), (second, "b")])
    assert not photos.photos
    assert [skip.reason for skip in photos.skipped] == ["lies in several classes: a, b"] * 2


def test_the_name_of_a_photograph_gives_its_class_away_to_nobody(any_photo: Write) -> None:
    (photo,) = read_photos([(any_photo("whale/whale-1.png"), "whale")]).photos
    assert photo.name == f"{photo.digest[:16]}.png"


def test_hidden_files_and_folders_are_ignored(any_photo: Write, tmp_path: Path) -> None:
    seen = any_photo("class/deeper/1.png")
    any_photo("class/.hidden.png")
    any_photo("class/.thumbnails/1.png")
    assert files_in(tmp_path / "class") == (seen,)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="nowhere is not a folder"):
        class_folders(tmp_path / "nowhere")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "loose.jpg").touch()
    with pytest.raises(Refusal, match="no class subfolders"):
        class_folders(tmp_path)


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    (tmp_path / "whale").mkdir()
    with pytest.raises(Refusal, match="one class only, 'whale'"):
        class_folders(tmp_path)
