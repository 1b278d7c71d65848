"""Which objects are set aside to check the machine on: people label them whatever it says of them."""

import hashlib


def is_audited(content: str, share: float) -> bool:
    """Whether an object belongs to the audit, decided by its content alone.

    A draw by hash: every instance of a job, every round and every run agree on it without knowing the other objects,
    and the audit is a random sample of whatever arrives (each object with probability `share`). A larger share keeps
    the objects of a smaller one.
    """
    draw = hashlib.blake2b(content.encode(), digest_size=8, person=b"audit").digest()
    return int.from_bytes(draw) / 2**64 < share
