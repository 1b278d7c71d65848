from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from offline.account import Account

Colours = tuple[int, int, int]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account without CDKToolkit.

    The tests of a module share it, since each of its services takes a second to come up: they name what they make as
    no other test does or take it away again, and look at nothing else.
    """
    with Account(tmp_path_factory.mktemp("account")) as opened:
        yield opened


@pytest.fixture
def any_photo(tmp_path: Path) -> Callable[..., Path]:
    """Writes an image that no other call writes, where it is told to."""
    count = 0

    def write(path: Path, *, size: tuple[int, int] = (8, 8)) -> Path:
        nonlocal count
        count += 1
        path = tmp_path / path
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (count % 256, count // 256, 7)).save(path)
        return path

    return write
