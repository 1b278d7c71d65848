"""The public pages that the facts about SageMaker Neo were read on."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_GUIDE: Final = "https://docs.aws.amazon.com/sagemaker/latest/dg/"
_API: Final = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/"

EDGE_FRAMEWORKS: Final = f"{_GUIDE}neo-supported-devices-edge-frameworks.html"
EDGE_DEVICES: Final = f"{_GUIDE}neo-supported-devices-edge-devices.html"
TESTED_MODELS: Final = f"{_GUIDE}neo-supported-edge-tested-models.html"
CLOUD: Final = f"{_GUIDE}neo-supported-cloud.html"
PREPARING: Final = f"{_GUIDE}neo-compilation-preparing-model.html"
AMBARELLA: Final = f"{_GUIDE}neo-troubleshooting-target-devices-ambarella.html"
INPUT_CONFIG: Final = f"{_API}API_InputConfig.html"
OUTPUT_CONFIG: Final = f"{_API}API_OutputConfig.html"
# The service's own message, quoted by a user: which devices take a FrameworkVersion. Its list is cut after "sbe_".
VERSION_MESSAGE: Final = "https://github.com/aws/amazon-sagemaker-examples/issues/3239"
# Compiler options that no page names and AWS Labs' own application sends.
DEFECT_DETECTION: Final = "https://github.com/awslabs/DefectDetectionApplication"
ELASTIC_INFERENCE: Final = "https://docs.aws.amazon.com/cli/latest/reference/elastic-inference"
P2_RETIRED: Final = "https://github.com/aws/deep-learning-containers/pull/3950"
P3_RETIRED: Final = "https://github.com/dstackai/gpuhunt/pull/233"
DLR_HEXAGON: Final = "https://github.com/neo-ai/neo-ai-dlr/pull/161"

TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        EDGE_FRAMEWORKS: "frameworks for devices",
        EDGE_DEVICES: "devices",
        TESTED_MODELS: "tested models",
        CLOUD: "instances",
        PREPARING: "preparing a model",
        AMBARELLA: "Ambarella",
        INPUT_CONFIG: "InputConfig",
        OUTPUT_CONFIG: "OutputConfig",
        VERSION_MESSAGE: "the service's message",
        DEFECT_DETECTION: "Defect Detection Application",
        ELASTIC_INFERENCE: "Elastic Inference",
        P2_RETIRED: "retirement of P2",
        P3_RETIRED: "no offers of P3",
        DLR_HEXAGON: "DLR's Hexagon backend",
    }
)
"""What a link to each of them says."""
