"""Where frames come from."""

from pathlib import Path

from classifier.clock import Clock
from classifier.configuration import Configuration
from classifier.sources.address import Address
from classifier.sources.camera import Still, Stream
from classifier.sources.folder import Folder
from classifier.sources.recorded import Recorded
from classifier.sources.source import Source
from classifier.sources.video import Video

__all__ = ["Source", "open"]


def open(configuration: Configuration, work: Path, clock: Clock, *, replayed: bool = False) -> Source:  # noqa: A001
    """The source that the configuration names; paths are relative to the work folder.

    A replay only reads: it moves no file, marks no video as done and waits for nothing. Frames are then `taken` when
    they were recorded, counted from the clock's present, and whoever drives the clock lets it follow.
    """
    kind, _, rest = configuration.source.partition(":")
    if kind == "folder":
        if replayed:
            return Recorded(work / rest, clock=clock, frames_per_second=configuration.frames_per_second)
        return Folder(
            work / rest,
            done=work / "done",
            unreadable=work / "unreadable",
            clock=clock,
            poll_seconds=configuration.poll_seconds,
            keep=configuration.keep_frames,
        )
    address = Address(rest, folder=work)
    if kind == "video":
        mark = None if replayed else work / "video-done.json"
        return Video(address, clock=clock, frames_per_second=configuration.frames_per_second, mark=mark)
    if kind == "still":
        return Still(address, clock=clock, seconds=configuration.still_seconds)
    return Stream(address, clock=clock, frames_per_second=configuration.frames_per_second)
