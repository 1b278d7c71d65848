"""What people are asked about: lines of manifests, streamed."""

import json
from collections.abc import Iterable, Iterator

from reefloop import contracts, storage
from reefloop.labeling import manifest


def routed(bucket: str, round_: str) -> Iterator[bytes]:
    """The lines that the scoring job gave to people, each instance's in order of value, all instances in turn.

    A round that is scored again with fewer instances still has the folders of the others: they count no more.

    Raises:
        ObjectMissing: when no instance wrote any routing.
    """
    folder = contracts.round_key(round_, contracts.ROUTING_FOLDER)
    hosts = storage.read_json(bucket, f"{folder}{contracts.instance(1)}/routing.json")["hosts"]
    names = [contracts.instance(number) for number in range(1, hosts + 1)]
    return interleaved([storage.read_lines(bucket, f"{folder}{name}/human.manifest") for name in names])


def doubtful(bucket: str, round_: str) -> Iterator[bytes]:
    """The lines that the labelers could not settle, gold mixed in already.

    Raises:
        ObjectMissing: when the round was not consolidated.
    """
    return interleaved([storage.read_lines(bucket, contracts.round_key(round_, "doubtful.manifest"))])


def interleaved(parts: Iterable[Iterator[bytes]]) -> Iterator[bytes]:
    """The first line of each part, then the second of each, until all have ended; blank lines left out."""
    running = [(line for line in part if line.strip()) for part in parts]
    while running:
        still = []
        for part in running:
            if line := next(part, None):
                yield line
                still.append(part)
        running = still


def besides(lines: Iterable[bytes], answered: set[str]) -> Iterator[bytes]:
    """The lines about other objects than those that somebody answered already."""
    for line in lines:
        if not answered or json.loads(line)[manifest.SOURCE] not in answered:
            yield line
