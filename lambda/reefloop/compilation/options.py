"""OutputConfig.CompilerOptions, as data: which keys Neo takes where, and with what values."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from reefloop.compilation import pages
from reefloop.compilation.hardware import Hardware
from reefloop.compilation.targets import Target, TargetInvalid

# The string that is sent. https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_OutputConfig.html
SHORTEST: Final = 3
LONGEST: Final = 1024


def _text(pattern: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII) is not None


def _flags(value: object) -> bool:
    flag = _text(r"[+-][A-Za-z0-9_.-]+")
    return isinstance(value, list | tuple) and len(value) > 0 and all(flag(entry) for entry in value)


def _api_level(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 21 <= value <= 29


def _cpu(hardware: Hardware) -> bool:
    return hardware.os != "IOS"


def _nvidia(hardware: Hardware) -> bool:
    # An instance brings its own driver, so Neo knows what is there.
    return hardware.accelerator == "NVIDIA" and hardware.family == "edge"


def _jetson(hardware: Hardware) -> bool:
    return hardware.name.startswith("jetson_")


def _android(hardware: Hardware) -> bool:
    return hardware.os == "ANDROID"


def _instance(hardware: Hardware) -> bool:
    return hardware.name.startswith("ml_")


def _core_ml(hardware: Hardware) -> bool:
    return hardware.os == "IOS"


@dataclass(frozen=True)
class Option:
    """One key: where it belongs, which values fit (`values` says so in words), the one framework that has it or ""."""

    key: str
    belongs: Callable[[Hardware], bool]
    place: str
    fits: Callable[[object], bool]
    values: str
    framework: str = ""
    source: str = pages.OUTPUT_CONFIG


_OPTIONS: Final = (
    Option("mcpu", _cpu, "processors", _text(r"[A-Za-z0-9_.+-]+"), "a processor such as 'skylake-avx512'"),
    Option("mattr", _cpu, "processors", _flags, "a list of flags such as ['+neon']"),
    Option("gpu-code", _nvidia, "NVIDIA devices", _text(r"sm_\d{2,3}"), "an architecture such as 'sm_72'"),
    Option("trt-ver", _nvidia, "NVIDIA devices", _text(r"\d+\.\d+\.\d+"), "TensorRT's version as 'x.y.z'"),
    Option("cuda-ver", _nvidia, "NVIDIA devices", _text(r"\d+\.\d+"), "CUDA's version as 'x.y'"),
    Option("ANDROID_PLATFORM", _android, "Android", _api_level, "an API level from 21 to 29"),
    Option(
        "dtype",
        _instance,
        "instances",
        lambda value: value in ("float", "float32", "int64", "long"),
        "'float32' or 'int64'",
        framework="PYTORCH",
    ),
    Option(
        "class_labels",
        _core_ml,
        "Core ML",
        _text(r"[\w-][\w. -]*"),
        "the name of a file in the tarball, without a folder, in letters from a to z, digits, blanks and . _ -",
    ),
    # The page of devices has these two, so spelled, for TensorFlow 2 in place of the three versions: in the row of the
    # Nano, with the code of a Xavier.
    Option(
        "JETPACK_VERSION",
        _jetson,
        "Jetsons",
        _text(r"\d+(\.\d+)+"),
        "JetPack's version such as '4.6'",
        framework="TENSORFLOW",
        source=pages.EDGE_DEVICES,
    ),
    Option(
        "gpu_code",
        _jetson,
        "Jetsons with JETPACK_VERSION",
        _text(r"sm_\d{2,3}"),
        "an architecture such as 'sm_72'",
        framework="TENSORFLOW",
        source=pages.EDGE_DEVICES,
    ),
    # On no page of Neo.
    Option(
        "max-workspace-size",
        _nvidia,
        "NVIDIA devices",
        _text(r"\d+"),
        "TensorRT's bytes of workspace, in a string",
        source=pages.DEFECT_DETECTION,
    ),
    Option(
        "precision-mode",
        _nvidia,
        "NVIDIA devices",
        _text(r"fp32|fp16|int8"),
        "'fp32', 'fp16' or 'int8'",
        source=pages.DEFECT_DETECTION,
    ),
    Option(
        "jetson-platform",
        _nvidia,
        "NVIDIA devices",
        _text(r"[a-z0-9]+"),
        "a Jetson such as 'xavier'",
        source=pages.DEFECT_DETECTION,
    ),
)

OPTIONS: Final[Mapping[str, Option]] = MappingProxyType({option.key: option for option in _OPTIONS})

_REQUIRED: Final = ("gpu-code", "trt-ver", "cuda-ver")
_REQUIRED_OF_JETPACK: Final = ("JETPACK_VERSION", "gpu_code")


def check_options(target: Target) -> None:
    """
    Raises:
        TargetInvalid: the target's compiler options are not what Neo takes.
    """
    options, hardware = target.compiler_options, target.hardware
    for key, value in options.items():
        option = OPTIONS.get(key)
        if option is None:
            allowed = ", ".join(name for name, known in OPTIONS.items() if known.belongs(hardware)) or "none"
            raise TargetInvalid(
                f"{target.named} has the unknown compiler option {key!r}; {hardware.name} takes {allowed}"
            )
        if not option.belongs(hardware):
            raise TargetInvalid(f"{target.named} has {key!r}, which is for {option.place} and not for {hardware.name}")
        if not option.fits(value):
            raise TargetInvalid(f"{target.named} has {key!r} {value!r}: it must be {option.values}")
    required = _REQUIRED_OF_JETPACK if any(key in options for key in _REQUIRED_OF_JETPACK) else _REQUIRED
    if _nvidia(hardware) and (missing := [key for key in required if key not in options]):
        raise TargetInvalid(
            f"{target.named} compiles for an NVIDIA GPU and lacks {', '.join(map(repr, missing))} among its compiler "
            "options: give the versions that are on the device"
        )
    length = len(json.dumps(dict(options)))
    if options and not SHORTEST <= length <= LONGEST:
        raise TargetInvalid(
            f"{target.named} has compiler options of {length} characters; Neo takes {SHORTEST} to {LONGEST} as JSON"
        )
