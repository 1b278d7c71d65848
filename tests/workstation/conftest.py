"""A workstation without a machine: its commands are files on the path, its AWS is the offline account."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from offline.account import Account
from tests.stacks.conftest import configured as configured
from tests.workstation.commands import Commands, aws_command
from workstation import idle, machine, s3


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Commands that come before the machine's own. sudo runs what it is given."""
    made = Commands(tmp_path)
    made.add("sudo", 'exec "$@"')
    monkeypatch.setenv("PATH", f"{made.folder}:/usr/bin:/bin")
    monkeypatch.setattr(machine, "DOCKER_SOCKET", tmp_path / "no-socket")
    return made


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with Account(tmp_path_factory.mktemp("account")) as opened:
        yield opened


@pytest.fixture(scope="module")
def command(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with aws_command(account, tmp_path_factory.mktemp("aws")) as made:
        yield made


@pytest.fixture
def aws(account: Account, command: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> Account:
    """The account, reached by the command `aws` and by signed requests."""
    commands.link(command)
    monkeypatch.setattr(s3, "ENDPOINT", account.endpoint + "/{bucket}")
    return account


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of who is connected, on a machine that boot.sh has set up."""
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"image_uri": "registry/jobs:now", "region": "us-east-1", "idle_minutes": 60}))
    monkeypatch.setattr(machine, "SETTINGS", settings)
    monkeypatch.setattr(idle, "LAST_USED", tmp_path / "run" / "last-used")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "reefloop"
