"""Splits that never change, with near-duplicates in one of them.

Which split an object is in follows from these rules, the first that applies:

1. It keeps the split that it has in the dataset before.
2. It is in the audit when its content says so (audit.py). Scoring and labeling go by the same rule without knowing any
   other object. A machine's label is worth nothing there, so an object that only a machine has labeled stays out.
3. A near-duplicate of gold or of an audit object stays out of the dataset. Trained on, it would tell the model the
   answer; in the audit it would count for more than its share, which the exact bounds on the machine's error do not
   allow. What is known of gold's looks is what this round's scoring says.
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
from itertools import accumulate, islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.labeling import index as working
from jobs.labeling.audit import is_audited
from jobs.labeling.fingerprint import BITS
from jobs.labeling.near_duplicates import AUDITED, FRESH, SEVERAL, Groups, Ids, groups
from jobs.manifest import digest

SHARES: Final = {"train": 0.7, "validation": 0.15, "test": 0.15}
"""Of what is not in the audit."""
SPLITS: Final = (*SHARES, "audit")
"""The less to the more guarded. Within a merge a split is its position here."""
AUDIT: Final = SPLITS.index("audit")
KEPT_OUT: Final = -1

_ENDS: Final = list(accumulate(SHARES.values()))[:-1]
_BLOCK: Final = 1 << 15


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
    for name, lines in working.by_object(index):
        split = max((line.split for line in lines if line.split is not None), default=None)
        known = split is not None
        if split == AUDIT or (not known and is_audited(name, audit_share)):
            split = AUDIT
            fates["audit_by_machine"] += sum(line.added for line in lines if line.labeler == working.MACHINE)
        # Only in the audit is it worth anything that nobody could tell.
        useless = working.MACHINE if split == AUDIT else working.NONE
        lines = [line for line in lines if line.labeler != useless]
        if not lines:
            continue
        best = lines[-1]
        labels = sum(1 for line in lines if line.added and line.labeler)
        if best.added and best.labeler == working.NONE:
            fates["unsettled"] += 1
        elif labels:
            fates["gave_way" if not best.added else "replaced" if known else "new"] += 1
            fates["duplicate"] += labels - 1
        prints = (line.fingerprint for line in lines if line.fingerprint is not None)
        yield name, best.id, split, max(prints, default=None)


def keep_together(index: sqlite3.Connection) -> NearDuplicates:
    """Decide the splits of new objects that have near-duplicates: by fingerprint, in the table `decided`."""
    known = " + ".join(f"(sum(split IS {split}) > 0) * {1 << split}" for split in range(len(SPLITS)))
    fresh = f"min(sum(split IS NULL), 1) * {FRESH} + (sum(split IS NULL) > 1) * {SEVERAL}"
    index.execute("CREATE INDEX by_fingerprint ON objects (fingerprint, split) WHERE fingerprint IS NOT NULL")
    index.execute("CREATE TABLE prints (id INTEGER PRIMARY KEY, fingerprint INTEGER, flags INTEGER)")
    index.execute(
        f"INSERT INTO prints SELECT row_number() OVER (ORDER BY fingerprint) - 1, fingerprint, {known} + {fresh}"  # noqa: S608
        " FROM objects WHERE fingerprint IS NOT NULL GROUP BY fingerprint"
    )
    # Gold is in no split, and guarded as the audit is.
    (count,) = index.execute("SELECT count(*) FROM prints").fetchone()
    index.execute(f"UPDATE prints SET flags = flags | {AUDITED} WHERE fingerprint IN gold_looks")  # noqa: S608
    index.execute(
        f"INSERT INTO prints SELECT {count} + row_number() OVER (ORDER BY fingerprint) - 1, fingerprint, {AUDITED}"  # noqa: S608
        " FROM gold_looks g WHERE NOT EXISTS (SELECT 1 FROM objects o WHERE o.fingerprint = g.fingerprint)"
    )
    flags = np.fromiter((row[0] for row in index.execute("SELECT flags FROM prints ORDER BY id")), np.uint8)
    return _decide(index, groups(flags, partial(_blocks, index)))


def _blocks(index: sqlite3.Connection, mask: int) -> Iterator[tuple[Ids, NDArray[np.uint64]]]:
    """The fingerprints in the order of some of their bits, as near_duplicates.pairs wants them."""
    signed = mask - (mask >> (BITS - 1) << BITS)
    rows = index.execute("SELECT id, fingerprint FROM prints ORDER BY fingerprint & ?, id", (signed,))
    columns = np.dtype([("id", np.int64), ("fingerprint", np.int64)])
    block = np.empty(0, columns)
    while len(fetched := np.fromiter(islice(rows, _BLOCK), columns)):
        block = np.concatenate([block, fetched])
        # Those that are equal in these bits stay together: the last ones wait for what comes next.
        masked = block["fingerprint"] & signed
        cut = int(np.argmax(masked == masked[-1]))
        yield block["id"][:cut], block["fingerprint"][:cut].astype(np.uint64)
        block = block[cut:]
    yield block["id"], block["fingerprint"].astype(np.uint64)


def _decide(index: sqlite3.Connection, found: Groups) -> NearDuplicates:
    """Write down what follows from the groups."""
    index.execute("CREATE TABLE members (id INTEGER PRIMARY KEY, root INTEGER)")
    with working.transaction(index):
        index.executemany(
            "INSERT INTO decided SELECT fingerprint, ? FROM prints WHERE id = ?",
            ((KEPT_OUT, one) for one in np.flatnonzero(found.kept_out).tolist()),
        )
        index.executemany(
            "INSERT INTO members VALUES (?, ?)",
            ((one, int(found.root[one])) for one in np.flatnonzero(found.grouped).tolist()),
        )
        index.execute(
            "CREATE TABLE firsts AS SELECT root, min(object) AS object, count(*) AS objects"
            " FROM members JOIN prints USING (id) JOIN objects USING (fingerprint) WHERE split IS NULL GROUP BY root"
        )
        index.execute("CREATE INDEX by_root ON firsts (root)")
        rows = index.execute(
            "SELECT fingerprint, members.root, object FROM members JOIN prints USING (id) JOIN firsts USING (root)"
        )
        index.executemany(
            "INSERT INTO decided VALUES (?, ?)",
            ((fingerprint, _of_group(int(found.settled[root]), first)) for fingerprint, root, first in rows),
        )
    groups, objects = index.execute("SELECT count(*), coalesce(sum(objects), 0) FROM firsts").fetchone()
    roots = (found.settled[root] for (root,) in index.execute("SELECT root FROM firsts"))
    return NearDuplicates(groups, objects, sum(int(one).bit_count() > 1 for one in roots))


def _of_group(settled: int, first: str) -> int:
    """The most guarded of the splits that its near-duplicates have, or where its first content falls."""
    return settled.bit_length() - 1 if settled else drawn(first)
