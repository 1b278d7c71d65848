"""Values that a test needs and does not care about. Each call gives another one."""

import gzip
import io
import json
import random
import tarfile
from itertools import count

_numbers = count(1)


def any_round() -> str:
    return f"round-{next(_numbers)}"


def any_model_version() -> str:
    return f"{any_round()}-{random.getrandbits(32):08x}"


def any_thing() -> str:
    return f"thing-{next(_numbers)}"


def any_bytes(size: int = 32) -> bytes:
    """Content that no other call gives."""
    return random.randbytes(size - 8) + next(_numbers).to_bytes(8)


def any_model_card(
    model_version: str, *, dataset_version: str = "d1", test_accuracy: float = 0.9, test_objects: int = 100
) -> dict[str, object]:
    """The content of model.json."""
    return {
        "model_version": model_version,
        "dataset_version": dataset_version,
        "task": "classification",
        "input": {"name": "image", "shape": [1, 3, 64, 64]},
        "output": "logits",
        "labels": ["crab", "squid"],
        "metrics": {"test_accuracy": test_accuracy, "test_objects": test_objects},
    }


def any_model_files(model_version: str, **card: object) -> dict[str, bytes]:
    """The files of a model package, by name."""
    return {
        "model.onnx": any_bytes(),
        "labels.json": b'["crab", "squid"]',
        "model.json": json.dumps(any_model_card(model_version, **card)).encode(),
        "golden/golden.json": b"[]",
        "golden/crab.png": any_bytes(),
    }


def tar_gz(files: dict[str, bytes]) -> bytes:
    """A .tar.gz that holds these files."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
