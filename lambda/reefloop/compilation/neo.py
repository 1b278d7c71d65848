"""What SageMaker Neo takes, as data: frameworks here, devices and platforms in hardware.py.

What follows from it is in rules.py, the pages that say so in pages.py. A test compares the names with botocore's model
of the API, so that a new framework, device or platform is noticed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from reefloop.compilation import pages
from reefloop.compilation.hardware import ACCELERATORS, ARCHES, DEVICES, OSES, PLATFORMS, Family, Hardware, Part

__all__ = [
    "ACCELERATORS",
    "ARCHES",
    "DEVICES",
    "FRAMEWORKS",
    "OSES",
    "PLATFORMS",
    "Family",
    "Framework",
    "Hardware",
    "Layout",
    "Part",
    "Versions",
    "pages",
]

Layout = Literal["NCHW", "NHWC", ""]


@dataclass(frozen=True)
class Versions:
    """FrameworkVersions of one family. `earlier` says that the page also takes those before the newest."""

    listed: tuple[str, ...]
    earlier: bool = True


@dataclass(frozen=True)
class Framework:
    """One value of InputConfig.Framework.

    `versions` has the families that take the framework at all; its lists are empty where pages name no version.
    `versioned` says whether the request may have a FrameworkVersion. `layout` is that of DataInputConfig, "" where it
    is not needed. `tested` are the columns of the Tested Models page with a model of this framework, `models` the kinds
    that the page of frameworks for devices has. `refusal` says why no target takes it.
    """

    name: str
    title: str
    layout: Layout = ""
    contents: tuple[Part, ...] = ()
    versions: Mapping[Family, Versions] = field(default_factory=dict)
    versioned: bool = False
    tested: frozenset[str] = frozenset()
    models: str = "classification, detection"
    refusal: str = ""


# Columns of pages.TESTED_MODELS that most frameworks have a model in.
_USUAL: Final = frozenset({"ARM V8", "ARM Mali", "Nvidia", "TI TDA4VM", "X86_Linux", "X86_Windows"})
_GRAPH: Final = Part("one graph (.pb or .pbtxt)", ("*.pb", "*.pbtxt"))
_TORCHSCRIPT: Final = Part("one TorchScript model (.pth or .pt)", ("*.pth", "*.pt"))
_VARIABLES: Final = Part("the variables of a saved model", ("variables/*", "*/variables/*"), least=0, most=None)

_FRAMEWORKS: Final = (
    Framework(
        "TENSORFLOW",
        "TensorFlow",
        "NHWC",
        (_GRAPH, _VARIABLES),
        {
            "edge": Versions(("1.15", "2.4")),
            "cloud": Versions(("1.15.3", "2.9"), earlier=False),
            "neuron": Versions(("1.15", "2.5")),
        },
        versioned=True,
        tested=_USUAL | {"Ambarella CV22", "Ambarella CV25"},
    ),
    # DataInputConfig is NCHW although the model itself is NHWC: pages.INPUT_CONFIG says so in as many words.
    Framework(
        "KERAS",
        "Keras",
        "NCHW",
        (Part("one model (.h5)", ("*.h5",)),),
        {"edge": Versions(("2.2",)), "cloud": Versions(("2.2.4",))},
        tested=_USUAL | {"Ambarella CV22"},
        models="classification",
    ),
    Framework(
        "MXNET",
        "MXNet",
        "NCHW",
        (Part("one symbol file (*-symbol.json)", ("*-symbol.json",)), Part("one .params file", ("*.params",))),
        {"edge": Versions(("1.8",)), "cloud": Versions(("1.8.0",)), "neuron": Versions(("1.5", "1.8"))},
        versioned=True,
        tested=_USUAL | {"Ambarella CV22", "Qualcomm QCS603"},
        models="classification, detection, segmentation, pose, activity",
    ),
    Framework(
        "ONNX",
        "ONNX",
        "NCHW",
        (Part("one model (.onnx)", ("*.onnx",)),),
        {"edge": Versions(("1.7",)), "cloud": Versions(("1.7.0",))},
        tested=_USUAL | {"Ambarella CV22"},
        models="classification, SVM",
    ),
    Framework(
        "PYTORCH",
        "PyTorch",
        "NCHW",
        (_TORCHSCRIPT,),
        {
            "edge": Versions(("1.7", "1.8")),
            "cloud": Versions(("1.4", "1.5", "1.6", "1.7", "1.8", "1.12", "1.13", "2.0"), earlier=False),
            "neuron": Versions(("1.7", "1.8", "1.9")),
        },
        versioned=True,
        tested=_USUAL | {"Ambarella CV22", "Ambarella CV25"},
    ),
    Framework(
        "XGBOOST",
        "XGBoost",
        "",
        (Part("one model (.model)", ("*.model",)),),
        {"edge": Versions(("1.3",)), "cloud": Versions(("1.3.3",))},
        models="decision trees",
    ),
    Framework(
        "TFLITE",
        "TensorFlow Lite",
        "NHWC",
        (Part("one flatbuffer (.tflite)", ("*.tflite",)),),
        {"edge": Versions(("1.15",))},
        versioned=True,
        tested=frozenset({"ARM V8", "Nvidia", "TI TDA4VM", "Qualcomm QCS603", "X86_Windows", "i.MX 8M Plus"}),
    ),
    Framework(
        "DARKNET",
        "Darknet",
        "NCHW",
        (Part("one configuration (.cfg)", ("*.cfg",)), Part("one .weights file", ("*.weights",))),
        {"edge": Versions(())},
        tested=_USUAL,
        models="classification, detection without YOLO",
    ),
    Framework(
        "SKLEARN",
        "scikit-learn",
        refusal="the API lists SKLEARN, but no page of Neo says for which target or in what form: export it to ONNX",
    ),
)

FRAMEWORKS: Final[Mapping[str, Framework]] = MappingProxyType({entry.name: entry for entry in _FRAMEWORKS})
