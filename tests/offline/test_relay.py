"""The way of a device's processes to AWS, which is down when the device's link is."""

import io
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from offline.account import Account
from offline.broker import Broker, Link
from offline.device.relay import Relay
from tests.offline.bench import any_name


@pytest.fixture
def link(account: Account) -> Link:
    return Link(account.state.only(Broker), "reef")


@pytest.fixture
def s3(account: Account, link: Link) -> Iterator[Any]:
    """A client over the link, which tries once."""
    relay = Relay(account.state, link)
    yield boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=relay.start(),
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )
    relay.stop()
    relay.stop()


def test_what_goes_over_the_link_arrives_whole(account: Account, s3: Any) -> None:
    bucket, content = any_name("bucket"), bytes(range(256)) * 20_000
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a", Body=content)
    assert account.client("s3").get_object(Bucket=bucket, Key="a")["Body"].read() == content
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == content


def test_nothing_goes_over_a_link_that_is_down(account: Account, link: Link, s3: Any) -> None:
    bucket = any_name("bucket")
    s3.create_bucket(Bucket=bucket)
    link.cut()
    with pytest.raises(BotoCoreError):
        s3.put_object(Bucket=bucket, Key="a", Body=b"a")
    assert "Contents" not in account.client("s3").list_objects_v2(Bucket=bucket)
    link.restore()
    s3.put_object(Bucket=bucket, Key="a", Body=b"a")


def test_an_object_half_sent_when_the_link_breaks_is_not_there(account: Account, link: Link, s3: Any) -> None:
    bucket = any_name("bucket")
    s3.create_bucket(Bucket=bucket)

    class Slow(io.BytesIO):
        """Has the link break while it is read to be sent."""

        sending = False

        def read(self, size: int | None = -1) -> bytes:
            if self.sending and self.tell() > 1_000_000:
                link.cut()
            return super().read(size)

    content = Slow(b"x" * 4_000_000)
    s3.meta.events.register("before-send.s3.PutObject", lambda **_: setattr(content, "sending", True))
    with pytest.raises(BotoCoreError):
        s3.put_object(Bucket=bucket, Key="a", Body=content)
    assert "Contents" not in account.client("s3").list_objects_v2(Bucket=bucket)


def test_a_relay_that_stopped_leads_nowhere(account: Account, link: Link) -> None:
    relay = Relay(account.state, link)
    address = relay.start()
    relay.stop()
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    once = Config(retries={"total_max_attempts": 1})
    client = boto3.client("s3", region_name="us-east-1", endpoint_url=address, config=once, **keys)
    with pytest.raises(BotoCoreError):
        client.list_buckets()
