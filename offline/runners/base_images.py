"""Base images by name, as small layouts: the names of their files, which are empty, and the variables that they set."""

import hashlib
from dataclasses import dataclass, field
from typing import Final

CUDA: Final = "public.ecr.aws/deep-learning-containers/pytorch:"
# https://github.com/aws/deep-learning-containers/blob/main/docker/pytorch/Dockerfile.cuda and the base of that,
# https://gitlab.com/nvidia/container-images/cuda/-/tree/master/dist
_TOOLKIT: Final = "usr/local/cuda-13.3"
_CUDA_FILES: Final = (
    "opt/venv/bin/python",
    "usr/bin/bash",
    "etc/ld.so.conf.d/988_cuda-13.conf",
    f"{_TOOLKIT}/compat/libcuda.so.1",
    f"{_TOOLKIT}/compat/libcuda.so.610.43.02",
    f"{_TOOLKIT}/compat/libnvidia-ptxjitcompiler.so.610.43.02",
    f"{_TOOLKIT}/targets/x86_64-linux/lib/libcudart.so.13",
    f"{_TOOLKIT}/targets/x86_64-linux/lib/stubs/libcuda.so",
    f"{_TOOLKIT}/targets/x86_64-linux/lib/stubs/libnvidia-ml.so",
    "opt/venv/lib/python3.12/site-packages/nvidia/cu13/lib/libcudart.so.13",
    "var/lib/rpm/rpmdb.sqlite",
)
_CUDA_ENVIRONMENT: Final = {
    "PATH": "/opt/venv/bin:/opt/amazon/openmpi/bin:/opt/amazon/efa/bin:/usr/local/cuda/bin:/usr/bin:/bin",
    "LD_LIBRARY_PATH": "/opt/venv/lib/python3.12/site-packages/nvidia/cudnn/lib:/opt/amazon/efa/lib:"
    "/usr/local/cuda/lib64:/usr/local/lib",
    "NVIDIA_VISIBLE_DEVICES": "all",
    "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
    "NVIDIA_REQUIRE_CUDA": "cuda>=13.3 brand=tesla,driver>=570,driver<571 brand=tesla,driver>=580,driver<581",
}


@dataclass(frozen=True)
class BaseImage:
    """`reference` is name:tag, `digest` what it stands for: the same at any time, since nobody patches it here."""

    reference: str
    files: tuple[str, ...] = ("usr/bin/python",)
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/bin"})

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.reference.encode()).hexdigest()}"

    @property
    def name(self) -> str:
        return self.reference.rpartition(":")[0]


def find(reference: str) -> BaseImage:
    """The image of a reference, by its tag and, where it has one, its digest: every public name is known.

    Raises:
        LookupError: no such tag, or it stands for another digest.
    """
    tagged, _, digest = reference.partition("@")
    name, _, tag = tagged.rpartition(":")
    if not name or not tag or "/" in tag:
        raise LookupError(f"{reference}: not found; name it with its tag")
    files = BaseImage(tagged, _CUDA_FILES, dict(_CUDA_ENVIRONMENT)) if tagged.startswith(CUDA) else BaseImage(tagged)
    if digest and digest != files.digest:
        raise LookupError(f"{reference}: not found; {tagged} is {files.digest}")
    return files
