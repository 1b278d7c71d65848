"""Augmented manifests: JSON Lines, the only format that labeling and training exchange.

A label is two attributes, here for the label attribute `species`:

    {"source-ref": "s3://bucket/images/a.jpg", "content": "6d8f-1032",
     "species": 3, "species-metadata": {"class-name": "crab", "confidence": 0.98, "human-annotated": "yes",
     "type": "groundtruth/image-classification", "job-name": "...", "creation-date": "2026-01-31T12:00:00.000000"}}

https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn

from jobs.errors import JobError
from jobs.paths import atomic, read_json

# https://docs.aws.amazon.com/sagemaker/latest/dg/sms-input-data-input-manifest.html
MAXIMUM_LINE_CHARACTERS: Final = 100_000
_MAXIMUM_LINE_BYTES: Final = 4 * MAXIMUM_LINE_CHARACTERS + 2
SOURCE: Final = "source-ref"
CONTENT: Final = "content"
FINGERPRINT: Final = "fingerprint"
METADATA: Final = "-metadata"


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_no_number)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True)
class Entry:
    """One line of a manifest and where it stands."""

    path: Path
    number: int
    values: dict[str, Any]
    text: str = ""
    """The line as it was read."""

    @property
    def source_ref(self) -> str:
        return self._text(self.values, SOURCE)

    @property
    def content(self) -> str:
        """What identifies the object's bytes; an object that nobody has listed is identified by its name."""
        return self._text(self.values, CONTENT) if CONTENT in self.values else self.source_ref

    def metadata(self, attribute: str) -> dict[str, Any]:
        """What is known about the label.

        Raises:
            JobError: naming file and line, when the line has no such label.
        """
        metadata = self.values.get(attribute + METADATA)
        if not isinstance(metadata, dict):
            labels = ", ".join(label_attributes(self.values)) or "none"
            raise self.error(f"has no label attribute {attribute!r} with {attribute + METADATA!r}; it has {labels}")
        return metadata

    def class_name(self, attribute: str) -> str:
        """The class of the object.

        Raises:
            JobError: naming file and line, when the line has no such label.
        """
        return self._text(self.metadata(attribute), "class-name")

    def by_human(self, attribute: str) -> bool:
        return self.metadata(attribute).get("human-annotated") == "yes"

    def error(self, problem: str) -> JobError:
        return JobError(f"{self.path.name}, line {self.number} {problem}")

    def _text(self, values: Mapping[str, Any], name: str) -> str:
        value = values.get(name)
        if not isinstance(value, str) or not value:
            raise self.error(f"needs a text in {name!r}, got {value!r}")
        return value


def read(path: Path) -> Iterator[Entry]:
    """The lines of a manifest, blank ones left out. No more than a line is in memory, however long a file has them.

    Raises:
        JobError: the file is missing, or a line is not a JSON object, not UTF-8 or too long, naming file and line.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise JobError(f"the manifest {path} is missing") from None
    with file:
        for number, raw in enumerate(iter(lambda: file.readline(_MAXIMUM_LINE_BYTES + 1), b""), start=1):
            if raw.isspace():
                continue
            values, text = _parsed(raw, f"{path.name}, line {number}")
            yield Entry(path, number, values, text)


def _parsed(raw: bytes, place: str) -> tuple[dict[str, Any], str]:
    try:
        if len(raw) > _MAXIMUM_LINE_BYTES:
            raise JobError(f"{place} has more than {MAXIMUM_LINE_CHARACTERS} characters, which is all that is allowed")
        text = raw.decode()
        values = _DECODER.decode(text)
        if b"\\u" in raw:
            # JSON can spell half of a surrogate pair, which no file in UTF-8 can hold.
            text_of(values).encode()
    except UnicodeDecodeError:
        raise JobError(f"{place} is not UTF-8") from None
    except UnicodeEncodeError as error:
        raise JobError(f"{place} spells a character that does not exist: {error.object[error.start]!a}") from None
    except (ValueError, RecursionError) as error:
        raise JobError(f"{place} is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise JobError(f"{place} is not a JSON object but {type(values).__name__}")
    if len(text) > MAXIMUM_LINE_CHARACTERS:
        raise JobError(f"{place} has {len(text)} characters; at most {MAXIMUM_LINE_CHARACTERS} are allowed")
    return values, text


def write(path: Path, lines: Iterable[Mapping[str, Any]]) -> int:
    """Write a manifest, whole or not at all; how many lines it has.

    Raises:
        JobError: a line that JSON cannot hold.
    """
    count = 0
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for values in lines:
            count += 1
            try:
                file.write(text_of(values) + "\n")
            except (ValueError, RecursionError) as error:
                ref = values.get(SOURCE)
                raise JobError(f"{path.name}, line {count} ({ref!r}) cannot be written: {error}") from None
    return count


def text_of(values: Mapping[str, Any]) -> str:
    """A line of a manifest, without its end.

    Raises:
        ValueError: a number that JSON does not have, such as infinity.
    """
    return _ENCODER.encode(values)


def label_attributes(values: Mapping[str, Any]) -> list[str]:
    """The label attributes of a line that name a class."""
    return [
        name.removesuffix(METADATA)
        for name, value in values.items()
        if name.endswith(METADATA) and isinstance(value, dict) and "class-name" in value
    ]


def without_labels(values: Mapping[str, Any]) -> dict[str, Any]:
    """A line as a person may see it: nothing that tells the answer, nor that the answer is known."""
    return {name: values[name] for name in (SOURCE, CONTENT, FINGERPRINT) if name in values}


def labeled(
    values: Mapping[str, Any], attribute: str, categories: list[str], name: str, *, by_human: bool, **metadata: Any
) -> dict[str, Any]:
    """The line with this label added; `metadata` has at least confidence, job_name and now."""
    now: datetime = metadata.pop("now", None) or datetime.now(UTC)
    return {
        **values,
        attribute: categories.index(name),
        attribute + METADATA: {
            "class-name": name,
            "confidence": round(float(metadata.pop("confidence")), 6),
            "type": "groundtruth/image-classification",
            "job-name": metadata.pop("job_name"),
            "human-annotated": "yes" if by_human else "no",
            "creation-date": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f"),
            **metadata,
        },
    }


def read_categories(path: Path) -> list[str]:
    """The class names of a label category configuration, in their order.

    Raises:
        JobError: fewer than two classes, or a class named twice.
    """
    document = read_json(path)
    try:
        names = [entry["label"] for entry in document["labels"]]
    except (TypeError, KeyError):
        raise JobError(f'{path} is not a label category configuration: {{"labels": [{{"label": "..."}}]}}') from None
    if len(names) < 2 or len(set(names)) < len(names):
        raise JobError(f"{path} must name at least two classes, each once; it names {names}")
    return names


def digest(*parts: object) -> int:
    """A number below 2**64 that the parts alone decide: for splits and samples that stay the same for ever."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:8])
