import socket
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

# The same examples each time, so that a commit has one verdict; `make test ARGS=--hypothesis-profile=search` looks for
# others. Wall time says nothing about a property, least of all on a machine that does other things as well.
settings.register_profile(
    "same", derandomize=True, max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", settings.get_profile("same"), derandomize=False, max_examples=1000)
settings.load_profile("same")

LONG: Final = ("/workflow/", "/jobs/test_kill", "/jobs/test_learning", "/jobs/test_train", "/offline/", "/stacks/")
"""Modules that take long, in the order in which they begin; a module's tests share what they set up."""


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes do not name a test: a gzip header holds the second in which it was written, and two processes that name a
    test differently run none."""
    return argname if isinstance(val, bytes) else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long first: no process is to be left with it at the end."""
    items.sort(key=lambda item: _rank(item.path.as_posix()))


def _rank(path: str) -> int:
    return next((rank for rank, part in enumerate(LONG) if part in path), len(LONG))


@pytest.fixture
def port() -> Iterator[int]:
    """A port that nobody else is given, until processes of the test listen there."""
    with socket.socket() as held:
        # Who sets this too, as torch does, can listen beside a socket that does not.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
