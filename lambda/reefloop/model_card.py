"""model.json: what a trained model says about itself, as far as the functions need it."""

from dataclasses import dataclass
from typing import Any, Final

from reefloop.registry import Model

# batch, channels (RGB), height, width: one static input is all that every compiler target takes.
_DIMENSIONS: Final = 4

_Kind = type | tuple[type, ...]
_KINDS: Final[dict[_Kind, str]] = {
    str: "text",
    int: "a whole number",
    (int, float): "a number",
    bool: "true or false",
    list: "a list",
}


class ModelInvalid(Exception):
    """A model package is not what training must write; the message names the file, the value and what is allowed."""


@dataclass(frozen=True)
class ModelCard:
    model: Model
    input_name: str
    input_shape: tuple[int, ...]


def parse(value: Any, *, source: str, model_version: str) -> ModelCard:
    """The card in a parsed model.json.

    Args:
        source: where it was read, for messages.
        model_version: the version that it must be about.

    Raises:
        ModelInvalid: naming the first member that is missing or wrong.
    """
    version = member(value, "model_version", str, source=source)
    if version != model_version:
        raise ModelInvalid(f"{source} is about model {version!r} and must be about {model_version!r}")
    accuracy = member(value, "metrics.test_accuracy", (int, float), source=source)
    objects = member(value, "metrics.test_objects", int, source=source)
    if not 0 <= accuracy <= 1 or objects < 1:
        raise ModelInvalid(
            f"{source}: test_accuracy is {accuracy} on {objects} object(s) and must be 0 to 1 on at least one: "
            "label more images, so that every split of the dataset has some"
        )
    shape = member(value, "input.shape", list, source=source)
    if len(shape) != _DIMENSIONS or not all(type(size) is int and size > 0 for size in shape):
        raise ModelInvalid(
            f"{source}: input.shape is {shape} and must be four static sizes, for example [1, 3, 64, 64]"
        )
    return ModelCard(
        model=Model(version, member(value, "dataset_version", str, source=source), float(accuracy), objects),
        input_name=member(value, "input.name", str, source=source),
        input_shape=tuple(shape),
    )


def member(value: Any, path: str, kind: _Kind, *, source: str) -> Any:
    """What a parsed document holds under a path of names with dots between them.

    Raises:
        ModelInvalid: it is missing or of another kind.
    """
    found = value
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        raise ModelInvalid(f"{source}: {path} is {found!r} and must be {_KINDS[kind]}: train the model again")
    return found
