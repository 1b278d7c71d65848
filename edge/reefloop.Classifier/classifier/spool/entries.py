"""What goes into the spool and what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from classifier.messages import KINDS

FRAME: Final = "frame"
EVICTED_KINDS: Final = (*KINDS, FRAME)


@dataclass(frozen=True)
class Message:
    """For the cloud's store: one of messages.KINDS and a body as messages.BODIES has it."""

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
    """What waits: messages, frames, and the bytes that both take in the file."""

    records: int
    frames: int
    bytes: int


@dataclass(frozen=True)
class Ledger:
    """Bytes spent, by minute of the device's own running time, and when that was read last."""

    running: float
    """Seconds that the device has run, as far as was saved."""
    boot: str
    elapsed: float
    """The clock's boot and elapsed at that moment."""
    cells: Mapping[int, int]
