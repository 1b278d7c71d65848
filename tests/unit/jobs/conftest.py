"""What the tests of the jobs share."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.unit.jobs.bench import Bucket
from tests.unit.jobs.images import CLASSES

torch.set_num_threads(1)


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket(tmp_path / "bucket", list(CLASSES))


@pytest.fixture
def port() -> Iterator[int]:
    """A port that nobody else is given, until processes of the test listen there."""
    with socket.socket() as held:
        # Who sets this too, as torch does, can listen beside a socket that does not.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
