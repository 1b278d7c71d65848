"""How long a packaged model takes on this machine: the very ZIP that a device downloads, on its own golden images."""

import io
import json
import statistics
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from PIL import Image

RUNS: Final = 30
WARM_UP: Final = 3


def package_latency_ms(content: bytes) -> float:
    """Median time of one inference with one thread, in milliseconds, of a device's package.

    The compiled model is measured where this machine can run it, the portable one where not.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            package.extractall(folder)
        model = json.loads((folder / "model.json").read_text())
        image = _image(folder, model["input"]["shape"])
        return _median_ms(_session(folder), {model["input"]["name"]: image})


def _session(folder: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what fails here falls back to the portable model
    for path in sorted((folder / "compiled").rglob("*.onnx")):
        try:
            return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception:  # noqa: S112 - onnxruntime's errors have no common base
            continue
    return onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])


def _image(folder: Path, shape: list[int]) -> Any:
    first = json.loads((folder / "golden" / "golden.json").read_text())[0]
    with Image.open(folder / "golden" / Path(first["image"]).name) as image:
        pixels = image.convert("RGB").resize((shape[3], shape[2]), Image.Resampling.BILINEAR)
    return np.asarray(pixels, np.float32).transpose(2, 0, 1)[None] / np.float32(255)


def _median_ms(session: Any, feed: dict[str, Any]) -> float:
    for _ in range(WARM_UP):
        session.run(None, feed)
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        session.run(None, feed)
        times.append(1000 * (time.perf_counter() - started))
    return round(statistics.median(times), 3)
