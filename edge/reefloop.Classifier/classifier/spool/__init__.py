"""What waits on disk for the cloud's word that it has it."""

from pathlib import Path

from classifier.clock import Clock
from classifier.spool.entries import Depth, Entry, Ledger, Message, StoredUpload, Stream, Upload
from classifier.spool.place import new_boot
from classifier.spool.spool import Spool

__all__ = ["Depth", "Entry", "Ledger", "Message", "Spool", "StoredUpload", "Stream", "Upload", "new_boot", "open"]


def open(folder: Path, *, clock: Clock, boot: str, max_bytes: int) -> Spool:  # noqa: A001  read as spool.open
    """The spool of a folder, as the last start left it. Never raises: see Spool.trouble."""
    return Spool(folder, clock=clock, boot=boot, max_bytes=max_bytes)
