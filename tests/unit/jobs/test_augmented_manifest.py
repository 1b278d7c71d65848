"""Manifests: what is written is read again, and what cannot be read is named by file and line."""

import json
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import manifest
from jobs.errors import JobError
from jobs.paths import bucket_prefix, object_key

texts = st.text(min_size=1, max_size=40)
values = st.recursive(st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner, max_size=3))


@given(st.lists(st.dictionaries(texts, values, max_size=4), max_size=6))
def test_lines_survive_whatever_is_in_them(lines: list[dict[str, object]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "some.manifest"
        assert manifest.write(path, lines) == len(lines)
        assert [entry.values for entry in manifest.read(path)] == lines
        assert [entry.number for entry in manifest.read(path)] == list(range(1, len(lines) + 1))


@given(st.binary(max_size=200) | st.lists(st.sampled_from([b"{}", b" ", b"[]", b"{", b"\xff"])).map(b"\n".join))
def test_any_bytes_give_lines_or_one_error_that_names_the_line(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "broken.manifest"
        path.write_bytes(content)
        with pytest.raises(JobError, match=r"^broken\.manifest, line \d+ ") if _is_broken(content) else nullcontext():
            assert len(list(manifest.read(path))) == sum(bool(line.strip()) for line in content.split(b"\n"))


def _is_broken(content: bytes) -> bool:
    try:
        return not all(isinstance(json.loads(line.decode()), dict) for line in content.split(b"\n") if line.strip())
    except (ValueError, RecursionError):
        return True


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "is not a JSON object but list"),
        (b"\xff", "is not UTF-8"),
        (json.dumps({"source-ref": "s3://b/k", "x": "y" * 100_000}).encode(), "at most 100000 are allowed"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: bytes, problem: str) -> None:
    path = tmp_path / "train.manifest"
    path.write_bytes(b'{"source-ref": "s3://b/good"}\n\n' + line + b"\n")
    with pytest.raises(JobError, match=rf"train\.manifest, line 3 {problem}|line 3 has .* {problem}"):
        list(manifest.read(path))


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"pool\.manifest is missing"):
        list(manifest.read(tmp_path / "pool.manifest"))


def test_a_line_without_the_label_says_which_labels_it_has() -> None:
    entry = manifest.Entry(Path("a.manifest"), 7, {"sport": 0, "sport-metadata": {"class-name": "football"}})
    with pytest.raises(JobError, match=r"a\.manifest, line 7 has no label attribute 'species' .* it has sport"):
        entry.class_name("species")
    with pytest.raises(JobError, match=r"a\.manifest, line 7 needs a text in 'source-ref', got None"):
        _ = entry.source_ref


def test_a_labeled_line_is_ground_truths() -> None:
    line = manifest.labeled(
        {"source-ref": "s3://b/k"}, "species", ["crab", "squid"], "squid", by_human=False, confidence=0.5, job_name="j"
    )
    assert line["species"] == 1
    metadata = line["species-metadata"]
    assert (metadata["class-name"], metadata["human-annotated"], metadata["confidence"]) == ("squid", "no", 0.5)
    assert metadata["type"] == "groundtruth/image-classification"


@given(st.text(min_size=1).filter(lambda key: ".." not in key.split("/") and not key.startswith("/")))
def test_the_key_is_everything_behind_the_bucket(key: str) -> None:
    assert object_key(f"s3://bucket/{key}") == key
    assert bucket_prefix(f"s3://bucket/{key}") == "s3://bucket/"


@pytest.mark.parametrize(
    "ref", ["https://bucket/key", "s3://bucket/", "s3://bucket", "key", "s3://bucket/../../etc", "s3://bucket//etc"]
)
def test_a_source_ref_that_is_no_object_of_a_bucket_is_refused(ref: str) -> None:
    with pytest.raises(JobError, match="source-ref"):
        object_key(ref)


@pytest.mark.parametrize("labels", [[], [{"label": "one"}], [{"label": "one"}, {"label": "one"}]])
def test_categories_are_at_least_two_and_different(tmp_path: Path, labels: list[object]) -> None:
    path = tmp_path / "label-categories.json"
    path.write_text(json.dumps({"labels": labels}))
    with pytest.raises(JobError, match="at least two classes, each once"):
        manifest.read_categories(path)


def test_a_category_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "label-categories.json"
    path.write_text('["crab", "squid"]')
    with pytest.raises(JobError, match="not a label category configuration"):
        manifest.read_categories(path)
