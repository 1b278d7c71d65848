"""The container that serves a model compiled for an instance, as DescribeCompilationJob names it.

https://docs.aws.amazon.com/sagemaker/latest/dg/neo-deployment-hosting-services-container-images.html
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_REPOSITORIES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "MXNET": ("sagemaker-inference-mxnet", "1.8.0"),
        "ONNX": ("sagemaker-neo-onnx", "1.5.0"),
        "KERAS": ("sagemaker-neo-keras", "2.2.4"),
        "PYTORCH": ("sagemaker-inference-pytorch", "1.8"),
        "TENSORFLOW": ("sagemaker-inference-tensorflow", "1.15.3"),
    }
)
_INFERENTIA: Final[Mapping[str, str]] = MappingProxyType(
    {"MXNET": "mxnet:1.5.1", "PYTORCH": "pytorch:1.5.1", "TENSORFLOW": "tensorflow:1.15.0"}
)
_NEURONX: Final[Mapping[str, str]] = MappingProxyType(
    {
        "PYTORCH": "pytorch-inference-neuronx:1.13.1-neuronx-py38-sdk2.10.0-ubuntu20.04",
        "TENSORFLOW": "tensorflow-inference-neuronx:2.10.1-neuronx-py38-sdk2.10.0-ubuntu20.04",
    }
)
_GPUS: Final = ("ml_p2", "ml_p3", "ml_g4dn")
_CONTAINERS: Final = "763104351884"
"""The account of AWS' containers for deep learning."""
_ACCOUNTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "us-east-1": "785573368785",
        "us-east-2": "007439368137",
        "us-west-1": "710691900526",
        "us-west-2": "301217895009",
        "eu-west-1": "802834080501",
        "eu-west-2": "205493899709",
        "eu-west-3": "254080097072",
        "eu-north-1": "601324751636",
        "eu-south-1": "966458181534",
        "eu-central-1": "746233611703",
        "ap-east-1": "110948597952",
        "ap-south-1": "763008648453",
        "ap-northeast-1": "941853720454",
        "ap-northeast-2": "151534178276",
        "ap-northeast-3": "925152966179",
        "ap-southeast-1": "324986816169",
        "ap-southeast-2": "355873309152",
        "sa-east-1": "756306329178",
        "ca-central-1": "464438896020",
        "me-south-1": "836785723513",
        "af-south-1": "774647643957",
        "il-central-1": "275950707576",
    }
)


def inference_image(framework: str, version: str, target: str, region: str) -> str:
    """The image's URI; "" for what no instance runs, and where the page names no account."""
    if not target.startswith("ml_") or region not in _ACCOUNTS:
        return ""
    registry = f"{_ACCOUNTS[region]}.dkr.ecr.{region}.amazonaws.com"
    if framework == "XGBOOST":
        return f"{registry}/xgboost-neo:latest"
    if target in ("ml_inf2", "ml_trn1"):
        return f"{_CONTAINERS}.dkr.ecr.{region}.amazonaws.com/{_NEURONX[framework]}"
    if target == "ml_inf1":
        return f"{registry}/sagemaker-neo-{_INFERENTIA[framework]}-inf-py3"
    repository, default = _REPOSITORIES[framework]
    return f"{registry}/{repository}:{version or default}-{'gpu' if target in _GPUS else 'cpu'}-py3"
