"""What people are asked about: lines of manifests, streamed."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import repeat

from reefloop import contracts, storage
from reefloop.labeling import manifest

# Draws come from the content of what is drawn, so that a round that is run again asks the same.
_DRAWS = 2**64


def routed(bucket: str, round_: str) -> Iterator[bytes]:
    """The lines that the scoring job gave to people, each instance's in order of value, all instances in turn.

    Raises:
        ObjectMissing: when no instance wrote any routing.
    """
    folder = contracts.round_key(round_, "routing/")
    hosts = sorted(storage.list_folders(bucket, folder)) or ["algo-1"]
    return interleaved([storage.read_lines(bucket, f"{folder}{host}/human.manifest") for host in hosts])


def interleaved(parts: Iterable[Iterator[bytes]]) -> Iterator[bytes]:
    """The first line of each part, then the second of each, until all have ended; blank lines left out."""
    running = [(line for line in part if line.strip()) for part in parts]
    while running:
        still = []
        for part in running:
            for line in part:
                yield line
                still.append(part)
                break
        running = still


def doubtful(bucket: str, round_: str, *, honeypot_share: float, labeled: bool) -> Iterator[bytes]:
    """The lines that the labelers could not settle, gold mixed in so that it makes up `honeypot_share` of all.

    Args:
        labeled: lines keep the labels that they have, for a review; otherwise no line shows any.
    """
    honeypots = iter(_gold(bucket, round_) if honeypot_share else ())
    per_line = honeypot_share / (1 - honeypot_share)
    for line in storage.read_lines(bucket, contracts.round_key(round_, "doubtful.manifest")):
        if line.strip():
            for _ in repeat(None, int(per_line + _draw(round_, line) / _DRAWS)):
                yield from _next(honeypots)
            yield line if labeled else _unlabeled(line)


def besides(lines: Iterable[bytes], answered: set[str]) -> Iterator[bytes]:
    """The lines about other objects than those that somebody answered already."""
    for line in lines:
        if not answered or json.loads(line)[manifest.SOURCE] not in answered:
            yield line


def _gold(bucket: str, round_: str) -> list[bytes]:
    """Gold without its labels, in an order that is another in each round."""
    if storage.find(bucket, contracts.GOLD_MANIFEST) is None:
        return []
    lines = [_unlabeled(line) for line in storage.read_lines(bucket, contracts.GOLD_MANIFEST) if line.strip()]
    return sorted(set(lines), key=lambda line: _draw(round_, line))


def _next(honeypots: Iterator[bytes]) -> Iterator[bytes]:
    for line in honeypots:
        yield line
        return


def _unlabeled(line: bytes) -> bytes:
    """A line without any label attribute: those that have metadata beside them."""
    fields = json.loads(line.decode("utf-8-sig"))
    labels = {name.removesuffix("-metadata") for name in fields if name.endswith("-metadata")}
    kept = {name: value for name, value in fields.items() if name.removesuffix("-metadata") not in labels}
    return manifest.line(kept).rstrip(b"\n")


def _draw(round_: str, line: bytes) -> int:
    return int.from_bytes(hashlib.sha256(round_.encode() + b"\n" + line).digest()[:8])
