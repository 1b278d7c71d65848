"""InputConfig.DataInputConfig: the names and shapes of a model's inputs, in Neo's own words.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_InputConfig.html
https://docs.aws.amazon.com/sagemaker/latest/dg/neo-compilation-preparing-model.html
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from reefloop.compilation.neo import FRAMEWORKS, Layout
from reefloop.compilation.targets import Target, TargetInvalid

LONGEST: Final = 16_384
_EXAMPLES: Final = {"NCHW": '{"data":[1,3,224,224]}', "NHWC": '{"input":[1,224,224,3]}'}
# How many channels an image has: grey, colours, colours with alpha.
_CHANNELS: Final = (1, 3, 4)
_SHOWN: Final = 80
# Lengths are 32-bit numbers in what Neo is made of: https://github.com/apache/tvm/pull/4031
_LONGEST_SIDE: Final = 2**31 - 1
_RANGE: Final = re.compile(r"([0-9]{1,9})\.\.([0-9]{1,9})")
_FIELDS_OF_CORE_ML: Final = ("shape", "default_shape", "type", "bias", "scale")


def check_input(framework: str, target: Target, data_input_config: str) -> None:
    """Whether the text is what Neo takes for models of `framework` on this target; "" is none at all.

    A layout is only refused where the shape shows the other one: four dimensions whose channels stand in its place.

    Raises:
        TargetInvalid: it is not; the message shows one that is.
    """
    layout = FRAMEWORKS[framework].layout
    if not data_input_config:
        # PyTorch 2.0 and later keep the shapes in the model, which Neo reads for instances only.
        if layout and not (framework == "PYTORCH" and target.hardware.family == "cloud"):
            raise TargetInvalid(f"{framework} models need the names and shapes of their inputs: {_EXAMPLES[layout]}")
        return
    if len(data_input_config) > LONGEST:
        raise TargetInvalid(f"the data input has {len(data_input_config)} characters; Neo takes {LONGEST} at most")
    for name, shapes in _inputs(framework, target, data_input_config):
        for shape in shapes:
            _check_shape(name, shape, framework, layout)


def _inputs(framework: str, target: Target, text: str) -> Iterator[tuple[str, list[Any]]]:
    """Every input with its shapes: one, or with Core ML all that it may have."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        example = _EXAMPLES[FRAMEWORKS[framework].layout or "NCHW"]
        raise TargetInvalid(f"the data input {_shown(text)} is not JSON: {example}, with double quotes") from None
    if isinstance(value, list) and framework == "PYTORCH":
        value = {f"input{number}": entry for number, entry in enumerate(value)}
    if not isinstance(value, dict) or not value:
        example = _EXAMPLES[FRAMEWORKS[framework].layout or "NCHW"]
        raise TargetInvalid(f"the data input {_shown(text)} must name the inputs, each with its shape: {example}")
    for name, entry in value.items():
        if isinstance(entry, dict):
            if target.device != "coreml":
                raise TargetInvalid(
                    f"input {_shown(name)} has more than a shape, which only Core ML takes: give the shape alone"
                )
            yield name, _shapes_of_core_ml(name, entry)
        else:
            yield name, [entry]


def _shapes_of_core_ml(name: str, entry: dict[str, Any]) -> list[Any]:
    if unknown := [field for field in entry if field not in _FIELDS_OF_CORE_ML]:
        raise TargetInvalid(
            f"input {_shown(name)} has {_shown(unknown[0])}; Core ML takes {', '.join(_FIELDS_OF_CORE_ML)}"
        )
    if "shape" not in entry:
        raise TargetInvalid(f"input {_shown(name)} has no shape")
    if entry.get("type", "Tensor") not in ("Image", "Tensor"):
        raise TargetInvalid(f"input {_shown(name)} has type {_shown(entry['type'])}; Core ML takes Image and Tensor")
    if entry.get("type") == "Image" and not {"bias", "scale"} <= entry.keys():
        raise TargetInvalid(f"input {_shown(name)} is an Image, which needs bias and scale beside its shape")
    shapes = entry["shape"] if _are_many(entry["shape"]) else [entry["shape"]]
    # A range of lengths ("1..10") is Core ML's own: what else is wrong shows with its lower end.
    shapes = [[_lower_end(length) for length in shape] if isinstance(shape, list) else shape for shape in shapes]
    return [*shapes, *([entry["default_shape"]] if "default_shape" in entry else [])]


def _are_many(shape: Any) -> bool:
    return isinstance(shape, list) and any(isinstance(entry, list) for entry in shape)


def _lower_end(length: Any) -> Any:
    if isinstance(length, str) and (ends := _RANGE.fullmatch(length)):
        low, high = map(int, ends.groups())
        return low if low <= high else length
    return length


def _check_shape(name: str, shape: Any, framework: str, layout: Layout) -> None:
    if not isinstance(shape, list) or not shape:
        raise TargetInvalid(
            f"input {_shown(name)} has {_shown(shape)} for its shape; it must have a list of lengths: [1,3,224,224]"
        )
    for length in shape:
        if not isinstance(length, int) or isinstance(length, bool) or not 1 <= length <= _LONGEST_SIDE:
            raise TargetInvalid(
                f"input {_shown(name)} has shape {_shown(shape)}: Neo compiles static shapes, so every length must be "
                f"a whole number from 1 to {_LONGEST_SIDE}"
            )
    if layout and len(shape) == 4:
        place, other = (1, 3) if layout == "NCHW" else (3, 1)
        if shape[place] not in _CHANNELS and shape[other] in _CHANNELS:
            raise TargetInvalid(
                f"input {_shown(name)} has shape {_shown(shape)}, and {framework} wants {layout}: {_EXAMPLES[layout]}"
            )


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
