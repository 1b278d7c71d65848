"""Both nuclei of the offline core device, for the real SDK to talk to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from classifier.uplink.nucleus import Nucleus

from offline.device.ipc import SOCKET
from tests.edge.device import eventually
from tests.offline.ipc.nucleus import Device, running


@pytest.fixture(params=["lite", "classic"])
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Device]:
    with running(tmp_path, lite=request.param == "lite") as device:
        yield device


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Device]:
    with running(tmp_path, lite=True) as device:
        yield device


@pytest.fixture
def classic(tmp_path: Path) -> Iterator[Device]:
    with running(tmp_path, lite=False) as device:
        yield device


def connected(device: Device, *, timeout_seconds: float = 5.0) -> Nucleus:
    """What a process of the component makes of its environment; one with little patience tries until it is let in."""
    variables = device.variables()
    nucleus = Nucleus(socket=variables[SOCKET], token=variables["SVCUID"], timeout_seconds=timeout_seconds)
    eventually(nucleus.connect)
    return nucleus


@pytest.fixture
def nucleus(device: Device) -> Iterator[Nucleus]:
    nucleus = connected(device)
    yield nucleus
    nucleus.close()
