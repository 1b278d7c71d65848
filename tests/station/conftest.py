import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from console.label.answers import Worker
from console.label.server import PageServer
from console.label.serving import serving
from console.label.station import Station
from offline.account import Account
from tests.any import any_round
from tests.station.batches import Publish, Published, Serve, Serving, Waiting, image_bytes
from tests.station.browser import Browser

STORAGE = {
    "Resources": {"Data": {"Type": "AWS::S3::Bucket"}},
    "Outputs": {"DataBucket": {"Value": {"Ref": "Data"}}},
}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account with the storage stack; the tests of a module share it and tell each other apart by their rounds."""
    with Account(tmp_path_factory.mktemp("account")) as opened:
        opened.client("cloudformation").create_stack(StackName="reefloop-storage", TemplateBody=json.dumps(STORAGE))
        yield opened


@pytest.fixture(scope="module")
def bucket(account: Account) -> str:
    [stack] = account.client("cloudformation").describe_stacks(StackName="reefloop-storage")["Stacks"]
    return str(stack["Outputs"][0]["OutputValue"])


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser, for one test: whatever page it opens stays among itself and has no errors."""
    yield chromium
    told = chromium.do("told")
    assert told["errors"] == []
    elsewhere = [url for url in told["requests"] if not url.startswith(("http://127.0.0.1:", "blob:http://127.0.0.1:"))]
    assert elsewhere == []


@pytest.fixture(scope="module")
def waiting(account: Account) -> Waiting:
    return Waiting(account)


@contextmanager
def publishing(account: Account, bucket: str, waiting: Waiting) -> Iterator[Publish]:
    """Publishes batches of so many small images, or of images under given keys."""
    published: list[Published] = []

    def make(images: int | Sequence[str] = 3, **settings: Any) -> Published:
        round_ = any_round()
        keys = (
            [f"images/upload/{round_}-{number}.png" for number in range(images)] if isinstance(images, int) else images
        )
        batch = Published(account, bucket, waiting, keys, round_=round_, **settings)
        for number, key in enumerate(keys):
            batch.put(key, image_bytes(number * 40))
        published.append(batch)
        return batch

    yield make
    account.faults.clear()
    for batch in published:
        account.client("stepfunctions").stop_execution(executionArn=batch.execution)


@contextmanager
def stations(account: Account, bucket: str) -> Iterator[Serve]:
    """Serves the pages of workers for published batches."""
    with ExitStack() as open_:

        def start(batch: Published, worker: str = "ana", *, waits: bool = False) -> Serving:
            identity = {"identityProviderType": "AWS", "issuer": "123456789012", "sub": f"AIDA{worker}"}
            who, told = Worker(worker, identity), list[str]()
            station = Station(account.client, bucket, batch.round_, batch.team, who, tell=told.append, waits=waits)
            station.refresh()
            server = PageServer(station)
            open_.enter_context(serving(server))
            return Serving(station, server, told)

        yield start


@pytest.fixture
def publish(account: Account, bucket: str, waiting: Waiting) -> Iterator[Publish]:
    with publishing(account, bucket, waiting) as make:
        yield make


@pytest.fixture
def serve(account: Account, bucket: str) -> Iterator[Serve]:
    with stations(account, bucket) as start:
        yield start


@pytest.fixture(scope="module")
def untouched(account: Account, bucket: str, waiting: Waiting) -> Iterator[tuple[Published, Published, Serve]]:
    """A batch of classes and one of boxes that no test of a module answers, and how to serve them."""
    with publishing(account, bucket, waiting) as make, stations(account, bucket) as start:
        yield make(2, votes=2), make(1, votes=2, task="detection"), start
