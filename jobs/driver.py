"""CUDA on a host whose NVIDIA driver is older than the CUDA of the image.

The base image has the user's half of a newer driver for that case, and its own entry point puts it on the library
path. This image has an entry point of its own, so it does the same: otherwise torch would see no GPU on such a host,
and train on the processor at the price of a GPU. It is done before the first process of a job imports anything, and
processes that the job starts, one per GPU, inherit it.
https://docs.aws.amazon.com/sagemaker/latest/dg/container-nvidia-compliance.html
https://github.com/aws/deep-learning-containers/blob/main/docs/pytorch/index.md#cuda-forward-compatibility

NVIDIA supports this on data center GPUs, and a GeForce refuses it (cudaErrorCompatNotSupportedOnDevice): there the
host's driver is left as it is, which serves if it is of the same major version of CUDA.
https://docs.nvidia.com/deploy/cuda-compatibility/forward-compatibility.html
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

VARIABLE: Final = "LD_LIBRARY_PATH"
BUNDLED: Final = Path("/usr/local/cuda/compat/libcuda.so.1")
"""A link to libcuda.so.<version>."""
_CONSUMER: Final = re.compile(r"\b(GeForce|TITAN)\b")


class Host(NamedTuple):
    """What the host's kernel module says of itself and of its GPUs; a container sees both without any setting."""

    version: Path = Path("/proc/driver/nvidia/version")
    gpus: Path = Path("/proc/driver/nvidia/gpus")


HOST: Final = Host()


def library_path(environment: Mapping[str, str], *, bundled: Path = BUNDLED, host: Host = HOST) -> str | None:
    """The library path with which the host's GPU can be used; None when the present one serves or there is no GPU."""
    if not (bundled.exists() and host.version.exists()):
        return None
    present = [folder for folder in environment.get(VARIABLE, "").split(":") if folder]
    folder = str(bundled.parent)
    if folder in present or _version(host.version.read_text()) >= _version(bundled.resolve().name):
        return None
    # Each GPU has a line such as "Model:           NVIDIA A10G".
    if any(_CONSUMER.search(about.read_text()) for about in host.gpus.glob("*/information")):
        return None
    return ":".join([folder, *present])


def _version(text: str) -> tuple[int, ...]:
    """The first dotted number of a text: (535, 183, 1) of "NVRM version: ... Kernel Module  535.183.01  ..."."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(map(int, found[0].split("."))) if found else ()
