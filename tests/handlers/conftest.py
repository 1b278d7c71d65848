"""One empty account per test, in this process: moto, and Greengrass V2 as the offline account has it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from offline.services import greengrassv2
from offline.state import State
from reefloop import clients
from tests.handlers.account import ARTIFACTS, DATA, GROUP, RECORDS, REGION, Account


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the stacks set on every function; a test changes what it is about."""
    variables = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "DATA_BUCKET": DATA,
        "ARTIFACT_BUCKET": ARTIFACTS,
        "MODEL_PACKAGE_GROUP": GROUP,
        "CHUNK_OBJECTS": "2",
        "TASK": "classification",
        "LABELERS_TASK": "classification",
        "EXPERTS_TASK": "classification",
        "CHAINED_JOBS": "2",
        "PROVIDER": "ground-truth",
        "WORKERS_PER_OBJECT": "3",
        "EXPERTS_PER_OBJECT": "2",
        "AVAILABILITY_SECONDS": "3600",
        "IMAGE_URI": "123456789012.dkr.ecr.us-east-1.amazonaws.com/reefloop:tag",
        "APPROVAL": "automatic",
        "INSTANCE_TYPES": "ml.g5.xlarge,ml.g6.xlarge",
        "INSTANCE_COUNT": "1",
        "MAX_RUNTIME_SECONDS": "600",
        "MAX_WAIT_SECONDS": "900",
        "INSTANCE_TYPE": "ml.m5.xlarge",
        "MINIMUM_TARGETS": "1",
        "CANARY_TIMEOUT_SECONDS": "60",
        "DEVICES_PER_MINUTE": "50",
        "ABORT_FAILED_PERCENT": "10",
        "RECORDS_TABLE": RECORDS,
        "RECORDS_DAYS": "90",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


@pytest.fixture(scope="module", autouse=True)
def fresh_clients() -> Iterator[None]:
    """Making a client takes 100 ms, so those of a module are shared, and never with another account's tests."""
    clients.client.cache_clear()
    yield
    clients.client.cache_clear()


@pytest.fixture
def account(environment: None, tmp_path: Path) -> Iterator[Account]:
    greengrassv2.install(State(tmp_path))
    with mock_aws():
        greengrassv2.backend(REGION).reset()
        yield Account()
