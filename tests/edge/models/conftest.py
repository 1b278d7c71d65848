"""What a Neo library reads from the environment of its process is not left to the tests after it."""

import pytest
from classifier.models import dlr


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in dlr.THREADS:
        monkeypatch.setenv(name, "0")
