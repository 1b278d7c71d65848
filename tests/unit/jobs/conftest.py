"""What the tests of the jobs share."""

from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.unit.jobs.bench import Bucket
from tests.unit.jobs.images import CLASSES

# Wall time says nothing about a property, least of all on a machine that does other things as well.
settings.register_profile("jobs", deadline=None, max_examples=40)
settings.load_profile("jobs")
torch.set_num_threads(1)


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket(tmp_path / "bucket", list(CLASSES))
