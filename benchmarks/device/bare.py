"""The loop that anybody would write first: read, decode, resize, ask ONNX Runtime. Nothing can go wrong in it."""

import io
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from device.times import Times
from PIL import Image


class Bare:
    """The model of a package, in a session like the component's."""

    def __init__(self, package: Path, *, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            str(package / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        model = json.loads((package / "model.json").read_text())
        self._input, (_, _, self._height, self._width) = model["input"]["name"], model["input"]["shape"]

    def run(self, frames: Sequence[Path]) -> Times:
        """Classify every frame; a frame's latency begins when its bytes are there."""
        times = Times()
        for path in frames:
            content = path.read_bytes()
            started = time.perf_counter()
            with Image.open(io.BytesIO(content)) as image:
                resized = image.convert("RGB").resize((self._width, self._height), Image.Resampling.BILINEAR)
            pixels = np.asarray(resized, dtype=np.float32) / np.float32(255)
            (logits,) = self._session.run(None, {self._input: np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])})
            int(np.argmax(logits))
            times.add(1000 * (time.perf_counter() - started))
        return times
