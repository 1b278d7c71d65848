"""A device of fakes around the real component: a camera that does as it is told, a model that knows the answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from classifier.pipeline import chores, steps, supervisor

from tests.edge.device import Device


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """One whose stages rest for milliseconds where real ones rest for a second, and whose last words nobody cuts short:
    what is said with them is what its tests read."""
    monkeypatch.setattr(steps, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(chores, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(chores, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(chores, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(supervisor, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(supervisor, "LAST_WORDS_SECONDS", 60)
    device = Device(tmp_path)
    yield device
    device.close()
