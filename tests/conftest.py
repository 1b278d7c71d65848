from typing import Final

import pytest

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
