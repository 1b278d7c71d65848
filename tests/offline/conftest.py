"""Accounts for the tests of the offline account and of what runs in it."""

from collections.abc import Iterator

import pytest

from offline.account import Account
from tests.offline.stack_driver import Stacks


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An open account, empty when the module begins. A process has one at a time: do not ask for it session-wide."""
    with Account(tmp_path_factory.mktemp("account")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_faults_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A fault planned by one test never reaches the next."""
    yield
    if "account" in request.fixturenames:
        request.getfixturevalue("account").faults.clear()


@pytest.fixture
def stacks(account: Account) -> Iterator[Stacks]:
    """Stacks of one test, all deleted after it."""
    stacks = Stacks(account)
    yield stacks
    stacks.end()
