"""What models can be compiled for, as data: one record per target that a stage can name.

A target is a Neo device or platform with its options, and what this project does with the result. What Neo itself
takes is in neo.py, whether the two fit together in rules.py.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from reefloop.compilation.hardware import ABSENT, ACCELERATORS, ARCHES, DEVICES, OSES, PLATFORMS, Hardware
from reefloop.payloads import TargetRecord

Delivery = Literal["greengrass", "artifact", "endpoint"]
Runtime = Literal["dlr", "onnxruntime", "coreml"]


# A folder of keys in the buckets, the name of a ZIP, a word on the command line.
NAME: Final = re.compile(r"^[a-z0-9]([_-]?[a-z0-9])*$")


_OFFERED: Final = tuple(name for name, device in DEVICES.items() if not device.refusal)


class TargetInvalid(Exception):
    """A target, or a model for it, that Neo would refuse; the message says what is allowed."""


@dataclass(frozen=True)
class Target:
    """One thing to compile for.

    `device` and `platform` exclude each other, as in Neo's API. `greengrass` is the Platform of the component
    manifest that serves this target; without one it is delivered as an artifact (phones, Windows) or behind an
    endpoint (instances). `runtime` is what executes what the compiler writes. `portable` says whether the un-compiled
    ONNX model may ship when the compiler fails. `measured_on` is the instance type on which the compiled code can be
    run and measured: "host" for the instance type of the jobs, "" where none can run it. `note` is what a person should
    know who builds for it.
    """

    name: str
    device: str = ""
    platform: Mapping[str, str] = field(default_factory=dict)
    compiler_options: Mapping[str, object] = field(default_factory=dict)
    greengrass: Mapping[str, str] | None = None
    runtime: Runtime = "dlr"
    portable: bool = True
    measured_on: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if bool(self.device) == bool(self.platform):
            raise ValueError(
                f"target {self.name!r} must name a Neo device or a Neo platform, and not both; "
                f"got device {self.device!r} and platform {dict(self.platform)!r}"
            )

    @property
    def named(self) -> str:
        return f"target {self.name!r}"

    @property
    def hardware(self) -> Hardware:
        """What Neo says about the device or the platform.

        Raises:
            TargetInvalid: the API has no such device, or no such platform.
        """
        if self.device:
            if self.device not in DEVICES:
                hint = next((why for word, why in ABSENT.items() if word in self.device.lower()), "")
                raise TargetInvalid(
                    f"{self.named} has device {self.device!r}, which Neo does not have"
                    + (f": {hint}" if hint else f"; it has {', '.join(_OFFERED)}")
                )
            return DEVICES[self.device]
        key = (self.platform.get("Os", ""), self.platform.get("Arch", ""), self.platform.get("Accelerator", ""))
        if key not in PLATFORMS or not self.platform.keys() <= {"Os", "Arch", "Accelerator"}:
            raise TargetInvalid(
                f"{self.named} has platform {dict(self.platform)!r}; Neo takes Os {' or '.join(OSES)}, Arch "
                f"{', '.join(ARCHES)}, and Accelerator {', '.join(ACCELERATORS)} or none"
            )
        return PLATFORMS[key]

    @property
    def delivery(self) -> Delivery:
        if self.greengrass:
            return "greengrass"
        return "endpoint" if self.device.startswith("ml_") else "artifact"

    @property
    def hosted_on(self) -> str:
        """The instance type of an endpoint for it: the one that it is measured on, or else the family's xlarge."""
        if self.delivery != "endpoint":
            return ""
        return self.measured_on if self.measured_on.startswith("ml.") else f"{self.device.replace('_', '.')}.xlarge"

    def record(self) -> TargetRecord:
        """The target as payloads carry it."""
        return TargetRecord(
            name=self.name,
            device=self.device,
            platform=dict(self.platform),
            compiler_options=dict(self.compiler_options),
            greengrass=dict(self.greengrass or {}),
            runtime=self.runtime,
            portable=self.portable,
            measured_on=self.measured_on,
        )

    @classmethod
    def of(cls, record: TargetRecord) -> "Target":
        """The target that a record was made of."""
        return cls(**{**record, "greengrass": record["greengrass"] or None})  # type: ignore[arg-type]


# Linux cores ask for their manifest by os and architecture; `runtime: *` lets nucleus classic and lite take it alike.
_X86_64: Final = MappingProxyType({"os": "linux", "architecture": "amd64", "runtime": "*"})
_ARM64: Final = MappingProxyType({"os": "linux", "architecture": "aarch64", "runtime": "*"})
_NEON: Final = MappingProxyType({"mattr": ("+neon",)})


def _board(name: str, core: Mapping[str, str] = _ARM64) -> Mapping[str, str]:
    """A manifest for one kind of board: the installer sets `board` among the core's platform attributes."""
    return MappingProxyType({**core, "board": name})


def _jetson(model: str) -> Target:
    """The versions are those of Neo's page of devices. JetPack 4 has them, on Ubuntu 18.04 with glibc 2.27
    (https://docs.nvidia.com/jetson/archives/jetpack-archived/jetpack-43/), for which ONNX Runtime has no wheels."""
    device = DEVICES[f"jetson_{model}"]
    return Target(
        f"jetson-{model}",
        device=device.name,
        compiler_options=MappingProxyType(dict(device.options)),
        greengrass=_board(f"jetson-{model}"),
        note="Needs TensorRT and CUDA in these versions. They are JetPack 4's, on which the classifier cannot be "
        "installed (glibc 2.27); on a newer one it serves the portable model. Another program may use the package. For "
        "the versions of your JetPack, if Neo takes them, give a target of your own.",
    )


def _ambarella(model: str) -> Target:
    note = "Quantized by Ambarella's toolchain with the calibration images of its tarball; runs on the CVflow engine."
    return Target(f"ambarella-{model}", device=f"amba_{model}", note=note)


def _instance(device: str, type_: str = "", note: str = "") -> Target:
    return Target(device, device=device, portable=False, measured_on=type_, note=note)


_ASKED_FOR: Final = (
    Target("linux-x86_64", platform={"Os": "LINUX", "Arch": "X86_64"}, greengrass=_X86_64, measured_on="host"),
    Target("linux-arm64", platform={"Os": "LINUX", "Arch": "ARM64"}, greengrass=_ARM64),
    Target("raspberry-pi-4", device="rasp4b", greengrass=_board("raspberry-pi-4"), note="For a 64-bit system."),
    _jetson("nano"),
    _jetson("tx2"),
    _jetson("xavier"),
    Target("imx8mplus", device="imx8mplus", greengrass=_board("imx8mplus"), note="Needs libtim-vx.so on the device."),
    _ambarella("cv25"),
    Target("android-arm64", platform={"Os": "ANDROID", "Arch": "ARM64"}, compiler_options={"ANDROID_PLATFORM": 29}),
    Target(
        "android-armv7",
        platform={"Os": "ANDROID", "Arch": "ARM_EABI"},
        compiler_options={"ANDROID_PLATFORM": 25, **_NEON},
    ),
    Target(
        "qcs605",
        device="qcs605",
        compiler_options={"ANDROID_PLATFORM": 27},
        note="Neo compiles for its ARM cores and its GPU, not for the Hexagon DSP.",
    ),
    Target("windows-x86_64", device="x86_win64"),
    Target("ios", device="coreml", compiler_options={"class_labels": "labels.txt"}, runtime="coreml", portable=False),
    _instance("ml_c5", "ml.c5.xlarge"),
    _instance("ml_g4dn", "ml.g4dn.xlarge"),
)

_UNMEASURED: Final = "Not measured: the image of the jobs is for x86_64."

# The rest of what Neo has. The classifier cannot be installed on 32-bit ARM: PyPI has no ONNX Runtime for it.
_FURTHER: Final = (
    Target(
        "raspberry-pi-3",
        device="rasp3b",
        compiler_options=_NEON,
        portable=False,
        note="For a 32-bit system.",
    ),
    _jetson("tx1"),
    Target("imx8qm", device="imx8qm", greengrass=_board("imx8qm")),
    Target("rk3399", device="rk3399", greengrass=_board("rk3399")),
    Target("rk3288", device="rk3288", portable=False),
    Target("aisage", device="aisage", greengrass=_board("aisage")),
    Target("sbe-c", device="sbe_c", compiler_options={"mcpu": "core-avx2"}, greengrass=_board("sbe-c", _X86_64)),
    Target(
        "sitara-am57x",
        device="sitara_am57x",
        portable=False,
        note="Neo's page has it as ARM64; its cores are 32-bit. Runs with TI's own libraries.",
    ),
    Target("jacinto-tda4vm", device="jacinto_tda4vm", note="Runs with TI's own libraries."),
    _ambarella("cv2"),
    _ambarella("cv22"),
    Target("qcs603", device="qcs603", compiler_options={"ANDROID_PLATFORM": 27}),
    Target("windows-x86", device="x86_win32"),
    Target("aws-lambda", device="lambda"),
    _instance(
        "ml_m4", "ml.m4.xlarge", "An old generation, which AWS' own containers are tested on no more: take ml_m5."
    ),
    _instance("ml_m5", "ml.m5.xlarge"),
    _instance("ml_m6g", note=_UNMEASURED),
    _instance("ml_c4", "ml.c4.xlarge"),
    _instance("ml_c6g", note=_UNMEASURED),
)

TARGETS: Final[Mapping[str, Target]] = MappingProxyType({target.name: target for target in (*_ASKED_FOR, *_FURTHER)})

DEFAULT: Final = tuple(target.name for target in _ASKED_FOR if target.delivery != "endpoint")
"""What is compiled when a stage names no targets: the usual devices; instances cost money to try."""
