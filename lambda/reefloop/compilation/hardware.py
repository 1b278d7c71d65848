"""What SageMaker Neo compiles for, as data: every TargetDevice of the API, and every combination of TargetPlatform."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from types import MappingProxyType
from typing import Any, Final, Literal

from reefloop.compilation import pages

Family = Literal["edge", "cloud", "neuron"]


@dataclass(frozen=True)
class Part:
    """Files that a tarball must hold: `least` to `most` (None: any number) of those that match one of `patterns`.

    Patterns are those of fnmatch.fnmatchcase over the member's path, so `*` also goes through folders: Neo's own
    example packs a frozen graph below a folder. What matches no part of its framework and device is too much.
    """

    what: str
    patterns: tuple[str, ...]
    least: int = 1
    most: int | None = 1


@dataclass(frozen=True)
class Hardware:
    """One TargetDevice, or one combination of TargetPlatform.

    `os`, `arch` and `accelerator` are in the API's words where it has one. `options` is the example of the page of
    devices. `frameworks` are those that it takes, None for all of its family; `contents` is what its tarball needs
    beside the model. `takes_version` says whether the request may have a FrameworkVersion, `tested` is the column of
    the Tested Models page, `listed` whether a page besides the API names it, `refusal` why nothing is compiled for it.
    """

    name: str
    title: str
    os: str = ""
    arch: str = ""
    accelerator: str = ""
    family: Family = "edge"
    options: Mapping[str, object] = field(default_factory=dict)
    frameworks: frozenset[str] | None = None
    contents: tuple[Part, ...] = ()
    takes_version: bool = False
    tested: str = ""
    listed: bool = True
    refusal: str = ""
    source: str = pages.EDGE_DEVICES


def _jetson(name: str, title: str, code: str, tensorrt: str) -> Hardware:
    options = {"gpu-code": code, "trt-ver": tensorrt, "cuda-ver": "10.0"}
    return Hardware(name, title, "LINUX", "ARM64", "NVIDIA", options=options, takes_version=True, tested="Nvidia")


# Ambarella's toolchain quantizes: it wants to know the input and to see examples of it. pages.AMBARELLA
_CALIBRATION: Final = (
    Part("one JSON configuration (*config.json)", ("*config.json",)),
    Part("calibration images (calib_data/)", ("calib_data/*", "*/calib_data/*"), most=None),
)


def _ambarella(name: str, tested: str = "") -> Hardware:
    title = f"Ambarella {name.removeprefix('amba_').upper()}"
    return Hardware(name, title, "LINUX", "ARM64", "CVFLOW", contents=_CALIBRATION, tested=tested)


def _instance(name: str, title: str, arch: str = "X86_64", accelerator: str = "", **other: Any) -> Hardware:
    facts = {"family": "cloud", "takes_version": True, "source": pages.CLOUD, **other}
    return Hardware(name, title, "LINUX", arch, accelerator, **facts)


def _graviton(name: str, title: str) -> Hardware:
    return _instance(name, title, "ARM64", takes_version=False, listed=False, source=pages.OUTPUT_CONFIG)


def _neuron(name: str, title: str, region: str = "") -> Hardware:
    refusal = (
        f"{title} runs on AWS Neuron: its compiler options are a command line and its runtime is neither DLR nor ONNX "
        f"Runtime{f', and Neo has it in {region} only' if region else ''}; compile with the Neuron SDK"
    )
    return Hardware(name, title, "LINUX", "X86_64", "NEURON", "neuron", refusal=refusal, source=pages.CLOUD)


_DEVICES: Final = (
    # The service's message counts it among the devices, not among the instances.
    Hardware(
        "lambda",
        "AWS Lambda",
        "LINUX",
        "X86_64",
        takes_version=True,
        listed=False,
        source=pages.VERSION_MESSAGE,
    ),
    _instance("ml_m4", "M4 instances"),
    _instance("ml_m5", "M5 instances"),
    _graviton("ml_m6g", "M6g instances"),
    _instance("ml_c4", "C4 instances"),
    _instance("ml_c5", "C5 instances"),
    _graviton("ml_c6g", "C6g instances"),
    _instance(
        "ml_p2",
        "P2 instances",
        "X86_64",
        "NVIDIA",
        refusal="P2 instances are retired: use ml_g4dn",
        source=pages.P2_RETIRED,
    ),
    _instance(
        "ml_p3",
        "P3 instances",
        "X86_64",
        "NVIDIA",
        refusal="P3 instances are offered no more: use ml_g4dn",
        source=pages.P3_RETIRED,
    ),
    _instance("ml_g4dn", "G4dn instances", "X86_64", "NVIDIA"),
    _neuron("ml_inf1", "AWS Inferentia"),
    _neuron("ml_inf2", "AWS Inferentia2", "us-east-2"),
    _neuron("ml_trn1", "AWS Trainium", "us-east-1"),
    _instance(
        "ml_eia2",
        "Elastic Inference",
        listed=False,
        refusal="Elastic Inference takes no new customers since 2023-04-15: use ml_c5 or ml_g4dn",
        source=pages.ELASTIC_INFERENCE,
    ),
    _jetson("jetson_tx1", "NVIDIA Jetson TX1", "sm_53", "6.0.1"),
    _jetson("jetson_tx2", "NVIDIA Jetson TX2", "sm_62", "6.0.1"),
    _jetson("jetson_nano", "NVIDIA Jetson Nano", "sm_53", "5.0.6"),
    _jetson("jetson_xavier", "NVIDIA Jetson Xavier", "sm_72", "5.1.6"),
    Hardware(
        "rasp3b",
        "Raspberry Pi 3 Model B",
        "LINUX",
        "ARM_EABIHF",
        options={"mattr": ("+neon",)},
        takes_version=True,
    ),
    # The page says "ARM A72" and nothing of the system: a 64-bit one here, as Greengrass' aarch64 wants it.
    Hardware("rasp4b", "Raspberry Pi 4 Model B", "LINUX", "ARM64", takes_version=True, tested="ARM V8"),
    Hardware("imx8qm", "NXP i.MX 8QuadMax", "LINUX", "ARM64", takes_version=True, tested="ARM V8"),
    Hardware(
        "deeplens",
        "AWS DeepLens",
        "LINUX",
        "X86_64",
        "INTEL_GRAPHICS",
        listed=False,
        refusal="AWS DeepLens is gone: Neo's page of devices names it no more",
    ),
    Hardware("rk3399", "Rockchip RK3399", "LINUX", "ARM64", "MALI", takes_version=True, tested="ARM Mali"),
    Hardware("rk3288", "Rockchip RK3288", "LINUX", "ARM_EABIHF", "MALI", takes_version=True),
    Hardware("aisage", "Acer aiSage", "LINUX", "ARM64", "MALI", takes_version=True, tested="ARM Mali"),
    Hardware(
        "sbe_c",
        "x86 single-board computer",
        "LINUX",
        "X86_64",
        options={"mcpu": "core-avx2"},
        takes_version=True,
        tested="X86_Linux",
    ),
    Hardware("qcs605", "Qualcomm QCS605", "ANDROID", "ARM64", "MALI", options={"ANDROID_PLATFORM": 27}),
    Hardware(
        "qcs603",
        "Qualcomm QCS603",
        "ANDROID",
        "ARM64",
        "MALI",
        options={"ANDROID_PLATFORM": 27},
        tested="Qualcomm QCS603",
    ),
    Hardware("sitara_am57x", "TI Sitara AM57x", "LINUX", "ARM64", "DSP"),
    _ambarella("amba_cv2"),
    _ambarella("amba_cv22", "Ambarella CV22"),
    _ambarella("amba_cv25", "Ambarella CV25"),
    Hardware("x86_win32", "Windows 10 PC, 32 bit", "WINDOWS", "X86", tested="X86_Windows"),
    # The page's own architecture of x86_win64 is X86_32, its table of systems has both: taken as a slip.
    Hardware("x86_win64", "Windows 10 PC, 64 bit", "WINDOWS", "X86_64", tested="X86_Windows"),
    Hardware(
        "coreml",
        "iPhone, iPad, Mac (Core ML)",
        "IOS",
        options={"class_labels": "imagenet_labels_1000.txt"},
        frameworks=frozenset({"TENSORFLOW", "PYTORCH"}),
        source=pages.INPUT_CONFIG,
    ),
    Hardware("jacinto_tda4vm", "TI Jacinto TDA4VM", "LINUX", "ARM64", "TDA4VM", tested="TI TDA4VM"),
    Hardware("imx8mplus", "NXP i.MX 8M Plus", "LINUX", "ARM64", "NPU", tested="i.MX 8M Plus"),
)

DEVICES: Final[Mapping[str, Hardware]] = MappingProxyType({device.name: device for device in _DEVICES})

OSES: Final = ("ANDROID", "LINUX")
ARCHES: Final = ("X86_64", "X86", "ARM64", "ARM_EABI", "ARM_EABIHF")
ACCELERATORS: Final = ("INTEL_GRAPHICS", "MALI", "NVIDIA", "NNA")

# "Systems and Chip Architectures" of pages.EDGE_DEVICES; what is not in it is refused.
_ARCHES_OF: Final[Mapping[tuple[str, str], tuple[str, ...]]] = MappingProxyType(
    {
        ("LINUX", ""): ("X86_64", "ARM64", "ARM_EABIHF", "ARM_EABI"),
        ("LINUX", "NVIDIA"): ("X86_64", "ARM64"),
        ("LINUX", "INTEL_GRAPHICS"): ("X86_64",),
        ("LINUX", "MALI"): ("ARM64", "ARM_EABIHF", "ARM_EABI"),
        ("ANDROID", ""): ("X86_64", "X86", "ARM64", "ARM_EABI"),
        ("ANDROID", "INTEL_GRAPHICS"): ("X86_64", "X86"),
        ("ANDROID", "MALI"): ("ARM64", "ARM_EABI"),
    }
)
# The column of the Tested Models page that a platform stands in, by (os, architecture, accelerator).
_TESTED_PLATFORMS: Final[Mapping[tuple[str, str, str], str]] = MappingProxyType(
    {
        ("LINUX", "X86_64", ""): "X86_Linux",
        ("LINUX", "ARM64", ""): "ARM V8",
        ("LINUX", "ARM64", "MALI"): "ARM Mali",
        ("LINUX", "X86_64", "NVIDIA"): "Nvidia",
        ("LINUX", "ARM64", "NVIDIA"): "Nvidia",
    }
)


def _platform(os: str, arch: str, accelerator: str) -> Hardware:
    name = "/".join(filter(None, (os, arch, accelerator)))
    arches = _ARCHES_OF.get((os, accelerator), ())
    with_ = f"with {accelerator}" if accelerator else "without an accelerator"
    refusal = f"Neo compiles nothing for {os} {with_}" if not arches else ""
    if arches and arch not in arches:
        refusal = f"for {os} {with_} Neo compiles for {', '.join(arches)}, and not for {arch}"
    tested = _TESTED_PLATFORMS.get((os, arch, accelerator), "")
    return Hardware(name, name, os, arch, accelerator, takes_version=True, tested=tested, refusal=refusal)


PLATFORMS: Final[Mapping[tuple[str, str, str], Hardware]] = MappingProxyType(
    {of: _platform(*of) for of in product(OSES, ARCHES, ("", *ACCELERATORS))}
)
"""The whole matrix by (Os, Arch, Accelerator or "")."""

ABSENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "hexagon": "no target of the API compiles for the Hexagon DSP; qcs603 and qcs605 are compiled for ARM and GPU",
        "sdm845": "no target of the API is for the Snapdragon 845; compile for the platform ANDROID/ARM64",
        "orin": "Neo's Jetsons end with Xavier; compile for LINUX/ARM64/NVIDIA with gpu-code sm_87, unproven",
        "rasp5": "Neo has the Raspberry Pi 3 and 4; compile for LINUX/ARM64, as linux-arm64 does",
    }
)
"""What people ask for and Neo does not have, by a word of its name, with what to do instead."""
