"""Splits that never change, with near-duplicates in one of them.

Which split an object is in follows from these rules, the first that applies:

1. It keeps the split that it has in the dataset before.
2. It is in the audit when its content says so (audit.py). Scoring and labeling go by the same rule without knowing any
   other object. A machine's label is worth nothing there, so an object that only a machine has labeled stays out.
3. A near-duplicate of an audit object stays out of the dataset. Trained on, it would tell the model the answer; in the
   audit it would count for more than its share, which the exact bounds on the machine's error do not allow.
4. Near-duplicates that come together, directly or over one another, are a group. The group joins the near-duplicates
   that are there already; where those are in several splits it is a bridge, which nothing can mend, and joins the most
   guarded of them: train never gets a near-duplicate of what validation or test already have.
5. A group of which nothing is known goes where its first content falls, and so does an object that is alone.

An audit object may still resemble one that has been trained on before, just as the objects of the pool do of which the
audit is a sample. Objects without a fingerprint, such as imported ones, are alone.
"""

import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.labeling import index as working
from jobs.labeling.audit import is_audited
from jobs.labeling.fingerprint import BITS
from jobs.labeling.near_duplicates import Groups, Ids, Prints, groups
from jobs.manifest import digest

SHARES: Final = {"train": 0.7, "validation": 0.15, "test": 0.15}
"""Of what is not in the audit."""
SPLITS: Final = (*SHARES, "audit")
"""The less to the more guarded. Within a merge a split is its position here."""
AUDIT: Final = SPLITS.index("audit")
KEPT_OUT: Final = -1

_ENDS: Final = list(accumulate(SHARES.values()))[:-1]
_BLOCK: Final = 1 << 16


def split_of(content: str, *, audit_share: float) -> str:
    """The split that an object has by itself, decided by its content alone: one of SPLITS.

    The audit draws first and with a hash of its own, so another `audit_share` moves objects into the audit or out of
    it and none between the others.
    """
    return "audit" if is_audited(content, audit_share) else SPLITS[drawn(content)]


def drawn(content: str) -> int:
    """The split that is not the audit which a content alone decides, as its position in SPLITS."""
    position = digest("split", content) / 2**64
    return bisect_right(_ENDS, position)


@dataclass
class NearDuplicates:
    """What the merge of one round found among the objects that it added.

    Attributes:
        groups: groups of two or more objects, whether their near-duplicates came with them or were there.
        objects: added objects that are in such groups.
        bridges: groups that have near-duplicates in more than one split.
    """

    groups: int = 0
    objects: int = 0
    bridges: int = 0


def choose(index: sqlite3.Connection, *, audit_share: float) -> Counter[str]:
    """Choose the line of every object, and the split where content alone decides it; the fates of the round's labels.

    new, replaced (an older label), gave_way (to a person's), duplicate (another label of the round won),
    audit_by_machine; and unsettled, the audit objects that people have not settled, which come without a label.
    """
    fates: Counter[str] = Counter()
    with working.transaction(index):
        index.executemany("INSERT INTO objects VALUES (?, ?, ?, ?)", _chosen(index, audit_share, fates))
    return fates


def _chosen(index: sqlite3.Connection, audit_share: float, fates: Counter[str]) -> Iterator[working.Row]:
    for lines in working.by_object(index):
        name = lines[0][0]
        split = max((line[4] for line in lines if line[4] is not None), default=None)
        known = split is not None
        if split == AUDIT or (not known and is_audited(name, audit_share)):
            split = AUDIT
            fates["audit_by_machine"] += sum(line[2] for line in lines if line[3] == working.MACHINE)
            lines = [line for line in lines if line[3] != working.MACHINE]
        if not lines:
            continue
        _, chosen, added, labeler, _, _ = lines[-1]
        labels = sum(1 for line in lines if line[2] and line[3])
        if added and labeler == working.NONE:
            fates["unsettled"] += 1
        elif added:
            fates["replaced" if known else "new"] += 1
            fates["duplicate"] += labels - 1
        elif labels:
            fates["gave_way"] += 1
            fates["duplicate"] += labels - 1
        yield name, chosen, split, max((line[5] for line in lines if line[5] is not None), default=None)


def keep_together(index: sqlite3.Connection) -> NearDuplicates:
    """Decide the splits of new objects that have near-duplicates: by fingerprint, in the table `decided`."""
    known = " + ".join(f"(sum(split IS {split}) > 0) * {1 << split}" for split in range(AUDIT))
    index.execute("CREATE INDEX by_fingerprint ON objects (fingerprint, split) WHERE fingerprint IS NOT NULL")
    index.execute(
        "CREATE TABLE prints"
        " (id INTEGER PRIMARY KEY, fingerprint INTEGER, fresh INTEGER, audited INTEGER, known INTEGER)"
    )
    index.execute(
        "INSERT INTO prints SELECT row_number() OVER (ORDER BY fingerprint) - 1, fingerprint,"  # noqa: S608 (numbers)
        f" sum(split IS NULL), sum(split IS {AUDIT}) > 0, {known}"
        " FROM objects WHERE fingerprint IS NOT NULL GROUP BY fingerprint"
    )
    (count,) = index.execute("SELECT count(*) FROM prints").fetchone()
    columns = np.fromiter(
        index.execute("SELECT fresh, audited, known FROM prints ORDER BY id"),
        np.dtype([("fresh", np.int32), ("audited", np.bool_), ("known", np.uint8)]),
        count,
    )
    prints = Prints(columns["fresh"] > 0, columns["audited"], columns["known"])
    return _decide(index, groups(prints, partial(_blocks, index)), columns["fresh"])


def _blocks(index: sqlite3.Connection, mask: int) -> Iterator[tuple[Ids, NDArray[np.uint64]]]:
    """The fingerprints in the order of some of their bits, as near_duplicates.pairs wants them."""
    signed = mask - (1 << BITS if mask >> (BITS - 1) else 0)
    rows = index.execute("SELECT id, fingerprint FROM prints ORDER BY fingerprint & ?, id", (signed,))
    kept = np.zeros((0, 2), np.int64)
    while len(fetched := np.array(rows.fetchmany(_BLOCK), np.int64).reshape(-1, 2)):
        block = np.concatenate([kept, fetched])
        # Those that are equal in these bits stay together: the last ones wait for what comes next.
        masked = block[:, 1] & signed
        cut = int(np.argmax(masked == masked[-1]))
        yield block[:cut, 0], block[:cut, 1].view(np.uint64)
        kept = block[cut:]
    yield kept[:, 0], kept[:, 1].copy().view(np.uint64)


def _decide(index: sqlite3.Connection, found: Groups, fresh: NDArray[np.int32]) -> NearDuplicates:
    """Write down what follows from the groups; `fresh` counts the new objects of each fingerprint."""
    free = (fresh > 0) & ~found.kept_out
    size = np.bincount(found.root, np.where(free, fresh, 0), len(fresh))
    index.execute("CREATE TABLE members (id INTEGER PRIMARY KEY, root INTEGER)")
    grouped = free & ((size > 1) | (found.known > 0))[found.root]
    with working.transaction(index):
        index.executemany(
            "INSERT INTO decided SELECT fingerprint, ? FROM prints WHERE id = ?",
            ((KEPT_OUT, one) for one in np.flatnonzero(found.kept_out).tolist()),
        )
        index.executemany(
            "INSERT INTO members VALUES (?, ?)",
            ((one, int(found.root[one])) for one in np.flatnonzero(grouped).tolist()),
        )
        index.execute(
            "CREATE TABLE firsts AS SELECT root, min(object) AS object"
            " FROM members JOIN prints USING (id) JOIN objects USING (fingerprint) WHERE split IS NULL GROUP BY root"
        )
        rows = index.execute(
            "SELECT fingerprint, members.root, object FROM members JOIN prints USING (id) JOIN firsts USING (root)"
        )
        index.executemany(
            "INSERT INTO decided VALUES (?, ?)",
            ((fingerprint, _of_group(int(found.known[root]), first)) for fingerprint, root, first in rows),
        )
    roots = np.flatnonzero(grouped & (found.root == np.arange(len(fresh))))
    bridges = np.bitwise_count(found.known[roots]) > 1
    return NearDuplicates(len(roots), int(size[roots].sum()), int(bridges.sum()))


def _of_group(known: int, first: str) -> int:
    return known.bit_length() - 1 if known else drawn(first)
