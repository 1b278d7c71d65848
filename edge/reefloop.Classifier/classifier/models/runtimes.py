"""What executes a model: one small protocol, one row per way to do it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

from classifier.models import dlr
from classifier.models.package import Package, Refused

Array = npt.NDArray[np.float32]

PORTABLE: Final = "onnxruntime-portable"


class Runtime(Protocol):
    """A loaded model: one input tensor in, its logits (one per label) out. Asked by one thread at a time."""

    def __call__(self, image: Array) -> Array: ...


class _Onnx:
    def __init__(self, path: Path, package: Package, threads: int) -> None:
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = threads
        # Threads that spin while they wait for work cost a battery, and a core to everybody else on the device.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        settings.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        self._input, self._outputs = package.input_name, [package.output]

    def __call__(self, image: Array) -> Array:
        (logits,) = self._session.run(self._outputs, {self._input: image})
        return np.asarray(logits, dtype=np.float32).reshape(-1)


def _dlr(path: Path, package: Package, threads: int) -> Runtime:
    return dlr.DlrModel.load(path, input_name=package.input_name, shape=package.shape, threads=threads)


# Name, what the artifact holds where it is possible, and how the first such file is loaded; the best first.
_WAYS: Final[tuple[tuple[str, str, Callable[[Path, Package, int], Runtime]], ...]] = (
    ("dlr", f"compiled/**/{dlr.LIBRARY}", _dlr),
    ("onnxruntime-compiled", "compiled/**/*.onnx", _Onnx),
    (PORTABLE, "model.onnx", _Onnx),
)


def names(folder: Path) -> list[str]:
    """The ways to run the package in `folder`, best first; the portable model is always the last."""
    return [name for name, pattern, _ in _WAYS if any(folder.glob(pattern))]


def load(name: str, package: Package, *, threads: int) -> Runtime:
    """The model of a package on the runtime of this name.

    Raises:
        Refused: the package holds nothing for it, or it does not load.
    """
    for known, pattern, make in _WAYS:
        if known == name and (found := sorted(package.folder.glob(pattern))):
            try:
                return make(found[0], package, threads)
            # A runtime raises its own kinds of errors on a bad file; whichever it is, this way to run the model is out.
            except Exception as error:
                raise Refused(f"does not load: {error}") from None
    raise Refused(f"the package holds nothing for the runtime {name!r}; it holds {', '.join(names(package.folder))}")
