"""What Neo can compile for, as data: one record per target, checked where the settings are read.

Sources: CreateCompilationJob's TargetDevice, TargetPlatform and CompilerOptions
(https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_OutputConfig.html) and the table of edge devices
(https://docs.aws.amazon.com/sagemaker/latest/dg/neo-supported-devices-edge-devices.html).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True)
class Target:
    """One thing to compile for.

    `device` and `platform` exclude each other, as in Neo's API. `greengrass` is the Platform of the component
    manifest that serves this target, or None when the artifact is fetched by other means (phones, Windows).
    `portable` says whether the un-compiled ONNX model may ship when Neo fails.
    """

    name: str
    device: str = ""
    platform: Mapping[str, str] = field(default_factory=dict)
    compiler_options: Mapping[str, object] = field(default_factory=dict)
    greengrass: Mapping[str, str] | None = None
    portable: bool = True

    def __post_init__(self) -> None:
        if bool(self.device) == bool(self.platform):
            raise ValueError(
                f"target {self.name!r} must name a Neo device or a Neo platform, and not both; "
                f"got device {self.device!r} and platform {dict(self.platform)!r}"
            )


# Linux cores ask for their manifest by os and architecture; `runtime: *` lets nucleus classic and lite take it alike.
_X86_64: Final = MappingProxyType({"os": "linux", "architecture": "amd64", "runtime": "*"})
_ARM64: Final = MappingProxyType({"os": "linux", "architecture": "aarch64", "runtime": "*"})


def _board(name: str) -> Mapping[str, str]:
    """A manifest for one kind of board: the installer sets `board` among the core's platform attributes."""
    return MappingProxyType({**_ARM64, "board": name})


_TARGETS: Final = (
    Target("linux-x86_64", platform={"Os": "LINUX", "Arch": "X86_64"}, greengrass=_X86_64),
    Target("linux-arm64", platform={"Os": "LINUX", "Arch": "ARM64"}, greengrass=_ARM64),
    Target("raspberry-pi-4", device="rasp4b", greengrass=_board("raspberry-pi-4")),
    Target(
        "jetson-xavier",
        device="jetson_xavier",
        compiler_options={"gpu-code": "sm_72", "trt-ver": "5.1.6", "cuda-ver": "10.0"},
        greengrass=_board("jetson-xavier"),
    ),
    Target("imx8mplus", device="imx8mplus", greengrass=_board("imx8mplus")),
    Target("android-arm64", platform={"Os": "ANDROID", "Arch": "ARM64"}, compiler_options={"ANDROID_PLATFORM": 29}),
    Target("windows-x86_64", device="x86_win64"),
)

TARGETS: Final[Mapping[str, Target]] = MappingProxyType({target.name: target for target in _TARGETS})
