"""Whatever happens at whatever step of a swap, a model that passed its self-test serves."""

import errno
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.edge.models.berth import ACCESS, CHANGES, Berth, PowerCut, serving, strike

LAST = 10_000
"""No swap takes as many steps."""


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on the disk after a step is the same with and without it, for one whose power is not really cut."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device on which m1 serves and the link leads to m2."""
    berth = Berth(tmp_path_factory.mktemp("served"))
    berth.deploy("m1")
    berth.started()
    berth.deploy("m2", compiled=b"no model at all")
    return berth.folder


def copied(served: Path, folder: Path) -> Berth:
    # A keeper changes no file that it has written.
    shutil.copytree(served, folder, symlinks=True, copy_function=os.link)
    berth = Berth(folder)
    # Links hold the whole path.
    berth.point(folder / "packages" / berth.link.readlink().name)
    return berth


def cut() -> None:
    raise PowerCut


def run(berth: Berth, at: int, act: Callable[[], object] = cut, *, once: bool = True) -> bool:
    """Come up and look at the link, and be struck at a step; whether there are as many."""
    with strike(at, act, once=once) as done:
        try:
            berth.started()
        except PowerCut:
            return True
    return done[0] > at


def test_power_may_go_at_any_step_of_a_swap(served: Path, tmp_path: Path) -> None:
    steps = 0
    while True:
        berth = copied(served, tmp_path / str(steps))
        struck = run(berth, steps)
        keeper = berth.keeper()
        keeper.start()
        assert serving(keeper) in ("m1", "m2")
        keeper.poll()
        assert serving(keeper) == "m2"
        assert len(berth.copies) == 2
        if not struck:
            break
        steps += 1
    assert steps > 20


def test_power_may_go_at_any_step_of_the_first_model_of_all(tmp_path: Path) -> None:
    struck, steps = True, 0
    while struck:
        berth = Berth(tmp_path / str(steps))
        berth.deploy("m1")
        struck = run(berth, steps)
        keeper = berth.started()
        assert serving(keeper) == "m1"
        assert len(berth.copies) == 1
        steps += 1
    assert steps > 15


@pytest.mark.parametrize("seed", range(20))
def test_power_may_go_again_and_again(served: Path, tmp_path: Path, seed: int) -> None:
    chance, berth = random.Random(seed), copied(served, tmp_path / "device")
    for number in range(6):
        run(berth, chance.randrange(60))
        if chance.random() < 0.3:
            berth.deploy(f"m{number + 3}")
        keeper = berth.keeper()
        keeper.start()
        assert serving(keeper)


# Steps that read are struck too, in the second case; one of some is enough for a test's patience.
DISKS = {"a full disk": (errno.ENOSPC, CHANGES, 2), "a disk that fails": (errno.EIO, ACCESS, 7)}


@pytest.mark.parametrize("name", DISKS)
def test_from_any_step_on_the_disk_may_take_nothing(served: Path, tmp_path: Path, name: str) -> None:
    code, when, stride = DISKS[name]

    def refuse() -> None:
        raise OSError(code, name)

    for at in range(0, LAST, stride):
        berth = copied(served, tmp_path / str(at))
        keeper = berth.keeper()
        keeper.start()
        with strike(at, refuse, once=False, when=when) as done:
            outcome = keeper.poll()
        assert serving(keeper) in ("m1", "m2")
        assert outcome is not None
        if outcome.model is None:
            assert name in outcome.reason
        berth.clock.advance(60)
        keeper.poll()
        assert serving(keeper) == "m2"
        restarted = berth.keeper()
        restarted.start()
        assert serving(restarted) == "m2"
        if done[0] <= at:
            break


def test_at_the_start_the_disk_may_take_nothing_at_any_step(served: Path, tmp_path: Path) -> None:
    def refuse() -> None:
        raise OSError(errno.EROFS, "a disk that only reads")

    on_trial = copied(served, tmp_path / "on trial")
    on_trial.started()
    for at in range(0, LAST, 3):
        berth = copied(on_trial.folder, tmp_path / str(at))
        keeper = berth.keeper()
        with strike(at, refuse, once=False, when=ACCESS) as done:
            keeper.start()
        assert serving(keeper) in ("m1", "m2")
        if done[0] <= at:
            break


def test_what_the_link_leads_to_may_vanish_at_any_step(served: Path, tmp_path: Path) -> None:
    for at in range(0, LAST, 2):
        berth = copied(served, tmp_path / str(at))
        keeper = berth.keeper()
        keeper.start()
        with strike(at, lambda berth=berth: shutil.rmtree(berth.folder / "packages" / "m2")) as done:
            keeper.poll()
        assert serving(keeper) in ("m1", "m2")
        assert "incoming" not in berth.copies
        if done[0] <= at:
            break


def flip(path: Path) -> None:
    """A bit of every copy's model."""
    for file in path.rglob("model.onnx"):
        if content := bytearray(file.read_bytes()):
            content[len(content) // 2] ^= 1
            file.unlink()
            file.write_bytes(content)


@pytest.mark.parametrize("where", ["packages/m2", "models"])
def test_a_file_may_rot_at_any_step(served: Path, tmp_path: Path, where: str) -> None:
    for at in range(0, LAST, 2):
        berth = copied(served, tmp_path / str(at))
        keeper = berth.keeper()
        keeper.start()
        with strike(at, lambda berth=berth: flip(berth.folder / where)) as done:
            keeper.poll()
        assert serving(keeper) in ("m1", "m2")
        restarted = berth.started()
        # What the model component keeps is whole where the copies rotted, and the other way round.
        assert serving(restarted) in ("m1", "m2")
        if done[0] <= at:
            break


def test_copies_that_are_cut_short_are_seen(served: Path, tmp_path: Path) -> None:
    berth = copied(served, tmp_path / "device")
    whole = (berth.folder / "packages" / "m1" / "model.onnx").stat().st_size
    for length in reversed(range(0, whole, 37)):
        copy = (berth.models / "good").resolve() / "model.onnx"
        content = copy.read_bytes()[:length]
        copy.unlink()
        copy.write_bytes(content)
        keeper = berth.keeper()
        outcome = keeper.start()
        assert keeper.serving is None
        assert outcome is not None
        assert "model.onnx has the SHA-256" in outcome.reason
