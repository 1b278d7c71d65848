"""Where frames come from."""

from pathlib import Path
from typing import Final

from classifier.clock import Clock
from classifier.configuration import Configuration
from classifier.sources.address import Address
from classifier.sources.camera import Still, Stream
from classifier.sources.folder import Folder
from classifier.sources.recorded import Recorded
from classifier.sources.source import Source
from classifier.sources.video import Video

__all__ = ["USED", "Source", "open"]

USED: Final = {
    "folder": ("poll_seconds", "keep_frames"),
    "video": ("frames_per_second",),
    "still": ("still_seconds",),
    "stream": ("frames_per_second",),
}
"""What a kind of source is opened with, beside its address."""
_OWN: Final = frozenset({"done", "unreadable", "models", "results", "spool", "venv", "downloads"})
"""Folders in the work folder."""


def open(configuration: Configuration, work: Path, clock: Clock, *, replayed: bool = False) -> Source:  # noqa: A001
    """The source that the configuration names; paths are relative to the work folder.

    A replay only reads: it moves no file, marks no video as done and waits for nothing. Frames are then `taken` when
    they were recorded, counted from the clock's present, and whoever drives the clock lets it follow.

    Raises:
        ValueError: the folder holds what the component itself keeps.
    """
    kind, _, rest = configuration.source.partition(":")
    if kind == "folder":
        if replayed:
            return Recorded(work / rest, clock=clock, frames_per_second=configuration.frames_per_second)
        return Folder(
            _of_frames(work / rest, work),
            done=work / "done",
            unreadable=work / "unreadable",
            clock=clock,
            poll_seconds=configuration.poll_seconds,
            keep=configuration.keep_frames,
        )
    address = Address(rest, folder=work)
    if kind == "video":
        mark = None if replayed else work / "video.json"
        return Video(address, clock=clock, frames_per_second=configuration.frames_per_second, mark=mark)
    if kind == "still":
        return Still(address, clock=clock, seconds=configuration.still_seconds)
    return Stream(address, clock=clock, frames_per_second=configuration.frames_per_second)


def _of_frames(folder: Path, work: Path) -> Path:
    """A folder whose files may be taken away: the component's own would be set aside, or classified for ever."""
    asked, own = folder.resolve(), work.resolve()
    if asked == own or any(asked.is_relative_to(own / name) for name in _OWN):
        raise ValueError(f"{folder} holds what the component keeps; give its frames a folder of their own, like frames")
    return folder
