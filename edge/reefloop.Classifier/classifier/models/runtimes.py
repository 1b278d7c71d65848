"""What executes a model. One small protocol, one record per way to do it, best first."""

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

Array = npt.NDArray[np.float32]


class Runtime(Protocol):
    """A loaded model: one input tensor in, its logits (one per label) out."""

    def __call__(self, image: Array) -> Array: ...


@dataclass(frozen=True)
class Candidate:
    """One way to run a package: `name` is what the device reports, `load` may fail with any exception."""

    name: str
    load: Callable[[], Runtime]


def candidates(package: Path, *, input_name: str, output: str, threads: int) -> Iterator[Candidate]:
    """The ways to run this package on this device, best first; the portable model is always the last."""
    compiled = package / "compiled"
    if any(compiled.rglob("*.so")) and importlib.util.find_spec("dlr"):
        yield Candidate("dlr", lambda: _Dlr(compiled, input_name))
    for path in sorted(compiled.rglob("*.onnx")):
        yield Candidate("onnxruntime-compiled", lambda path=path: _Onnx(path, input_name, output, threads))  # type: ignore[misc]
    yield Candidate("onnxruntime-portable", lambda: _Onnx(package / "model.onnx", input_name, output, threads))


class _Onnx:
    def __init__(self, path: Path, input_name: str, output: str, threads: int) -> None:
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = threads
        # Threads that spin while they wait for work cost a battery, and a core to everybody else on the device.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        settings.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        self._input, self._output = input_name, output

    def __call__(self, image: Array) -> Array:
        (logits,) = self._session.run([self._output], {self._input: image})
        return np.asarray(logits, dtype=np.float32).reshape(-1)


class _Dlr:
    """A model that SageMaker Neo compiled, on the Deep Learning Runtime.

    https://neo-ai-dlr.readthedocs.io/en/latest/python-api.html and, for its telemetry,
    https://github.com/neo-ai/neo-ai-dlr#readme
    """

    def __init__(self, folder: Path, input_name: str) -> None:
        import dlr
        from dlr.counter.phone_home import PhoneHome

        # Before the first model: DLR reports its use over the network until told not to.
        PhoneHome.disable_feature()
        self._model: Any = dlr.DLRModel(str(folder), "cpu", 0)
        self._input = input_name

    def __call__(self, image: Array) -> Array:
        return np.asarray(self._model.run({self._input: image})[0], dtype=np.float32).reshape(-1)
