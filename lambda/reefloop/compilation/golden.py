"""The golden images of a trained model: what is asked of a compiled one, and what it must answer."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from reefloop import contracts, storage
from reefloop.compilation import tarballs


@dataclass(frozen=True)
class Golden:
    """`picture` is a PNG of the size that the model wants; `first` is the position of the label that it must find."""

    name: str
    picture: bytes
    first: int


def of_model(bucket: str, model_version: str) -> list[Golden]:
    """Those of a model of this project; none of a model from elsewhere.

    Raises:
        ArchiveInvalid: the model's own package is damaged.
    """
    key = contracts.model_key(model_version, "model.tar.gz")
    if not storage.find(bucket, key):
        return []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tarballs.extract(storage.uri(bucket, key), folder, wanted=lambda name: name.startswith("golden/"))
        listed = json.loads((folder / "golden/golden.json").read_bytes())
        return [
            Golden(one["image"], (folder / "golden" / one["image"]).read_bytes(), best(one["logits"])) for one in listed
        ]


def best(logits: list[float]) -> int:
    """The position of the highest."""
    return max(range(len(logits)), key=logits.__getitem__)
