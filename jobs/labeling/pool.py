"""A round's objects as an instance of a job meets them: its own share of them, each once."""

from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from jobs import manifest
from jobs.errors import JobError
from jobs.manifest import Entry, digest
from jobs.paths import Root, object_key, read_json


@dataclass(frozen=True)
class Host:
    """Which instance of the job this is.

    https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
    """

    name: str
    number: int
    hosts: int

    @classmethod
    def of(cls, root: Root) -> Self:
        path = root.path / "config" / "resourceconfig.json"
        if not path.exists():
            return cls("algo-1", 0, 1)
        config = read_json(path)
        hosts = sorted(config["hosts"])
        return cls(config["current_host"], hosts.index(config["current_host"]), len(hosts))

    def has(self, content: str) -> bool:
        """Whether an object that all instances have is this one's to use: each belongs to exactly one."""
        return digest("host", content) % self.hosts == self.number


def routed_by(folder: Path) -> list[Path]:
    """The folders of a round's routing, one for each instance of the job that scored it last.

    A round that is scored again with fewer instances still has the folders of the others: they count no more.

    Raises:
        JobError: the round was not scored, or its routing.json is not what it should be.
    """
    path = folder / "routing" / "algo-1" / "routing.json"
    summary = read_json(path)
    try:
        return [folder / "routing" / f"algo-{number}" for number in range(1, summary["hosts"] + 1)]
    except (KeyError, TypeError) as error:
        raise JobError(f'{path} must say how many instances there were, as "hosts": {error!r}') from None


def checked(path: Path) -> Iterator[Entry]:
    """The lines of a manifest, each about an object that an image folder can hold.

    Raises:
        JobError: naming the line that is broken.
    """
    for entry in manifest.read(path):
        try:
            object_key(entry.source_ref)
        except JobError as error:
            raise entry.error(f"is about no image: {error}") from None
        _ = entry.content
        yield entry


def fresh(path: Path, images: Path, host: Host, gold: Set[str], tally: Counter[str]) -> Iterator[Entry]:
    """The objects of a pool manifest whose label is unknown and whose image this instance has.

    SageMaker gives every image to one instance (ShardedByS3Key). An instance that is alone has them all, so for it a
    missing image is no reason to leave an object out.

    The manifest is read twice. The first time finds a broken line before an image is looked at, and by 8 bytes per
    object which objects may be there more than once: only those have to be remembered.

    Args:
        gold: source-refs and contents of what is known.
        tally: counts this instance's lines as pool, and those left out as gold or duplicate.

    Raises:
        JobError: naming the line that is broken.
    """
    hashes = np.fromiter((digest(entry.source_ref) for entry in checked(path)), np.uint64)
    hashes.sort()
    repeated = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    del hashes
    seen: set[str] = set()
    for entry in manifest.read(path):
        ref = entry.source_ref
        if host.hosts > 1 and not (images / object_key(ref)).exists():
            continue
        tally["pool"] += 1
        if repeated and ref in seen:
            tally["duplicate"] += 1
            continue
        if repeated and digest(ref) in repeated:
            seen.add(ref)
        if ref in gold or entry.content in gold:
            tally["gold"] += 1
        else:
            yield entry
