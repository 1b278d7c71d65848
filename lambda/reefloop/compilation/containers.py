"""Neo's inference containers: what each needs beside the compiled model, and what it can be asked.

https://docs.aws.amazon.com/sagemaker/latest/dg/neo-deployment-hosting-services-container-images.html lists them,
https://docs.aws.amazon.com/sagemaker/latest/dg/neo-deployment-hosting-services-prerequisites.html what they need.
"""

import io
import json
import math
import re
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from reefloop.payloads import CompilationTarget

SCRIPT: Final = (Path(__file__).parent / "inference.py.txt").read_bytes()
SCRIPT_NAME: Final = "inference.py"
# https://docs.aws.amazon.com/sagemaker/latest/dg/neo-requests-boto3.html
PICTURE: Final = "application/x-image"


@dataclass(frozen=True)
class Container:
    """One kind of container.

    `script` is where it looks for inference.py: in a tarball of its own, in the folder code/ of the model's, or
    nowhere. `question` is how it takes arrays; "" where nobody knows what to ask.
    """

    script: Literal["apart", "within", ""]
    question: Literal["application/x-npz", "application/json", ""]


# By the name of the repository. The runtime's own containers read the script from S3 when they start:
# https://github.com/neo-ai/neo-ai-dlr/blob/main/container/neo_template_mxnet_byom.py
_RUNTIME: Final = Container("apart", "application/x-npz")
_CONTAINERS: Final[Mapping[str, Container]] = MappingProxyType(
    {
        "sagemaker-inference-pytorch": Container("within", "application/x-npz"),
        "sagemaker-inference-mxnet": Container("within", "application/x-npz"),
        "sagemaker-inference-tensorflow": Container("", "application/json"),
        # Takes a row of features, and no request of the API says how many a model has.
        "xgboost-neo": Container("", ""),
    }
)
_ENVIRONMENT: Final[Mapping[str, str]] = MappingProxyType(
    {"SAGEMAKER_PROGRAM": SCRIPT_NAME, "SAGEMAKER_CONTAINER_LOG_LEVEL": "20", "MMS_DEFAULT_RESPONSE_TIMEOUT": "500"}
)
_WITHIN: Final = "/opt/ml/model/code"


def of(image: str) -> Container:
    """The kind of a container by its image: <registry>/<repository>:<tag>."""
    return _CONTAINERS.get(re.split("[:@]", image.rpartition("/")[2])[0], _RUNTIME)


def environment(image: str, *, script_uri: str, inputs: Mapping[str, Sequence[int]], region: str) -> dict[str, str]:
    """The variables that a container wants.

    https://docs.aws.amazon.com/sagemaker/latest/dg/neo-deployment-hosting-services-boto3.html
    """
    container = of(image)
    if not container.script:
        return {}
    folder = script_uri if container.script == "apart" else _WITHIN
    names = ",".join(inputs)
    return {**_ENVIRONMENT, "SAGEMAKER_SUBMIT_DIRECTORY": folder, "SAGEMAKER_REGION": region, "INPUT_NAMES": names}


def inputs(target: CompilationTarget) -> dict[str, list[int]]:
    """The shape of every input by its name, as DataInputConfig has them; those of a list are named as PyTorch's."""
    shapes: Any = json.loads(str(target["input_config"].get("DataInputConfig") or "{}"))
    return {f"input{number}": shape for number, shape in enumerate(shapes)} if isinstance(shapes, list) else shapes


def zeros(image: str, shapes: Mapping[str, Sequence[int]]) -> bytes:
    """Inputs of nothing but zeros, as the container takes arrays.

    TensorFlow's takes one as rows and several as columns: https://www.tensorflow.org/tfx/serving/api_rest
    """
    if of(image).question == "application/json":
        columns = {name: _nested(shape) for name, shape in shapes.items()}
        rows = next(iter(columns.values()), [0.0])
        return json.dumps({"inputs": columns} if len(columns) > 1 else {"instances": rows}).encode()
    packed = io.BytesIO()
    # Deflated, since a request ends at 6 MiB: https://docs.aws.amazon.com/general/latest/gr/sagemaker.html
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, shape in shapes.items():
            archive.writestr(f"{name}.npy", _npy_header(shape) + bytes(4 * math.prod(shape)))
    return packed.getvalue()


def _npy_header(shape: Sequence[int]) -> bytes:
    """https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html"""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def _nested(shape: Sequence[int]) -> Any:
    return [_nested(shape[1:]) for _ in range(shape[0])] if shape else 0.0
