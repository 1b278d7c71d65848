"""The dataset as the trainer sees it: decoded once, the same on every process, never the test split."""

import errno
import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from jobs import images
from jobs.errors import JobError
from jobs.images import UnreadableImage
from jobs.manifest import digest
from jobs.training import cache
from jobs.training.cache import Files
from jobs.training.dataset import Dataset, load
from jobs.training.processes import Processes
from tests.unit.jobs.bench import ATTRIBUTE, BUCKET, Bucket, read_lines, write_lines
from tests.unit.jobs.images import CLASSES, picture

PIXELS = 32
COUNTS = {"train": 6, "validation": 3}


@pytest.fixture
def version(bucket: Bucket) -> Path:
    """The folder of a dataset version of nine images."""
    folder, number = bucket.dataset("v1"), 0
    for split, count in COUNTS.items():
        lines = []
        for _ in range(count):
            name = CLASSES[number % 3]
            lines.append(bucket.labeled(bucket.put_image(f"images/up/{number}.png", picture(name, number), name), name))
            number += 1
        write_lines(folder / f"{split}.manifest", lines)
    (folder / "card.json").write_text(json.dumps({"labels": CLASSES, "human_level": {"error": 0.01}}))
    return folder


@dataclass(frozen=True)
class Peer(Processes):
    """One of several processes, played by threads: what each hands over, all get."""

    barrier_of_all: threading.Barrier
    held: list[Any]

    def gathered(self, value: Any) -> list[Any]:
        self.held[self.rank] = value
        self.barrier_of_all.wait(10)
        found = list(self.held)
        self.barrier_of_all.wait(10)
        return found


def on_processes(count: int, work: Callable[[Processes], Any], *, hosts: int = 1) -> list[Any]:
    """The result of `work` on each of `count` processes, as many on every host."""
    barrier, held, local = threading.Barrier(count), [None] * count, count // hosts
    peers = [Peer(rank, count, rank % local, local, torch.device("cpu"), barrier, held) for rank in range(count)]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, peers))


def loaded(version: Path, scratch: Path, processes: Processes | None = None, **changes: Any) -> Dataset:
    bucket = version.parents[1]
    options: dict[str, Any] = {"attribute": ATTRIBUTE, "pixels": PIXELS, "unreadable_share": 0.0, **changes}
    images_folder = options.pop("images", bucket)
    return load(version, images_folder, scratch=scratch, processes=processes or Processes.alone(), **options)


def test_splits_hold_what_the_manifests_say_as_scoring_would_see_it(version: Path, tmp_path: Path) -> None:
    dataset = loaded(version, tmp_path)
    assert (dataset.labels, dataset.human_level, dataset.unreadable) == (list(CLASSES), {"error": 0.01}, [])
    assert {name: len(split) for name, split in dataset.splits.items()} == COUNTS
    for name, split in dataset.splits.items():
        lines = read_lines(version / f"{name}.manifest")
        assert [CLASSES[target] for target in split.targets] == [
            line[f"{ATTRIBUTE}-metadata"]["class-name"] for line in lines
        ]
        assert split.objects.tolist() == [digest(line["content"]) for line in lines]
        order = [2, 0, 2]
        expected = [
            images.load(version.parents[1] / lines[at]["source-ref"].removeprefix(BUCKET), PIXELS) for at in order
        ]
        found = split.images(order)
        assert torch.equal(found, torch.from_numpy(np.stack(expected)).permute(0, 3, 1, 2))
        assert found.is_contiguous(memory_format=torch.channels_last)


def test_the_test_split_is_never_looked_at(version: Path, tmp_path: Path) -> None:
    (version / "test.manifest").write_text("whatever this is, training does not want to know\n")
    assert list(loaded(version, tmp_path).splits) == ["train", "validation"]


def test_a_streamed_channel_has_the_keys_without_their_prefix(version: Path, tmp_path: Path) -> None:
    whole = loaded(version, tmp_path / "a")
    streamed = loaded(version, tmp_path / "b", images=version.parents[1] / "images")
    every = range(COUNTS["train"])
    assert torch.equal(whole.splits["train"].images(every), streamed.splits["train"].images(every))
    # Keys may begin with the prefix twice.
    (version.parents[1] / "images/images").mkdir()
    assert not loaded(version, tmp_path / "c", images=version.parents[1] / "images").unreadable


def test_the_processes_of_a_host_share_the_work_and_the_file(
    version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = loaded(version, tmp_path / "alone")
    decode, seen = images.decoded, []
    monkeypatch.setattr(images, "decoded", lambda content: seen.append(content) or decode(content))
    found = on_processes(2, lambda peer: loaded(version, tmp_path / "shared", peer))
    assert len(seen) == len(set(seen)) == sum(COUNTS.values())
    for dataset in found:
        for name, split in dataset.splits.items():
            every = range(len(split))
            assert torch.equal(split.images(every), alone.splits[name].images(every))
    assert [path.name for path in (tmp_path / "shared").iterdir()] == ["images.uint8"]


def test_an_image_that_one_host_cannot_read_is_used_by_none(version: Path, tmp_path: Path) -> None:
    bucket = version.parents[1]
    other = tmp_path / "other"
    shutil.copytree(bucket / "images", other / "images")
    (other / "images/up/4.png").unlink()

    def work(peer: Processes) -> Dataset:
        folder = other if peer.rank == 1 else bucket
        return loaded(version, tmp_path / str(peer.rank), peer, images=folder, unreadable_share=0.2)

    for dataset in on_processes(2, work, hosts=2):
        assert len(dataset.splits["train"]) == COUNTS["train"] - 1
        assert dataset.unreadable == [f"{BUCKET}images/up/4.png: missing"]


def test_what_cannot_be_read_is_listed_and_left_out(version: Path, tmp_path: Path) -> None:
    folder = version.parents[1] / "images/up"
    (folder / "0.png").write_bytes(b"\x89PNG nothing")
    (folder / "7.png").write_bytes((folder / "7.png").read_bytes()[:200])
    dataset = loaded(version, tmp_path, unreadable_share=0.25)
    assert [line.partition(": ")[0] for line in dataset.unreadable] == [f"{BUCKET}images/up/{n}.png" for n in (0, 7)]
    assert "UnidentifiedImageError: no image format" in dataset.unreadable[0]
    assert "truncated" in dataset.unreadable[1]
    train, validation = dataset.splits["train"], dataset.splits["validation"]
    assert (train.targets.tolist(), validation.targets.tolist()) == ([1, 2, 0, 1, 2], [0, 2])
    assert validation.images([1]).equal(torch.tensor(images.load(folder / "8.png", PIXELS)).permute(2, 0, 1)[None])


def test_a_picture_of_16_bits_is_refused_and_not_made_white() -> None:
    buffer = BytesIO()
    Image.fromarray(np.full((8, 8), 30_000, np.uint16)).save(buffer, "PNG")
    with pytest.raises(UnreadableImage, match=r"more than 8 bits per channel \(I;16\)"):
        images.decoded(buffer.getvalue())


def test_a_name_that_no_file_can_have_is_a_missing_image(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="missing"):
        Files([tmp_path / "a\0.png"], 32).read(np.array([0]), np.empty((1, 32, 32, 3), np.uint8))


def test_too_many_unreadable_images_fail_the_job_with_their_number(version: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        (version.parents[1] / f"images/up/{number}.png").unlink()
    with pytest.raises(JobError) as refusal:
        loaded(version, tmp_path, unreadable_share=0.2)
    assert str(refusal.value) == (
        "2 of 9 images cannot be read and training.unreadable_share 0.2 allows 1: repair or remove them, or raise it. "
        f"{BUCKET}images/up/1.png: missing; {BUCKET}images/up/2.png: missing"
    )


def test_nobody_waits_for_a_whole_dataset_that_cannot_be_read(
    version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(cache, "PROBLEMS_LISTED", 2)
    monkeypatch.setattr(cache, "THREADS", 1)
    monkeypatch.setattr(cache, "_decoded", lambda path: asked.append(path) or refuse())
    with pytest.raises(JobError, match="3 of 9 images cannot be read"):
        loaded(version, tmp_path)
    assert len(asked) == 3


def refuse() -> None:
    raise UnreadableImage("no")


class Streamed:
    """A file behind a network that fails a number of times."""

    def __init__(self, content: bytes, failures: int) -> None:
        self.content, self.failures = content, failures

    def read_bytes(self) -> bytes:
        self.failures -= 1
        if self.failures >= 0:
            raise OSError(errno.EIO, "Input/output error")
        return self.content


def test_a_network_that_fails_for_a_moment_costs_no_image(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(cache.time, "sleep", waited.append)
    content, out = picture("disc", 1), np.zeros((1, PIXELS, PIXELS, 3), np.uint8)
    files: Any = [Streamed(content, failures=3), Streamed(content, failures=4)]
    Files(files, PIXELS).read(np.array([0]), out)
    assert np.array_equal(out[0], images.resized(images.decoded(content), PIXELS))
    assert waited == list(cache.PAUSES_SECONDS)
    with pytest.raises(UnreadableImage, match="Input/output error, 4 times"):
        Files(files, PIXELS).read(np.array([1]), out)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_disk_that_is_too_small_is_said_before_anything_is_decoded(
    version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage)
    monkeypatch.setattr(images, "decoded", lambda _content: pytest.fail("decoded an image"))

    def work(peer: Processes) -> str:
        with pytest.raises(JobError) as refusal:
            loaded(version, tmp_path / "scratch", peer)
        return str(refusal.value)

    said = on_processes(processes, work)
    assert said == [said[0]] * processes
    assert said[0].startswith(f"the decoded images need {9 * PIXELS * PIXELS * 3} bytes and the disk has 1000 free")
    assert "raise training.volume_gib by 2" in said[0]
    assert not list((tmp_path / "scratch").iterdir())


def test_a_disk_that_fills_up_meanwhile_is_said_too(
    version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache.os, "posix_fallocate", full)
    with pytest.raises(JobError, match=r"raise training\.volume_gib"):
        loaded(version, tmp_path)
    assert not list(tmp_path.glob("*.uint8"))


def spoil(version: Path, split: str, change: Callable[[str], str]) -> None:
    path = version / f"{split}.manifest"
    path.write_text(change(path.read_text()))


def relabel(bucket: Bucket, version: Path) -> None:
    write_lines(
        version / "train.manifest", [bucket.labeled(line, "disc") for line in read_lines(version / "train.manifest")]
    )


def lose_images(bucket: Bucket, _version: Path) -> None:
    shutil.rmtree(bucket.folder / "images" / "up")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda _, v: spoil(v, "train", lambda _: ""), "train.manifest is empty: label more images"),
        (lambda _, v: spoil(v, "validation", lambda _: ""), "the validation split cannot be used: it has no objects"),
        (relabel, "the train split has one class only, 'disc': training needs at least two"),
        (
            lambda _, v: spoil(
                v, "validation", lambda text: text.replace('"class-name": "disc"', '"class-name": "cod"')
            ),
            "validation.manifest, line 2 has the unknown class 'cod'; known are stripes, disc, noise",
        ),
        (lambda _, v: (v / "card.json").unlink(), "card.json is missing"),
        (lambda _, v: (v / "train.manifest").unlink(), "train.manifest is missing"),
        (lambda _, v: spoil(v, "validation", lambda text: text + "{\n"), "validation.manifest, line 4 is not JSON"),
        (
            lambda _, v: spoil(v, "train", lambda text: text.replace(ATTRIBUTE, "genus")),
            "train.manifest, line 1 has no label attribute 'species'",
        ),
        (lose_images, "9 of 9 images cannot be read and training.unreadable_share 0.0 allows 0"),
    ],
)
def test_a_dataset_that_cannot_be_used_is_refused_in_one_sentence(
    bucket: Bucket, version: Path, tmp_path: Path, damage: Callable[[Bucket, Path], object], sentence: str
) -> None:
    damage(bucket, version)
    with pytest.raises(JobError) as refusal:
        loaded(version, tmp_path / "scratch")
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_split_that_lost_all_its_images_is_named(version: Path, tmp_path: Path) -> None:
    for number in range(6, 9):
        (version.parents[1] / f"images/up/{number}.png").unlink()
    with pytest.raises(JobError, match="the validation split cannot be used: none of its 3 images can be read"):
        loaded(version, tmp_path, unreadable_share=0.4)


def test_without_a_card_s_order_the_classes_are_sorted(version: Path, tmp_path: Path) -> None:
    (version / "card.json").write_text("{}")
    dataset = loaded(version, tmp_path)
    assert dataset.labels == sorted(CLASSES)
    assert dataset.splits["validation"].targets.tolist() == [2, 0, 1]
