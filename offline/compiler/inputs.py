"""DataInputConfig: the model's inputs, in the form and the layout that its framework asks for.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_InputConfig.html
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from offline.compiler.errors import bad_input
from offline.compiler.facts import FRAMEWORKS

Shapes = Mapping[str, tuple[int, ...]]
_CHANNELS: Final = (1, 3, 4)
_ENDLESS: Final = 2**31
# Numbers in one input, 256 MiB of them: a graph of more is not looked at, since that takes many times the memory.
_MOST: Final = 2**26


def read_inputs(text: str, framework: str, *, core_ml: bool = False) -> Shapes | None:
    """The shape of each input, in the order given; None where the model is to tell.

    A flexible shape of Core ML is read as its default, without one as the first or smallest that it allows.

    Raises:
        CompileError: not the JSON that the framework asks for, not static, or in the other layout.
    """
    if framework == "XGBOOST":
        return {}  # "An input data name and shape are not needed"
    if not text:
        return None
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise bad_input(f"Cannot load DataInputConfig. Incorrect json format. {error}: {_shown(text)}") from None
    if isinstance(given, list) and framework == "PYTORCH":
        given = {f"input{number}": shape for number, shape in enumerate(given)}
    if not isinstance(given, dict) or not given:
        raise bad_input(
            f"DataInputConfig is not dictionary{' or list' if framework == 'PYTORCH' else ''}: {_shown(text)}"
        )
    shapes = {name: _shape(name, shape, core_ml=core_ml) for name, shape in given.items()}
    for name, shape in shapes.items():
        _check_layout(name, shape, framework)
    return shapes


def _shape(name: str, given: Any, *, core_ml: bool) -> tuple[int, ...]:
    shape = _core_ml(name, given) if core_ml and isinstance(given, dict) else given
    if not isinstance(shape, list) or not all(type(size) is int and 0 < size < _ENDLESS for size in shape) or not shape:
        raise bad_input(
            f"Input {name} has the shape {_shown(shape)} in DataInputConfig; it must be a list of sizes above 0"
        )
    if math.prod(shape) > _MOST:
        raise bad_input(
            f"Input {name} has the shape {_shown(shape)} in DataInputConfig, {math.prod(shape)} numbers; this account "
            f"compiles inputs of {_MOST} at most"
        )
    return tuple(shape)


def _shown(value: object) -> str:
    """The beginning of what somebody gave: a reason has 1,024 characters for everything."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _core_ml(name: str, given: Mapping[str, Any]) -> Any:
    if given.get("type", "Tensor") not in ("Image", "Tensor"):
        raise bad_input(f"Input {name} has the type {given['type']!r} in DataInputConfig; it must be Image or Tensor")
    if given.get("type") == "Image" and not {"bias", "scale"} <= given.keys():
        raise bad_input(f"Input {name} of type Image needs bias and scale in DataInputConfig")
    shape = given.get("default_shape", given.get("shape"))
    if isinstance(shape, list) and shape and isinstance(shape[0], list):
        shape = shape[0]  # one of several that are listed
    if isinstance(shape, list):
        shape = [_lower_end(size) if isinstance(size, str) else size for size in shape]
    return shape


def _lower_end(size: str) -> Any:
    """1 of "1..10"."""
    low, dots, high = size.partition("..")
    return int(low) if dots and low.isdecimal() and high.isdecimal() else size


def _check_layout(name: str, shape: tuple[int, ...], framework: str) -> None:
    """An image whose channels are clearly at the other end is in the other layout; anything else may be right."""
    layout = FRAMEWORKS[framework].layout
    if len(shape) != 4 or not layout:
        return
    first, last = shape[1] in _CHANNELS, shape[3] in _CHANNELS
    if (layout == "NCHW" and last and not first) or (layout == "NHWC" and first and not last):
        batch, *rest = shape
        turned = (batch, rest[2], *rest[:2]) if layout == "NCHW" else (batch, *rest[1:], rest[0])
        raise bad_input(
            f"Input {name} has wrong shape in Input Shape dictionary. Input shapes should be provided in {layout} "
            f"format. For example, ({','.join(map(str, turned))})"
        )
