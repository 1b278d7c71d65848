"""Models that SageMaker Neo compiled, on the Deep Learning Runtime that lies beside them in the artifact.

Neo ships `libdlr.so` as part of what it compiles, and model and runtime must be of one version:
https://github.com/neo-ai/neo-ai-dlr/pull/203. So this binds that library's C API and takes no runtime from elsewhere,
nor the package `dlr`, which reports its use over the network. The functions and their arguments:
https://github.com/neo-ai/neo-ai-dlr/blob/main/include/dlr.h

Two models of Neo's are in one process while one takes over from the other. Each brings its own library, and what C++
shares between libraries by name (STB_GNU_UNIQUE symbols) is the first one's: no self-test in a process of its own shows
that. So the golden images are run again in the process that serves, and the new model is on probation.
"""

import os
from ctypes import CDLL, POINTER, byref, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

LIBRARY: Final = "libdlr.so"
CPU: Final = 1
"""DLDeviceType: https://github.com/dmlc/dlpack/blob/v0.5/include/dlpack/dlpack.h"""
THREADS: Final = ("TVM_NUM_THREADS", "OMP_NUM_THREADS")
"""What it reads before its first model: https://github.com/apache/tvm/blob/main/src/runtime/threading_backend.cc"""
_ERROR_CHARACTERS: Final = 300

_MODEL: Final = POINTER(c_void_p)
_ARGUMENTS: Final[dict[str, tuple[Any, ...]]] = {
    "GetDLRVersion": (POINTER(c_char_p),),
    "GetDLRDeviceType": (c_char_p,),
    "CreateDLRModel": (_MODEL, c_char_p, c_int, c_int),
    "DeleteDLRModel": (_MODEL,),
    "SetDLRInput": (_MODEL, c_char_p, POINTER(c_int64), c_void_p, c_int),
    "RunDLRModel": (_MODEL,),
    "GetDLROutputType": (_MODEL, c_int, POINTER(c_char_p)),
    "GetDLROutputSizeDim": (_MODEL, c_int, POINTER(c_int64), POINTER(c_int)),
    "GetDLROutput": (_MODEL, c_int, c_void_p),
}


class DlrError(Exception):
    """What the runtime refused, in its own words; or the library is not one that this machine can load."""


class DlrModel:
    """A loaded model with one image as its input, asked by one thread at a time."""

    def __init__(self, library: Any, folder: Path, *, input_name: str, shape: tuple[int, ...]) -> None:
        """
        Args:
            library: libdlr.so, as ctypes loads it.
            folder: what the compiler wrote.
            shape: of every image that it will be given.

        Raises:
            DlrError: the library is too old, or the model is not one that it can run.
        """
        self._handle = c_void_p()
        self._error = library.DLRGetLastError
        self._functions = _declared(library)
        path = str(folder).encode()
        # What the artifact's compiled.meta says that it is for, a GPU say; -1 where it says nothing.
        device = max(self._functions["GetDLRDeviceType"](path), CPU)
        self._call("CreateDLRModel", byref(self._handle), path, device, 0)
        self._input = input_name.encode(), (c_int64 * len(shape))(*shape), len(shape)
        self._float32 = False

    @classmethod
    def load(cls, library: Path, *, input_name: str, shape: tuple[int, ...], threads: int) -> Self:
        """The model in the folder of its library.

        Raises:
            DlrError: as above; or the library is for another machine, or needs libraries that this one lacks.
        """
        os.environ.update(dict.fromkeys(THREADS, str(threads)))
        try:
            loaded = CDLL(str(library.resolve()))
        except OSError as error:
            raise DlrError(f"{LIBRARY} cannot be loaded: {error}") from None
        return cls(loaded, library.parent.resolve(), input_name=input_name, shape=shape)

    def __call__(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The first output for one image, flat.

        Raises:
            DlrError: the runtime refuses the image, or answers with something that is not float32.
        """
        name, shape, dimensions = self._input
        values = np.ascontiguousarray(image, np.float32)
        self._call("SetDLRInput", byref(self._handle), name, shape, values.ctypes.data, dimensions)
        self._call("RunDLRModel", byref(self._handle))
        answer = np.empty(self._size(), np.float32)
        self._call("GetDLROutput", byref(self._handle), 0, answer.ctypes.data)
        return answer

    def __del__(self) -> None:
        """Give the model's memory back."""
        if self._handle:
            self._functions["DeleteDLRModel"](byref(self._handle))
            self._handle = c_void_p()

    def _size(self) -> int:
        """How many values there are to read, each of 4 bytes, so that nothing is written beyond the buffer."""
        if not self._float32:
            if (kind := self._text("GetDLROutputType", byref(self._handle), 0)) != "float32":
                raise DlrError(f"the model answers with {kind} and must answer with float32")
            self._float32 = True
        size, dimensions = c_int64(), c_int()
        self._call("GetDLROutputSizeDim", byref(self._handle), 0, byref(size), byref(dimensions))
        if size.value < 1:
            raise DlrError(f"the model answers with {size.value} values")
        return size.value

    def _text(self, name: str, *arguments: Any) -> str:
        found = c_char_p()
        self._call(name, *arguments, byref(found))
        return (found.value or b"").decode(errors="replace")

    def _call(self, name: str, *arguments: Any) -> None:
        # 0 for success, -1 for an error: there is no other answer.
        if self._functions[name](*arguments):
            # A model that cannot be created leaves no message: the reason is printed.
            said = (self._error() or b"its reason is in the component's log").decode(errors="replace")
            reason = " ".join(said.partition("Stack trace:")[0].split())
            raise DlrError(f"{name} failed: {reason[:_ERROR_CHARACTERS]}")


def _declared(library: Any) -> dict[str, Any]:
    """The library's functions with their C types, without which ctypes would cut a pointer to 32 bits."""
    found = {}
    for name, arguments in _ARGUMENTS.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise DlrError(f"{LIBRARY} has no function {name}: it is older than version 1.6") from None
        function.argtypes, function.restype = arguments, c_int
        found[name] = function
    library.DLRGetLastError.argtypes, library.DLRGetLastError.restype = (), c_char_p
    return found
