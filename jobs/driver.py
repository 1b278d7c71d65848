"""CUDA on a host whose NVIDIA driver is older than the CUDA of the image.

The base image has the user's half of a newer driver for that case, and its own entry point puts it on the library
path. This image has an entry point of its own, so it does the same: otherwise torch would see no GPU on such a host,
and train on the processor at the price of a GPU.
https://github.com/aws/deep-learning-containers/blob/main/docs/pytorch/index.md#cuda-forward-compatibility
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "LD_LIBRARY_PATH"
BUNDLED: Final = Path("/usr/local/cuda/compat/libcuda.so.1")
"""A link to libcuda.so.<version>."""
OF_THE_HOST: Final = Path("/proc/driver/nvidia/version")


def library_path(
    environment: Mapping[str, str], *, bundled: Path = BUNDLED, of_the_host: Path = OF_THE_HOST
) -> str | None:
    """The library path with which the host's GPU can be used; None when the present one serves or there is no GPU."""
    if not (bundled.exists() and of_the_host.exists()):
        return None
    present = [folder for folder in environment.get(VARIABLE, "").split(":") if folder]
    folder = str(bundled.parent)
    if folder in present or _version(of_the_host.read_text()) >= _version(bundled.resolve().name):
        return None
    return ":".join([folder, *present])


def _version(text: str) -> tuple[int, ...]:
    """The first dotted number of a text: (535, 183, 1) of "NVRM version: ... Kernel Module  535.183.01  ..."."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(map(int, found[0].split("."))) if found else ()
