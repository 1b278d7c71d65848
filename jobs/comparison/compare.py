"""The verb `compare`: whether what a compiler wrote still is the model that it was given, and what it costs.

The compiled model runs in a process of its own: one that crashes or hangs is a finding, and the job goes on to say so.
"""

import argparse
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any, Final

from jobs.comparison import isolated, measure
from jobs.comparison.measure import Split
from jobs.comparison.runtimes import Compiled, NoRuntime, Unusable
from jobs.errors import JobError
from jobs.options import Options
from jobs.paths import Root, read_json, write_json

SILENCE_SECONDS: Final = 300.0
"""The longest that loading the model, or a block of images, may take."""


def run(root: Root, arguments: list[str]) -> None:
    """Write comparison.json: what payloads.Parity says, and besides

    package         SHA-256 of the package that was looked at
    loads           whether the compiled model loads and answers; without it all figures but the sizes are missing
    reason          why not
    runtime         what runs it; "" when nothing here can, which says nothing about the model

    Raises:
        JobError: a missing input, or a package whose own model is broken; nothing about the compiled one.
    """
    options = _options(arguments)
    given = _given(root)
    package = _unpacked(given, root.scratch("package"))
    compiled = package / "compiled"
    found = {
        "package": _sha256(given),
        "instance_type": options.instance_type,
        "compiled_bytes": sum(path.stat().st_size for path in compiled.rglob("*") if path.is_file()),
        "source_bytes": (package / "model.onnx").stat().st_size,
        **_findings(package, _split(root, options.label_attribute)),
    }
    write_json(root.processing_output("comparison") / "comparison.json", found)
    print(json.dumps(found, indent=1), flush=True)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = Options()
    parser.add_argument("--instance-type", required=True)
    parser.add_argument("--label-attribute", default="species")
    return parser.parse_args(arguments)


def _given(root: Root) -> Path:
    """The one package among the inputs."""
    folder = root.processing_input("package")
    packages = sorted(folder.rglob("*.zip"))
    if len(packages) != 1:
        names = ", ".join(path.name for path in packages) or "none"
        raise JobError(f"{folder} must hold one package, a ZIP; it holds {names}")
    return packages[0]


def _unpacked(package: Path, folder: Path) -> Path:
    try:
        with zipfile.ZipFile(package) as archive:
            archive.extractall(folder)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise JobError(f"the package {package.name} cannot be unpacked: {error}") from None
    if not (folder / "model.onnx").is_file():
        raise JobError(f"the package {package.name} has no model.onnx, which the compiled model is compared with")
    return folder


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _split(root: Root, attribute: str) -> Split | None:
    """The test split, where the job was given one."""
    dataset, images = root.optional_input("dataset"), root.optional_input("images")
    return Split(dataset / "test.manifest", images, attribute) if dataset and images else None


def _findings(package: Path, split: Split | None) -> dict[str, Any]:
    try:
        return _answers(package, _compiled(package), split)
    except NoRuntime as error:
        return _not(f"nothing here runs the compiled model: {error}", runtime="")


def _answers(package: Path, compiled: Compiled, split: Split | None) -> dict[str, Any]:
    try:
        figures = isolated.run(measure.compared, package, compiled, split, silence_seconds=SILENCE_SECONDS)
    except Unusable as error:
        return _not(str(error), runtime=compiled.runtime)
    except isolated.Ended as error:
        return _not(f"the compiled model took its process down: {error}", runtime=compiled.runtime)
    return {"loads": True, "reason": "", **figures}


def _compiled(package: Path) -> Compiled:
    card = read_json(package / "model.json")
    try:
        name, outputs = card["input"]["name"], len(card["labels"])
    except (KeyError, TypeError) as error:
        raise JobError(f"the package's model.json has no usable {error}: train the model again") from None
    return Compiled.find(package / "compiled", input_name=name, outputs=outputs)


def _not(reason: str, *, runtime: str) -> dict[str, Any]:
    return {"loads": False, "reason": reason, "runtime": runtime}
