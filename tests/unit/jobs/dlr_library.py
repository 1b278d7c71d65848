"""A `libdlr.so` of callbacks: real C functions with the signatures of dlr.h, behind which Python answers."""

import ctypes
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any

import numpy as np

Brain = Callable[[np.ndarray], np.ndarray]
_MODEL = POINTER(c_void_p)
HANDLE = 0x7F00_1234_5678
"""An address of 47 bits, as real ones are."""


def brightness(image: np.ndarray) -> np.ndarray:
    """The mean of each channel times the gain of tests.unit.jobs.packages."""
    mean: np.ndarray = 40 * image.mean((0, 2, 3))
    return mean.astype(np.float32)


class FakeLibrary:
    """What it was asked is in `calls`. `device` and `kind` are what compiled.meta says of the model."""

    def __init__(self, brain: Brain = brightness, *, device: int = -1, kind: str = "float32", fails: str = "") -> None:
        self.brain, self.device, self.kind, self.fails = brain, device, kind.encode(), fails
        self.calls: list[tuple[Any, ...]] = []
        self.error: bytes | None = b"Check failed: index < 1\nStack trace:\n  File dlr.cc"
        self._image = self._answer = np.zeros(0, np.float32)
        for name, arguments in {
            "GetDLRVersion": (POINTER(c_char_p),),
            "GetDLRDeviceType": (c_char_p,),
            "CreateDLRModel": (_MODEL, c_char_p, c_int, c_int),
            "DeleteDLRModel": (_MODEL,),
            "SetDLRInput": (_MODEL, c_char_p, POINTER(c_int64), c_void_p, c_int),
            "RunDLRModel": (_MODEL,),
            "GetDLROutputType": (_MODEL, c_int, POINTER(c_char_p)),
            "GetDLROutputSizeDim": (_MODEL, c_int, POINTER(c_int64), POINTER(c_int)),
            "GetDLROutput": (_MODEL, c_int, c_void_p),
        }.items():
            setattr(self, name, CFUNCTYPE(c_int, *arguments)(self._behind(name)))
        # A callback cannot return a char*: ctypes has nobody to own it.
        self._message = ctypes.create_string_buffer(200)
        self.DLRGetLastError = CFUNCTYPE(c_void_p)(self._last_error)

    def _behind(self, name: str) -> Callable[..., int]:
        act = getattr(self, f"_{name}")

        def called(*arguments: Any) -> int:
            self.calls.append((name,))
            if name == self.fails:
                return -1
            answer = act(*arguments)
            return 0 if answer is None else answer

        return called

    def _last_error(self) -> int | None:
        if self.error is None:
            return None
        self._message.value = self.error
        return ctypes.addressof(self._message)

    def _GetDLRVersion(self, out: Any) -> None:
        out[0] = b"1.10.0"

    def _GetDLRDeviceType(self, folder: bytes) -> int:
        return self.device

    def _CreateDLRModel(self, model: Any, folder: bytes, device: int, number: int) -> None:
        self.calls[-1] = ("CreateDLRModel", Path(folder.decode()), device, number)
        model[0] = HANDLE

    def _DeleteDLRModel(self, model: Any) -> None:
        assert model[0] == HANDLE
        model[0] = None

    def _SetDLRInput(self, model: Any, name: bytes, shape: Any, address: int, dimensions: int) -> None:
        assert model[0] == HANDLE
        sizes = shape[:dimensions]
        self.calls[-1] = ("SetDLRInput", name.decode(), *sizes)
        values = (ctypes.c_float * int(np.prod(sizes))).from_address(address)
        self._image = np.array(values, np.float32).reshape(sizes)

    def _RunDLRModel(self, model: Any) -> None:
        assert model[0] == HANDLE
        self._answer = self.brain(self._image)

    def _GetDLROutputType(self, model: Any, index: int, out: Any) -> None:
        out[0] = self.kind

    def _GetDLROutputSizeDim(self, model: Any, index: int, size: Any, dimensions: Any) -> None:
        size[0], dimensions[0] = self._answer.size, 2

    def _GetDLROutput(self, model: Any, index: int, address: int) -> None:
        ctypes.memmove(address, self._answer.ctypes.data, self._answer.nbytes)
