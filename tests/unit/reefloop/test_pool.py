import json
from collections import Counter
from datetime import UTC, datetime

from hypothesis import assume, given
from hypothesis import strategies as st

from reefloop import storage
from reefloop.labeling import manifest, pool
from reefloop.storage import Stored

# What S3 takes as a key: any Unicode text that UTF-8 can hold.
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30).map(lambda text: f"images/{text}.jpg")
CONTENTS = st.sampled_from(["a", "b", "c"])


def stored(key: str, etag: str, size_bytes: int = 1) -> Stored:
    return Stored(key, etag, size_bytes, datetime.now(UTC))


@given(key=KEYS)
def test_any_key_that_can_be_a_file_survives_the_pool_manifest(key: str) -> None:
    assume(manifest.is_a_path(key))
    text = manifest.line({manifest.SOURCE: storage.uri("bucket", key)})
    assert len(text.decode().splitlines()) == 1
    [record] = manifest.records([text.rstrip(b"\n")], source="s3://bucket/pool.manifest", bucket="bucket")
    assert record.key == key


@given(keys=st.lists(KEYS, max_size=5))
def test_any_key_survives_the_manifest_file(keys: list[str]) -> None:
    head, *names = json.loads(b"".join(pool.manifest_file("bucket", keys)))
    assert head == {"prefix": "s3://bucket/"}
    assert names == keys


@given(
    listed=st.lists(st.tuples(KEYS, CONTENTS), unique_by=lambda item: item[0]),
    known=st.sets(CONTENTS),
)
def test_each_new_content_is_given_out_once(listed: list[tuple[str, str]], known: set[str]) -> None:
    contents = {pool.content(stored("", etag)) for etag in known}
    tally: Counter[str] = Counter()
    objects = [stored(key, etag) for key, etag in listed]
    new = list(pool.new_images(objects, known=set(contents), known_keys=set(), tally=tally))
    assert {image.etag for image in new} == {etag for _, etag in listed} - known
    assert len(new) == len({image.etag for image in new}) == tally["new"]
    assert tally.total() == len(listed)


def test_contents_of_the_same_sum_and_another_size_are_two() -> None:
    assert pool.content(stored("a", "e", 1)) != pool.content(stored("a", "e", 2))
