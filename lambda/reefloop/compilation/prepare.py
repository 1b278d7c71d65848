"""Prepare: one item of the compilation Map per target, ready to send."""

import json
from dataclasses import dataclass

from reefloop import contracts, environment, model_card, storage
from reefloop.compilation.targets import TARGETS, Target
from reefloop.model_card import ModelCard
from reefloop.payloads import CompilationInput, CompilationTarget


class TargetUnknown(Exception):
    """A target is configured that the table does not have."""


@dataclass(frozen=True)
class Environment:
    data_bucket: str
    targets: tuple[str, ...]


def handler(event: CompilationInput, _context: object) -> list[CompilationTarget]:
    """CreateCompilationJob's InputConfig and OutputConfig for every configured target.

    Raises:
        TargetUnknown, ObjectMissing, ModelInvalid: the message says what to change.
    """
    env = environment.read(Environment)
    version = event["model_version"]
    if unknown := [name for name in env.targets if name not in TARGETS]:
        raise TargetUnknown(f"target {unknown[0]!r} is not one of {', '.join(TARGETS)}: correct compilation.targets")
    key = contracts.model_key(version, "model.json")
    value = storage.read_json(env.data_bucket, key)
    card = model_card.parse(value, source=storage.uri(env.data_bucket, key), model_version=version)
    return [
        CompilationTarget(
            name=name,
            input_config=_input_config(env.data_bucket, version, card),
            output_config=_output_config(env.data_bucket, version, TARGETS[name]),
        )
        for name in env.targets
    ]


def _input_config(bucket: str, version: str, card: ModelCard) -> dict[str, object]:
    # No FrameworkVersion: Neo takes one for MXNet, PyTorch, TensorFlow and TFLite only.
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_InputConfig.html
    return {
        "S3Uri": storage.uri(bucket, contracts.model_key(version, "source/model.tar.gz")),
        "DataInputConfig": json.dumps({card.input_name: card.input_shape}),
        "Framework": "ONNX",
    }


def _output_config(bucket: str, version: str, target: Target) -> dict[str, object]:
    location = storage.uri(bucket, contracts.model_key(version, f"compiled/{target.name}"))
    config: dict[str, object] = {"S3OutputLocation": location}
    if target.device:
        config["TargetDevice"] = target.device
    else:
        config["TargetPlatform"] = dict(target.platform)
    if target.compiler_options:
        config["CompilerOptions"] = json.dumps(dict(target.compiler_options))
    return config
