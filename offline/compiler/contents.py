"""What the tarball of a request has to hold. A file that belongs to nothing fails the job, as it does with Neo."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from offline.compiler.errors import CompileError, bad_input
from offline.compiler.facts import FRAMEWORKS
from offline.compiler.parts import PARTS, SELECT
from offline.compiler.request import Request


def find(request: Request, folder: Path, files: Sequence[Path]) -> list[Path]:
    """The model's files, one for each of the framework's parts and in their order.

    Args:
        files: all that the tarball holds; `folder` is where it was unpacked.

    Raises:
        CompileError: one is missing, there are too many, or one is not what it is called.
    """
    rest = [file for file in files if file not in set(_beside(request, folder, files))]
    names = str([file.relative_to(folder).as_posix() for file in rest])
    found = []
    for part in PARTS[request.framework]:
        matching = [file for file in rest if file.name.endswith(part.endings)]
        if len(matching) != 1:
            sentence = part.several if matching else part.none
            raise bad_input(sentence.replace("{files}", names))
        found += matching
    if extra := [file.relative_to(folder).as_posix() for file in rest if file not in found]:
        sentence = PARTS[request.framework][0].several.replace("{files}", names)
        raise bad_input(f"{sentence} Found beside: {', '.join(extra)}")
    for part, file in zip(PARTS[request.framework], found, strict=True):
        if fault := part.fault(file):
            raise cannot_load(request.framework, f"{file.name}: {fault}")
    return found


def cannot_load(framework: str, reason: Any) -> CompileError:
    """The error of a model that its own framework cannot read."""
    return bad_input(f"Framework cannot load {FRAMEWORKS[framework].name} model. {SELECT} {reason}")


def _beside(request: Request, folder: Path, files: Sequence[Path]) -> Iterable[Path]:
    """What the target or the framework wants beside the model's own files."""
    if request.target.startswith("amba_"):
        yield from _calibration(folder, files)
    if labels := request.options.get("class_labels"):
        if (named := folder / str(labels)) not in files:
            raise bad_input(f"class_labels file {labels!r} of CompilerOptions is not in the input tar.gz file")
        yield named
    if request.framework == "TENSORFLOW":
        if any(file.name == "checkpoint" for file in files):
            raise bad_input(f"TF Checkpoints are not supported. {SELECT}")
        yield from (file for file in files if file.parent.name == "variables")


def _calibration(folder: Path, files: Sequence[Path]) -> Iterable[Path]:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/neo-troubleshooting-target-devices-ambarella.html"""
    configs = [file for file in files if file.name.endswith("config.json")]
    if len(configs) != 1:
        raise bad_input(f"Ambarella targets need exactly one *config.json file in the tarball, found {len(configs)}")
    try:
        inputs = json.loads(configs[0].read_bytes())["inputs"]
        folders = [folder / str(one["filepath"]).strip("/") for one in inputs.values()]
        shapes = [one["shape"] for one in inputs.values()]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise bad_input(
            f"{configs[0].name} of Ambarella is not right: it must have the shape and the filepath of every input"
        ) from None
    images = [file for file in files if any(one in file.parents for one in folders)]
    if not images or not shapes:
        raise bad_input(f"{configs[0].name} of Ambarella names no folder with calibration images in the tar.gz file")
    return [*configs, *images]
