"""What Neo takes, as data: frameworks, devices, platforms.

The pages: https://docs.aws.amazon.com/sagemaker/latest/dg/neo-supported-devices-edge-devices.html (devices, platforms),
https://docs.aws.amazon.com/sagemaker/latest/dg/neo-supported-devices-edge-frameworks.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/neo-supported-cloud.html (frameworks and their versions),
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_InputConfig.html and
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_OutputConfig.html (layouts, options, which frameworks Core
ML takes, where Inferentia2 and Trainium are).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True)
class Framework:
    """`name` is the one of Neo's messages. `layout` is that of DataInputConfig, "" where there are no images. `newest`
    is the highest FrameworkVersion on any page, "" where the request has no such field for the framework; which of
    those before it are taken differs from page to page, and people compile with ones that are on none
    (https://github.com/awslabs/DefectDetectionApplication: 1.13 for a device)."""

    name: str
    layout: str = "NCHW"
    newest: str = ""


FRAMEWORKS: Final[Mapping[str, Framework]] = MappingProxyType(
    {
        "TENSORFLOW": Framework("TensorFlow", "NHWC", "2.9"),
        "KERAS": Framework("Keras"),
        "MXNET": Framework("MXNet", newest="1.8"),
        "ONNX": Framework("ONNX"),
        "PYTORCH": Framework("PyTorch", newest="2.0"),
        "XGBOOST": Framework("XGBoost", ""),
        "TFLITE": Framework("TFLite", "NHWC", "1.15"),
        "DARKNET": Framework("DarkNet"),
        "SKLEARN": Framework("Scikit-Learn", ""),
    }
)

# Scikit-learn is in the API's list of frameworks and on no page that says what it can be compiled for.
_EDGE: Final = frozenset(FRAMEWORKS) - {"SKLEARN"}
_CLOUD: Final = frozenset({"MXNET", "ONNX", "KERAS", "PYTORCH", "TENSORFLOW", "XGBOOST"})
_INFERENTIA: Final = frozenset({"MXNET", "PYTORCH", "TENSORFLOW"})
_NEURONX: Final = frozenset({"PYTORCH", "TENSORFLOW"})
_CORE_ML: Final = frozenset({"PYTORCH", "TENSORFLOW"})
_NONE: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True)
class Machine:
    """What a device or platform is. `accelerator` is what its code runs on in place of the CPU. `frameworks` are those
    that Neo compiles for it, none where it no longer does. `versioned` says whether FrameworkVersion is taken for it.
    `region` is the only one that compiles for it, "" where all do."""

    architecture: str
    accelerator: str = ""
    frameworks: frozenset[str] = _EDGE
    versioned: bool = False
    region: str = ""


def _cloud(architecture: str = "X86_64", accelerator: str = "") -> Machine:
    return Machine(architecture, accelerator, _CLOUD, versioned=True)


# Which devices take a FrameworkVersion is told by the API's own refusal, quoted (and cut off) in
# https://github.com/aws/amazon-sagemaker-examples/issues/3239; for Inferentia by
# https://github.com/aws/sagemaker-python-sdk/pull/3183.
DEVICES: Final[Mapping[str, Machine]] = MappingProxyType(
    {
        "lambda": Machine("X86_64", versioned=True),
        "ml_m4": _cloud(),
        "ml_m5": _cloud(),
        "ml_m6g": Machine("ARM64", frameworks=_CLOUD),
        "ml_c4": _cloud(),
        "ml_c5": _cloud(),
        "ml_c6g": Machine("ARM64", frameworks=_CLOUD),
        "ml_p2": _cloud(accelerator="NVIDIA"),
        "ml_p3": _cloud(accelerator="NVIDIA"),
        "ml_g4dn": _cloud(accelerator="NVIDIA"),
        "ml_inf1": Machine("X86_64", "Inferentia", _INFERENTIA, versioned=True),
        "ml_inf2": Machine("X86_64", "Inferentia2", _NEURONX, region="us-east-2"),
        "ml_trn1": Machine("X86_64", "Trainium", _NEURONX, region="us-east-1"),
        "ml_eia2": Machine("X86_64", "Elastic Inference", _NONE),
        "jetson_tx1": Machine("ARM64", "NVIDIA", versioned=True),
        "jetson_tx2": Machine("ARM64", "NVIDIA", versioned=True),
        "jetson_nano": Machine("ARM64", "NVIDIA", versioned=True),
        "jetson_xavier": Machine("ARM64", "NVIDIA", versioned=True),
        "rasp3b": Machine("ARM_EABIHF", versioned=True),
        "rasp4b": Machine("ARM64", versioned=True),
        "imx8qm": Machine("ARM64", versioned=True),
        "deeplens": Machine("X86_64", "INTEL_GRAPHICS", _NONE, versioned=True),
        "rk3399": Machine("ARM64", "MALI", versioned=True),
        "rk3288": Machine("ARM_EABIHF", "MALI", versioned=True),
        "aisage": Machine("ARM64", "MALI", versioned=True),
        "sbe_c": Machine("X86_64", versioned=True),
        "qcs605": Machine("ARM64", "MALI"),
        "qcs603": Machine("ARM64", "MALI"),
        "sitara_am57x": Machine("ARM64", "EVE"),
        "amba_cv2": Machine("ARM64", "CVflow"),
        "amba_cv22": Machine("ARM64", "CVflow"),
        "amba_cv25": Machine("ARM64", "CVflow"),
        "x86_win32": Machine("X86"),
        "x86_win64": Machine("X86_64"),
        "coreml": Machine("", "Core ML", _CORE_ML),
        "jacinto_tda4vm": Machine("ARM64", "TDA4VM"),
        "imx8mplus": Machine("ARM64", "NPU"),
    }
)

_LINUX: Final = {
    "": ("X86_64", "ARM64", "ARM_EABIHF", "ARM_EABI"),
    "NVIDIA": ("X86_64", "ARM64"),
    "INTEL_GRAPHICS": ("X86_64",),
    "MALI": ("ARM64", "ARM_EABIHF", "ARM_EABI"),
}
_ANDROID: Final = {
    "": ("X86_64", "X86", "ARM64", "ARM_EABI"),
    "INTEL_GRAPHICS": ("X86_64", "X86"),
    "MALI": ("ARM64", "ARM_EABI"),
}
# Windows is in the table too; the API has no such operating system and reaches it as x86_win32 and x86_win64 alone.
PLATFORMS: Final[Mapping[tuple[str, str, str], Machine]] = MappingProxyType(
    {
        (system, architecture, accelerator): Machine(architecture, accelerator, versioned=True)
        for system, table in (("LINUX", _LINUX), ("ANDROID", _ANDROID))
        for accelerator, architectures in table.items()
        for architecture in architectures
    }
)

NVIDIA_OPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"gpu-code": r"sm_\d{2,3}", "trt-ver": r"\d+\.\d+\.\d+(\.\d+)?", "cuda-ver": r"\d+\.\d+"}
)
"""The options without which there is no platform with an NVIDIA accelerator, and what each looks like."""

ANDROID_LEVELS: Final = range(21, 30)
"""ANDROID_PLATFORM, the API level."""

DATA_TYPES: Final = ("float", "float32", "int64", "long")
"""dtype, of PyTorch's input on instances."""
