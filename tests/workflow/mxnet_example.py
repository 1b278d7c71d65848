"""The example of docs/compilation.md, an MXNet model for Android phones: as documented, with a network that is tiny."""

import io
import json
import re
import shlex
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime

from console.cli import main
from tests.any import tar_gz
from tests.workflow.deployed import Deployed

_ROOT = Path(__file__).parents[2]
_MODEL = _ROOT / "tests" / "offline" / "mxnet_model"
_EXPECTED = np.load(_MODEL / "expected.npz")
"""An image, and the probabilities that MXNet gave for it."""


def compile_it(folder: Path) -> int:
    """Run the page's command with the tiny network, in the account that the environment leads to; its exit code."""
    model = folder / "model.tar.gz"
    model.write_bytes(tar_gz({path.name: path.read_bytes() for path in _MODEL.glob("tiny-*")}))
    shape = json.dumps({"data": _EXPECTED["data"].shape})
    return main(_documented(stage="laptop", model=str(model), input=shape))


def _documented(**changes: str) -> list[str]:
    """The words of the command after `python -m console`, with other values for some options."""
    page = (_ROOT / "docs" / "compilation.md").read_text()
    section = page[page.index("## An MXNet model on Android phones") :]
    (command,) = re.findall(r"^python -m console (compile .*)$", section, re.MULTILINE)
    words = shlex.split(command)
    for option, value in changes.items():
        words[words.index(f"--{option}") + 1] = value
    return words


def packages_told(said: str) -> dict[str, str]:
    """The packages that the command tells of: target to key."""
    return dict(re.findall(r"^([\w-]+): s3://[^/]+/(\S+)$", said, re.MULTILINE))


def check_answers(deployed: Deployed, key: str) -> None:
    """The model in a package gives what MXNet gave."""
    with zipfile.ZipFile(io.BytesIO(deployed.read(key, bucket=deployed.project.artifact_bucket))) as package:
        assert json.loads(package.read("package.json"))["outcome"] == "compiled"
        (compiled,) = (name for name in package.namelist() if name.endswith(".onnx"))
        session = onnxruntime.InferenceSession(package.read(compiled), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"data": _EXPECTED["data"]})
    np.testing.assert_allclose(found, _EXPECTED["probabilities"], atol=1e-5)
