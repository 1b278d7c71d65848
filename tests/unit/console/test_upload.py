"""What the loop finds in the bucket after somebody brought images, gold or a manifest."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.errors import Refusal
from console.photos import Photos, read_photos
from console.upload import DataBucket
from offline.account import Account
from tests.any import any_round

Write = Callable[..., Path]


@pytest.fixture
def bucket(account: Account) -> str:
    name = any_round()
    account.client("s3").create_bucket(Bucket=name)
    return name


def keys(account: Account, bucket: str) -> set[str]:
    return {item["Key"] for item in account.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])}


def read(account: Account, bucket: str, key: str) -> str:
    return account.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()  # type: ignore[no-any-return]


def photos(write: Write, *labels: str) -> Photos:
    return read_photos([(write(f"{label}/{number}.png"), label) for number, label in enumerate(labels)])


def test_images_get_keys_made_of_their_content(account: Account, bucket: str, any_photo: Write) -> None:
    brought = photos(any_photo, "whale", "crab")
    target = DataBucket(account.client, bucket)
    assert target.upload(brought.photos) == 2
    assert target.upload(brought.photos) == 2
    assert keys(account, bucket) == {f"images/upload/{photo.digest[:16]}.png" for photo in brought.photos}


def test_gold_is_an_augmented_manifest_with_its_categories(account: Account, bucket: str, any_photo: Write) -> None:
    brought = photos(any_photo, "crab", "whäle", "crab")
    DataBucket(account.client, bucket).upload_gold(brought.photos, brought.labels)

    lines: list[dict[str, Any]] = [
        json.loads(line) for line in read(account, bucket, "gold/gold.manifest").splitlines()
    ]
    assert {line["source-ref"] for line in lines} == {
        f"s3://{bucket}/gold/images/{photo.name}" for photo in brought.photos
    }
    assert {line["source-ref"].removeprefix(f"s3://{bucket}/") for line in lines} <= keys(account, bucket)
    assert {(line["species"], line["species-metadata"]["class-name"]) for line in lines} == {(0, "crab"), (1, "whäle")}
    categories = json.loads(read(account, bucket, "gold/label-categories.json"))
    assert categories == {"document-version": "2018-11-28", "labels": [{"label": "crab"}, {"label": "whäle"}]}


def test_gold_brought_later_is_added_and_of_one_brought_again_the_new_label_counts(
    account: Account, bucket: str, any_photo: Write
) -> None:
    target = DataBucket(account.client, bucket)
    first, again, later = photos(any_photo, "crab", "whale", "crab").photos
    target.upload_gold([first, again], ["crab", "squid", "whale"])
    before = read(account, bucket, "gold/gold.manifest").splitlines()
    target.upload_gold([replace(again, label="squid"), later], ["crab", "squid"])

    after = read(account, bucket, "gold/gold.manifest").splitlines()
    assert after[0] in before, "a line that is kept is kept as it is"
    assert {line["source-ref"]: line["species"] for line in map(json.loads, after)} == {
        f"s3://{bucket}/gold/images/{photo.name}": index for photo, index in ((first, 0), (again, 1), (later, 0))
    }
    assert len(after) == 3
    assert target.categories() == ["crab", "squid", "whale"]


def test_gold_that_cannot_be_read_is_not_written_over(account: Account, bucket: str, any_photo: Write) -> None:
    target, brought = DataBucket(account.client, bucket), photos(any_photo, "crab", "whale")
    account.client("s3").put_object(Bucket=bucket, Key="gold/gold.manifest", Body=b'{"source-ref": "s3://b/1"}\n\n[]\n')
    with pytest.raises(Refusal, match=r"gold\.manifest, line 3 is no JSON object with a 'source-ref'"):
        target.upload_gold(brought.photos, brought.labels)
    assert keys(account, bucket) == {"gold/gold.manifest"}


def test_gold_of_a_class_that_the_bucket_does_not_have_is_refused(account: Account, bucket: str) -> None:
    target = DataBucket(account.client, bucket)
    target.upload_gold((), ["crab", "whale"])
    with pytest.raises(Refusal, match="new squid; allowed crab, whale"):
        target.upload_gold((), ["crab", "squid"])
    assert target.categories() == ["crab", "whale"]


def test_a_manifest_goes_where_the_rounds_import_expects_it(account: Account, bucket: str, tmp_path: Path) -> None:
    manifest = tmp_path / "labels.manifest"
    manifest.write_text('{"source-ref": "s3://bucket/1.jpg"}\n{"source-ref": "s3://bucket/2.jpg"}')
    assert DataBucket(account.client, bucket).upload_manifest("7", manifest) == 2
    assert read(account, bucket, "rounds/7/import.manifest").count("\n") == 2


@pytest.mark.parametrize("content", [None, b"\n \n", b"\xff\xfe"])
def test_a_manifest_that_is_none_is_refused(
    account: Account, bucket: str, tmp_path: Path, content: bytes | None
) -> None:
    manifest = tmp_path / "labels.manifest"
    if content is not None:
        manifest.write_bytes(content)
    with pytest.raises(Refusal, match="manifest"):
        DataBucket(account.client, bucket).upload_manifest("7", manifest)
    assert keys(account, bucket) == set()
