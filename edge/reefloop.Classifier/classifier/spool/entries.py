"""What goes into the spool and what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from classifier.messages import KINDS

FRAME: Final = "frame"
EVICTED: Final = (*KINDS, FRAME)
"""What losses are counted by."""


@dataclass(frozen=True)
class Message:
    """For the cloud's store: one of messages.KINDS, and a body as bodies.BODIES has it."""

    kind: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Upload:
    """A frame for the bucket. The one of the lowest value is evicted first, the one of the highest goes first."""

    key: str
    content: bytes
    metadata: Mapping[str, str]
    value: float


Entry = Message | Upload


@dataclass(frozen=True)
class Stream:
    """The messages of one kind from one start: numbered densely from 1."""

    boot: str
    kind: str


@dataclass(frozen=True)
class StoredUpload:
    """A frame that waits."""

    id: str
    key: str
    content: bytes
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Depth:
    """What waits: messages, frames, and the bytes that both take in the database."""

    records: int
    frames: int
    bytes: int


@dataclass(frozen=True)
class Ledger:
    """Bytes spent, by minute of the device's own running time, and where that time stands."""

    running: float
    """Seconds that the device has run, as far as was saved."""
    boot: str
    elapsed: float
    """The clock's readings at that moment."""
    cells: Mapping[int, int]


@dataclass(frozen=True)
class MessageRow:
    """A message as the database has it; the body as JSON."""

    kind: str
    boot: str
    seq: int
    at: int
    body: bytes

    @property
    def size(self) -> int:
        """Bytes in the file, about."""
        return len(self.body) + 64


@dataclass(frozen=True)
class UploadRow:
    """A frame as the database has it; the metadata as JSON. A new one has no id yet."""

    key: str
    content: bytes
    metadata: bytes
    value: float
    id: int = 0

    @property
    def size(self) -> int:
        """Bytes in the file, about: its pages are its own, but for one."""
        return len(self.content) + len(self.metadata) + len(self.key) + 4096


Row = MessageRow | UploadRow
