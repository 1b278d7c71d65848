"""What the tests of the jobs share."""

from pathlib import Path

import pytest
import torch

from tests.unit.jobs.bench import Bucket
from tests.unit.jobs.images import CLASSES

torch.set_num_threads(1)


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket(tmp_path / "bucket", list(CLASSES))
