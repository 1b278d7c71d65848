"""Puts images, gold and imported manifests where the loop looks for them."""

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from console.clients import Clients
from console.errors import Failure, Refusal
from console.photos import Photo
from reefloop.contracts import GOLD_MANIFEST, IMAGES, LABEL_ATTRIBUTE, LABEL_CATEGORIES, round_key

UPLOADS: Final = f"{IMAGES}upload/"
GOLD_IMAGES: Final = "gold/images/"
_PARALLEL: Final = 8
_MANIFEST: Final = "import.manifest"
_SOURCE: Final = "source-ref"


class DataBucket:
    """The data bucket, as somebody who brings images sees it."""

    def __init__(self, clients: Clients, bucket: str) -> None:
        self._s3 = clients("s3")
        self._bucket = bucket

    def upload(self, photos: Iterable[Photo], *, prefix: str = UPLOADS) -> int:
        """Put photographs under names made of their content; returns how many. Bringing one twice changes nothing."""

        def put(photo: Photo) -> None:
            # Not upload_file, which starts ten threads and ends them for every file, to send large ones in parts.
            with photo.path.open("rb") as body:
                self._s3.put_object(Bucket=self._bucket, Key=f"{prefix}{photo.name}", Body=body)

        with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
            return len(list(pool.map(put, photos)))

    def upload_gold(self, photos: Sequence[Photo], labels: Sequence[str]) -> None:
        """Put objects whose label is known, beside those that the bucket has.

        Of an object that is brought again the new label counts. The first gold makes the categories that people choose
        from. Their order becomes the order of the model's outputs, so it never changes afterwards.

        Raises:
            Refusal: gold of a class that the bucket does not have, or the bucket's own manifest cannot be read.
        """
        known = self.categories()
        if known and (new := set(labels) - set(known)):
            raise Refusal(
                f"gold must have classes that the bucket has already, since labels and models of earlier rounds depend "
                f"on them: new {_some(new)}; allowed {_some(set(known))}"
            )
        lines = [self._gold_line(photo, known or labels) for photo in photos]
        brought = {line[_SOURCE] for line in lines}
        # A round that is under way has some of the others among people's work, and all rounds measure on them.
        kept = [text for ref, text in self._gold() if ref not in brought]
        self.upload(photos, prefix=GOLD_IMAGES)
        if not known:
            self._put(LABEL_CATEGORIES, json.dumps(label_categories(labels), ensure_ascii=False, indent=1))
        texts = [*kept, *(json.dumps(line, ensure_ascii=False) for line in lines)]
        self._put(GOLD_MANIFEST, "".join(f"{text}\n" for text in texts))

    def _gold(self) -> list[tuple[str, str]]:
        """The source-ref and the text of each line of the gold manifest.

        Raises:
            Refusal: naming the line that has no source-ref.
        """
        found = []
        for number, text in enumerate(self._read(GOLD_MANIFEST).split("\n"), start=1):
            if not text.strip():
                continue
            try:
                found.append((str(json.loads(text)[_SOURCE]), text))
            except (ValueError, TypeError, KeyError):
                raise Refusal(
                    f"s3://{self._bucket}/{GOLD_MANIFEST}, line {number} is no JSON object with a {_SOURCE!r}: "
                    f"correct it, then bring the gold again"
                ) from None
        return found

    def categories(self) -> list[str]:
        """The classes that people choose from, in order; empty when no gold was ever brought."""
        text = self._read(LABEL_CATEGORIES)
        return [label["label"] for label in json.loads(text)["labels"]] if text else []

    def upload_manifest(self, round_: str, manifest: Path) -> int:
        """Put an augmented manifest that another tool made where the round's import expects it; returns its lines."""
        try:
            lines = manifest.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise Refusal(f"cannot read the manifest {manifest}: {error}") from error
        if not any(line.strip() for line in lines):
            raise Refusal(f"the manifest {manifest} is empty: an augmented manifest has one JSON object per line")
        self._put(round_key(round_, _MANIFEST), "".join(f"{line}\n" for line in lines))
        return len(lines)

    def has_manifest(self, round_: str) -> bool:
        """Whether somebody brought the round a manifest before."""
        key = round_key(round_, _MANIFEST)
        found = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1).get("Contents", [])
        return any(item["Key"] == key for item in found)

    def _gold_line(self, photo: Photo, labels: Sequence[str]) -> dict[str, Any]:
        """One line of an augmented manifest, as Ground Truth writes it:
        https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html"""
        return {
            _SOURCE: f"s3://{self._bucket}/{GOLD_IMAGES}{photo.name}",
            LABEL_ATTRIBUTE: labels.index(photo.label),
            f"{LABEL_ATTRIBUTE}-metadata": {
                "class-name": photo.label,
                "confidence": 1.0,
                "type": "groundtruth/image-classification",
                "job-name": "gold",
                "human-annotated": "yes",
                "creation-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f"),
            },
        }

    def _read(self, key: str) -> str:
        """An object's text, "" where there is no such object."""
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read().decode()  # type: ignore[no-any-return]
        except ClientError as error:
            if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
                return ""
            raise Failure(f"cannot read s3://{self._bucket}/{key}: {error}") from error
        except UnicodeDecodeError as error:
            raise Failure(f"s3://{self._bucket}/{key} is not UTF-8: {error}") from error

    def _put(self, key: str, text: str) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=text.encode())


def _some(names: set[str]) -> str:
    """A few names of many."""
    first = sorted(names)[:5]
    return (", ".join(first) + (f" and {len(names) - 5} more" if len(names) > 5 else "")) or "none"


def label_categories(labels: Sequence[str]) -> dict[str, Any]:
    """Ground Truth's label category configuration:
    https://docs.aws.amazon.com/sagemaker/latest/dg/sms-label-cat-config-attributes.html"""
    return {"document-version": "2018-11-28", "labels": [{"label": label} for label in labels]}
