"""Keeps the model that serves: takes a new one in beside it, and never lets go of the last good one.

The link belongs to the model component, and the nucleus deletes what it points to once it is no longer deployed; so
every package is copied into this component's own folder first, checked there and served from there.
"""

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from classifier.models.model import Model, load
from classifier.models.package import SUMS, Refused, claimed_version, fingerprint

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What came of a model: the one that passed, or why `version` did not."""

    version: str
    model: Model | None
    reason: str = ""


class Keeper:
    """`serving` is None until a first model has passed its self-test."""

    def __init__(self, link: Path, folder: Path, *, threads: int) -> None:
        self.serving: Model | None = None
        self._link, self._folder, self._threads = link, folder, threads
        self._good = folder / "good"
        self._seen: tuple[str, int] | None = None
        self._trouble = ""

    def start(self) -> Outcome | None:
        """Serve the last good model again, if there is one and it still passes."""
        if not self._good.exists():
            return None
        folder = self._good.resolve()
        try:
            self.serving = load(folder, threads=self._threads)
        except Refused as error:
            # Damaged while the device was off; the model component still has its own copy.
            log.warning("the last good model no longer passes: %s", error)
            self._good.unlink()
            return Outcome(claimed_version(folder), None, f"the last good model no longer passes: {error}")
        return Outcome(self.serving.package.version, self.serving)

    def poll(self) -> Outcome | None:
        """Look at the link; None when it leads where it led before, or nowhere."""
        try:
            source = self._link.resolve(strict=True)
            sums = source / SUMS
            seen = (str(source), sums.stat().st_mtime_ns if sums.exists() else 0)
        except OSError:
            return None  # no model yet, or the nucleus is just replacing it
        if seen == self._seen:
            return None
        try:
            model = self._take(source)
        except OSError as error:
            return self._again_later(source, error)
        except Refused as error:
            self._seen, self._trouble = seen, ""
            log.warning("model %s is refused: %s", claimed_version(source), error)
            return Outcome(claimed_version(source), None, str(error))
        self._seen, self._trouble = seen, ""
        log.info("model %s serves on %s", model.package.version, model.runtime)
        self.serving = model
        return Outcome(model.package.version, model)

    def _again_later(self, source: Path, error: OSError) -> Outcome | None:
        """The disk's fault, not the model's: said once, tried again at every look."""
        if str(error) == self._trouble:
            return None
        self._trouble = str(error)
        log.warning("model %s cannot be copied: %s", claimed_version(source), error)
        return Outcome(claimed_version(source), None, f"the model cannot be copied: {error}")

    def _take(self, source: Path) -> Model:
        name = fingerprint(source)
        if self.serving and self.serving.package.folder.name == name:
            return self.serving
        copy = self._folder / name
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(source, copy)
        try:
            model = load(copy, threads=self._threads)
        except Refused:
            shutil.rmtree(copy)
            raise
        _flush(copy)
        self._remember(copy)
        return model

    def _remember(self, copy: Path) -> None:
        """Point `good` at the copy, in one step that a power cut cannot halve, and drop the copies before it."""
        fresh = self._folder / "good.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(copy.name)
        fresh.replace(self._good)
        for other in self._folder.iterdir():
            if other.is_dir() and not other.is_symlink() and other != copy:
                shutil.rmtree(other, ignore_errors=True)


def _flush(folder: Path) -> None:
    """Have the disk take every byte now: the copy before goes next, and power may go with it."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            os.fsync(file.fileno())
