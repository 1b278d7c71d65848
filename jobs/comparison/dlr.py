"""Models that SageMaker Neo compiled, on the Deep Learning Runtime that lies beside them.

Neo ships `libdlr.so` as part of what it compiles, and model and runtime must be of one version:
https://github.com/neo-ai/neo-ai-dlr/pull/203. So this binds that library's C API and takes no runtime from elsewhere,
nor the package `dlr`, which reports its use over the network. The functions and their arguments:
https://github.com/neo-ai/neo-ai-dlr/blob/main/include/dlr.h
"""

from ctypes import CDLL, POINTER, byref, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

LIBRARY: Final = "libdlr.so"
CPU: Final = 1
"""DLDeviceType: https://github.com/dmlc/dlpack/blob/v0.5/include/dlpack/dlpack.h"""
_WIDEST_BYTES: Final = 8
"""Of the types that an output may have: room for any of them, so that nothing is written beyond the buffer."""
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
    """What the runtime refused, in its own words."""


class LibraryError(DlrError):
    """The runtime itself does not start here: that says nothing about the model."""


class DlrModel:
    """A loaded model with one image as its input, asked by one thread at a time."""

    def __init__(self, library: Any, folder: Path, *, input_name: str) -> None:
        """
        Args:
            library: libdlr.so, as ctypes loads it.
            folder: what the compiler wrote.

        Raises:
            LibraryError: the library lacks a function.
            DlrError: the model is not one that this library can run.
        """
        self._functions = _declared(library)
        self._error = library.DLRGetLastError
        self._handle = c_void_p()
        self._input_name = input_name.encode()
        self.runtime = f"dlr {self._text('GetDLRVersion')}"
        path = str(folder).encode()
        # What compiled.meta says that it is for; -1 where it says nothing.
        device = max(self._functions["GetDLRDeviceType"](path), CPU)
        self._call("CreateDLRModel", byref(self._handle), path, device, 0)

    @classmethod
    def load(cls, library: Path, *, input_name: str) -> Self:
        """The model in the folder of its library.

        Raises:
            LibraryError: it is for another machine, or needs libraries that this one lacks, of a GPU say.
            DlrError: the model is not one that it can run.
        """
        try:
            loaded = CDLL(str(library.resolve()))
        except OSError as error:
            raise LibraryError(f"{LIBRARY} cannot be loaded: {error}") from None
        return cls(loaded, library.parent.resolve(), input_name=input_name)

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """The first output for one image [1, 3, height, width], flat.

        Raises:
            DlrError: the runtime refuses the image, or answers with something that is not float32.
        """
        values = np.ascontiguousarray(image, np.float32)
        shape = (c_int64 * values.ndim)(*values.shape)
        address = values.ctypes.data_as(c_void_p)
        self._call("SetDLRInput", byref(self._handle), self._input_name, shape, address, values.ndim)
        self._call("RunDLRModel", byref(self._handle))
        if (kind := self._text("GetDLROutputType", byref(self._handle), 0)) != "float32":
            raise DlrError(f"the model answers with {kind} and must answer with float32")
        size, dimensions = c_int64(), c_int()
        self._call("GetDLROutputSizeDim", byref(self._handle), 0, byref(size), byref(dimensions))
        if size.value < 1:
            raise DlrError(f"the model answers with {size.value} values")
        answer = np.zeros(size.value * _WIDEST_BYTES // 4, np.float32)
        self._call("GetDLROutput", byref(self._handle), 0, answer.ctypes.data_as(c_void_p))
        return answer[: size.value]

    def close(self) -> None:
        """Give the model's memory back; it is not asked again."""
        if self._handle:
            self._call("DeleteDLRModel", byref(self._handle))
            self._handle = c_void_p()

    def _text(self, name: str, *arguments: Any) -> str:
        found = c_char_p()
        self._call(name, *arguments, byref(found))
        return (found.value or b"").decode(errors="replace")

    def _call(self, name: str, *arguments: Any) -> None:
        # 0 for success, -1 for an error: there is no other answer.
        if self._functions[name](*arguments):
            # A model that cannot be created leaves no message: the reason is printed.
            said = (self._error() or b"its reason is in the job's log").decode(errors="replace")
            reason = " ".join(said.partition("Stack trace:")[0].split())
            raise DlrError(f"{name} failed: {reason[:_ERROR_CHARACTERS]}")


def _declared(library: Any) -> dict[str, Any]:
    """The library's functions with their C types, without which ctypes would cut a pointer to 32 bits."""
    found = {}
    for name, arguments in _ARGUMENTS.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise LibraryError(f"{LIBRARY} has no function {name}: it is older than version 1.6") from None
        function.argtypes, function.restype = arguments, c_int
        found[name] = function
    library.DLRGetLastError.argtypes, library.DLRGetLastError.restype = (), c_char_p
    return found
