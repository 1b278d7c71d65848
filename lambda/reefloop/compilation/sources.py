"""What the compiler is given: one tarball per target, checked before a job is made.

Neo refuses a tarball that lacks a file or has one too many, after the job has been queued and started. What must be in
it: https://docs.aws.amazon.com/sagemaker/latest/dg/neo-compilation-preparing-model.html
"""

import json
import tempfile
from pathlib import Path
from typing import Final

from reefloop import archive, contracts, model_card, storage
from reefloop.compilation import contents, rules, tarballs
from reefloop.compilation.contents import SourceInvalid as SourceInvalid
from reefloop.compilation.neo import FRAMEWORKS
from reefloop.compilation.targets import Target

# What training leaves of a model, by the framework that reads it: tarballs of one file each.
_OF_FRAMEWORK: Final = {"ONNX": "source/model.tar.gz", "PYTORCH": "source/pytorch.tar.gz"}


def check(uri: str, *, framework: str, target: Target) -> None:
    """
    Raises:
        SourceInvalid, ArchiveInvalid, ObjectMissing: the compiler would refuse the tarball at `uri`.
    """
    contents.check(tarballs.names(uri), rules.contents(framework, target), f"{uri} for {framework} on {target.name}")


def of_model(bucket: str, model_version: str, *, framework: str, target: Target) -> str:
    """The URI of the trained model as this framework and target want it, built where the target needs more than it.

    `framework` is one of rules.MADE_HERE. What is built lies at models/<version>/source/<target>/model.tar.gz; the same
    model gives the same bytes.

    Raises:
        SourceInvalid, ObjectMissing: there is none, or none can be built; the message says what to do.
    """
    key = contracts.model_key(model_version, _OF_FRAMEWORK[framework])
    if not storage.find(bucket, key):
        raise SourceInvalid(
            f"model {model_version} has no {storage.uri(bucket, key)}, which {target.name} is compiled from: "
            "train the model again; a network that is too new for it gets none, as the log of its training says"
        )
    if rules.contents(framework, target) == FRAMEWORKS[framework].contents:
        return storage.uri(bucket, key)
    return _built(bucket, model_version, storage.uri(bucket, key), framework, target)


def _built(bucket: str, version: str, source_uri: str, framework: str, target: Target) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        members = {file: folder / "source" / file for file in tarballs.extract(source_uri, folder / "source")}
        package = folder / "package"
        package_uri = storage.uri(bucket, contracts.model_key(version, "model.tar.gz"))
        tarballs.extract(package_uri, package, wanted=lambda file: file.startswith("golden/") or file == "labels.json")
        if labels := target.compiler_options.get("class_labels"):
            members[str(labels)] = _labels(package / "labels.json", package_uri)
        if target.hardware.contents:
            members |= _calibration(bucket, version, package, framework)
        contents.check(
            sorted(members), rules.contents(framework, target), f"what is made of {package_uri} for {target.name}"
        )
        key = contracts.model_key(version, f"source/{target.name}/model.tar.gz")
        with storage.writing(bucket, key) as file:
            archive.write_tar(file, members)
        return storage.uri(bucket, key)


def _labels(path: Path, source: str) -> Path:
    """The classes as Core ML reads them: one in each line, in the order of the outputs."""
    labels = json.loads(path.read_bytes()) if path.exists() else []
    if not labels or any(not isinstance(label, str) or label.splitlines() != [label] for label in labels):
        raise SourceInvalid(f"{source} has the labels {labels!r} and must have some, each one line of text")
    text = path.with_name("labels.txt")
    text.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    return text


def _calibration(bucket: str, version: str, package: Path, framework: str) -> dict[str, Path]:
    """What Ambarella's toolchain quantizes with: the golden images, and how they become the model's input.

    The model takes RGB from 0 to 1 and normalises by itself, so of the bytes of an image nothing is subtracted, and
    they are divided by 255.

    https://docs.aws.amazon.com/sagemaker/latest/dg/neo-troubleshooting-target-devices-ambarella.html
    """
    key = contracts.model_key(version, "model.json")
    source = storage.uri(bucket, key)
    card = model_card.parse(storage.read_json(bucket, key), source=source, model_version=version)
    # PyTorch has no names for inputs; Neo numbers them.
    name = card.input_name if framework == "ONNX" else "input0"
    about = {
        "shape": ",".join(map(str, card.input_shape)),
        "filepath": "calib_data/",
        "colorformat": "RGB",
        "mean": 0.0,
        "scale": 255.0,
    }
    config = package / "amba_config.json"
    config.write_text(json.dumps({"inputs": {name: about}}, indent=2) + "\n")
    images = sorted(path for path in (package / "golden").glob("*") if path.suffix != ".json")
    return {config.name: config} | {f"calib_data/{path.name}": path for path in images}
