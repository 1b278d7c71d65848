"""What runs a compiled model here: told by what the compiler wrote, and not by what it was asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from jobs.comparison import dlr

Array = NDArray[np.float32]
NEO: Final = "dlr"
ONNX: Final = "onnxruntime-compiled"


class Unusable(Exception):
    """The compiled model does not load or gives no usable answer: a finding about it, and no failure of the job."""


class NoRuntime(Exception):
    """Nothing here can run the compiled model, which may be as good as any; the message says why."""


class Model(Protocol):
    """A loaded model; `runtime` names what executes it, with its version."""

    runtime: str

    def __call__(self, image: Array) -> Array: ...


@dataclass(frozen=True)
class Compiled:
    """A compiled model on disk: `path` is the library or the graph that is loaded."""

    runtime: str
    path: Path
    input_name: str
    outputs: int
    """How many values answer one image."""

    @classmethod
    def find(cls, folder: Path, *, input_name: str, outputs: int) -> Self:
        """What can be run of the files in `folder`. A device looks for the same, in the same order.

        Raises:
            NoRuntime: they need a runtime from elsewhere.
        """
        for runtime, pattern in ((NEO, dlr.LIBRARY), (ONNX, "*.onnx")):
            if found := sorted(folder.rglob(pattern)):
                return cls(runtime, found[0], input_name, outputs)
        raise NoRuntime("the compiler wrote no runtime beside the model")

    def load(self) -> "Loaded":
        """
        Raises:
            NoRuntime: the runtime that came along does not start here.
            Unusable: the model does not load.
        """
        try:
            if self.runtime == NEO:
                return Loaded(dlr.DlrModel.load(self.path, input_name=self.input_name), self.outputs)
            return Loaded(_OnnxModel(self.path, self.input_name), self.outputs)
        except dlr.LibraryError as error:
            raise NoRuntime(str(error)) from None
        # A runtime raises its own kinds of errors on a file that it cannot use.
        except Exception as error:
            raise Unusable(f"the compiled model does not load: {error}") from None


@dataclass(frozen=True)
class Loaded:
    """A compiled model whose answers are checked."""

    model: Model
    outputs: int

    @property
    def runtime(self) -> str:
        return self.model.runtime

    def __call__(self, image: Array) -> Array:
        """The logits of one image.

        Raises:
            Unusable: it fails, or answers with something else than one number per class.
        """
        try:
            logits = self.model(image)
        except Exception as error:
            raise Unusable(f"the compiled model fails on an image: {error}") from None
        if logits.shape != (self.outputs,):
            raise Unusable(f"the compiled model answers with {logits.size} values for {self.outputs} classes")
        if not np.isfinite(logits).all():
            raise Unusable("the compiled model answers with values that are no numbers")
        return logits


class _OnnxModel:
    """As a device runs it, on one thread."""

    runtime = f"onnxruntime {onnxruntime.__version__}"

    def __init__(self, path: Path, input_name: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input_name = input_name

    def __call__(self, image: Array) -> Array:
        return np.asarray(self._session.run(None, {self._input_name: image})[0], np.float32).reshape(-1)
