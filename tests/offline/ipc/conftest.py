"""Nuclei for every test of IPC, lite and classic."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from offline.device.ipc.frames import Frame, MessageType
from tests.offline.ipc.nucleus import Device, Raw, running


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Device]:
    with running(tmp_path, lite=True) as device:
        yield device


@pytest.fixture
def classic(tmp_path: Path) -> Iterator[Device]:
    with running(tmp_path, lite=False) as device:
        yield device


@pytest.fixture(params=["lite", "classic"])
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Device]:
    with running(tmp_path, lite=request.param == "lite") as device:
        yield device


@pytest.fixture
def raw(lite: Device) -> Iterator[Raw]:
    """A connection to nucleus lite that was accepted."""
    connection = Raw(lite)
    assert connection.connect({"authToken": lite.variables()["SVCUID"]}) == Frame(MessageType.CONNECT_ACK, 1)
    yield connection
    connection.close()
