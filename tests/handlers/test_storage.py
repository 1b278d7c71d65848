from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from reefloop import storage
from reefloop.storage import ObjectMissing
from tests.any import any_bytes
from tests.handlers.account import DATA, Account


@contextmanager
def forbidden(account: Account) -> Iterator[None]:
    """Every call to S3 is answered 403: moto knows no policy that forbids reading."""
    answer = (SimpleNamespace(status_code=403), {"Error": {"Code": "403", "Message": "Forbidden"}})
    account.s3.meta.events.register("before-call.s3", lambda **_: answer, unique_id="forbidden")
    yield
    account.s3.meta.events.unregister("before-call.s3", unique_id="forbidden")


def test_an_object_that_may_not_be_read_is_not_taken_for_missing(account: Account) -> None:
    with forbidden(account):
        for read in (storage.find, storage.read_json, lambda bucket, key: list(storage.read_lines(bucket, key))):
            with pytest.raises(ClientError, match="403"):
                read(DATA, "a")


def test_an_object_that_could_not_be_written_is_not_taken_for_written(account: Account, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(any_bytes())
    with pytest.raises(ClientError, match="NoSuchBucket"):
        storage.put_once("nowhere", "a", tmp_path / "file")


def test_a_block_that_fails_writes_nothing(account: Account) -> None:
    with pytest.raises(ZeroDivisionError), storage.writing(DATA, "a") as file:
        file.write(bytes(1 // 0))
    assert storage.find(DATA, "a") is None


def test_the_folders_below_a_prefix_are_named_without_their_contents(account: Account) -> None:
    for key in ("rounds/b/x/y", "rounds/a/x", "rounds/a/z", "rounds/file", "other/c/x"):
        account.put(key, any_bytes())
    assert list(storage.list_folders(DATA, "rounds/")) == ["a", "b"]


def test_a_listing_goes_on_past_one_page(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
    keys = [f"images/{number}.jpg" for number in range(5)]
    for key in keys:
        account.put(key, b"x")
    assert [stored.key for stored in storage.list_objects(DATA, "images/")] == keys


@pytest.mark.parametrize("address", ["", "https://example.com/a", "images/a.jpg", "s3:/a"])
def test_what_is_no_s3_uri_has_neither_bucket_nor_key(address: str) -> None:
    assert storage.split_uri(address) == ("", "")


def test_asks_for_what_is_missing_by_its_uri(account: Account) -> None:
    with pytest.raises(ObjectMissing, match=f"s3://{DATA}/nowhere does not exist"):
        storage.read_json(DATA, "nowhere")
