"""A device's disk with a model link and a keeper on it, and a way to strike at any step of what is done to the disk."""

import functools
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from classifier.clock import ManualClock
from classifier.configuration import Configuration
from classifier.frames import Frame
from classifier.models import proof
from classifier.models.keeper import Keeper
from classifier.models.outcome import Outcome
from classifier.models.package import Refused
from classifier.models.proof import Limits
from classifier.models.prove import prove

from tests.edge import model_packages

CHANGES = frozenset(
    {"copy_file_range", "mkdir", "rename", "replace", "rmdir", "sendfile", "symlink", "unlink", "write"}
)
"""What changes a disk, of the functions of C that Python calls."""
ACCESS = CHANGES | {"open", "scandir"}


def here(folder: Path, runtime: str, limits: Limits) -> float:
    """The self-test in this process: for packages that do no harm."""
    return prove(folder, runtime, threads=limits.threads, latency_budget_ms=limits.latency_budget_ms)


def frame(colour: str) -> Frame:
    return Frame(f"{colour}.png", 0.0, content=model_packages.image(colour))


class Berth:
    """Everything below one folder: what the model component brings, its link, and the keeper's own folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, ManualClock()
        self.link, self.models = folder / "reefloop.Model" / "current", folder / "models"
        self.link.parent.mkdir(parents=True, exist_ok=True)
        self.configuration = Configuration()
        self.proved = 0

    def keeper(self, **changes: Any) -> Keeper:
        """That of another process each time."""
        given = {"clock": self.clock, "prove": self._prove, "process": uuid.uuid4().hex, **changes}
        return Keeper(self.link, self.models, self.configuration, **given)

    def _prove(self, folder: Path, limits: Limits) -> proof.Proof:
        self.proved += 1
        return functools.partial(proof.of, judge=here)(folder, limits)

    def deploy(self, version: str, **contents: Any) -> Path:
        """What the model component does: a new package, and the link to it."""
        package = model_packages.write(self.folder / "packages" / version, version=version, **contents)
        self.point(package)
        return package

    def point(self, package: Path) -> None:
        fresh = self.link.with_name("new")
        fresh.symlink_to(package)
        fresh.replace(self.link)

    def started(self, **changes: Any) -> Keeper:
        """A component that has come up and looked at the link."""
        keeper = self.keeper(**changes)
        keeper.start()
        keeper.poll()
        return keeper

    def crash(self) -> Outcome | None:
        """The component comes up, looks at the link and ends uncleanly; what it said of its start."""
        keeper = self.keeper()
        said = keeper.start()
        keeper.poll()
        return said

    @property
    def copies(self) -> list[str]:
        return sorted(path.name for path in self.models.iterdir() if path.is_dir() and not path.is_symlink())


def serving(keeper: Keeper) -> str:
    """The version that serves; it gives right answers, or none does."""
    if keeper.serving is None:
        return ""
    assert [keeper.serving.classify(frame(label)).label for label in model_packages.LABELS] == model_packages.LABELS
    return keeper.serving.package.version


class PowerCut(BaseException):
    """Nothing catches it, as nothing catches a kill."""


@contextmanager
def strike(
    at: int, act: Callable[[], object], *, once: bool = True, when: frozenset[str] = CHANGES
) -> Iterator[list[int]]:
    """Act before the `at`-th change of the disk, or from it on; yields a list whose one number counts them."""
    done = [0]

    def watch(_frame: object, event: str, function: Any) -> None:
        if event == "c_call" and function.__name__ in when:
            number, done[0] = done[0], done[0] + 1
            if number == at or (number > at and not once):
                sys.setprofile(None)
                try:
                    act()
                finally:
                    sys.setprofile(watch)

    sys.setprofile(watch)
    try:
        yield done
    finally:
        sys.setprofile(None)


__all__ = ["Berth", "PowerCut", "Refused", "frame", "here", "serving", "strike"]
