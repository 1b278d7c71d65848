"""The finished model package: what training left, with what the test split says about it."""

import gzip
import tarfile
from pathlib import Path
from typing import Any, Final

from jobs.evaluation.rates import accuracy
from jobs.model_package import ModelPackage
from jobs.paths import atomic, write_json

TORCHSCRIPT: Final = "model.pth"
RATES: Final = ("human", "train", "validation", "test")
STEPS: Final = ("avoidable_bias", "variance", "shift")
# Weights hardly shrink, however long one tries.
_COMPRESSION: Final = 1


def write(out: Path, model: ModelPackage, evaluation: dict[str, Any]) -> None:
    """Write model.tar.gz, model.json, the compilers' inputs and, last, evaluation.json.

    The inputs are source/model.tar.gz with the ONNX model, and source/pytorch.tar.gz with the TorchScript model if
    training left one: no device needs that, so it is no part of the package.

    The same package and the same evaluation give the same bytes: the archives hold no dates and no owners.
    """
    card = _card(model.card, evaluation)
    write_json(model.folder / "model.json", card)
    write_json(model.folder / "evaluation.json", evaluation)
    script = model.folder / TORCHSCRIPT
    files = sorted(path for path in model.folder.rglob("*") if path.is_file() and path != script)
    _pack(out / "model.tar.gz", {path.relative_to(model.folder).as_posix(): path for path in files})
    # A compiler refuses an archive that holds anything but the model itself.
    _pack(out / "source" / "model.tar.gz", {"model.onnx": model.folder / "model.onnx"})
    if script.exists():
        _pack(out / "source" / "pytorch.tar.gz", {TORCHSCRIPT: script})
    write_json(out / "model.json", card)
    write_json(out / "evaluation.json", evaluation)


def _card(card: dict[str, Any], evaluation: dict[str, Any]) -> dict[str, Any]:
    """model.json with what was measured on the test split; what was fitted in training stays as it is."""
    test, calibration = evaluation["test"], evaluation["calibration"]
    return {
        **card,
        "metrics": {
            **card["metrics"],
            "test_accuracy": accuracy(test["error"], test["objects"]),
            "test_objects": test["objects"],
            "test_calibration_error_before": calibration["before"],
            "test_calibration_error": calibration["after"],
        },
        "verdict": {name: evaluation[name] for name in (*RATES, *STEPS, "champion", "accepted")},
    }


def _pack(path: Path, files: dict[str, Path]) -> None:
    with (
        atomic(path) as temporary,
        temporary.open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=_COMPRESSION, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = content.stat().st_size
            with content.open("rb") as source:
                tar.addfile(entry, source)
