"""What CreateCompilationJob is asked for one target, after all is checked that can be without a job."""

import json

from reefloop import contracts, storage
from reefloop.archive import ArchiveInvalid
from reefloop.compilation import rules, sources
from reefloop.compilation.sources import SourceInvalid
from reefloop.compilation.targets import Target
from reefloop.model_card import ModelCard
from reefloop.payloads import OwnModel
from reefloop.storage import ObjectMissing

Config = dict[str, object]


class Refused(Exception):
    """No job is to be made for a target; the message begins with the kind of the failure (failures.py)."""


def of_trained(bucket: str, version: str, target: Target, card: ModelCard) -> Config:
    framework = rules.loop_framework(target)
    if not framework:
        reasons = "; ".join(rules.verdict(framework, target).reason for framework in rules.MADE_HERE)
        raise Refused(f"rule: {reasons}")
    data_input = _data_input(framework, target, card)
    _check(framework, target, data_input)
    try:
        uri = sources.of_model(bucket, version, framework=framework, target=target)
    except (SourceInvalid, ArchiveInvalid, ObjectMissing) as error:
        raise Refused(f"source: {error}") from None
    return {"S3Uri": uri, "DataInputConfig": data_input, "Framework": framework}


def _data_input(framework: str, target: Target, card: ModelCard) -> str:
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_InputConfig.html"""
    shape = list(card.input_shape)
    if target.device == "coreml":
        # Photos as the phone has them, bytes from 0 to 255; the model takes 0 to 1.
        return json.dumps([{"shape": shape, "type": "Image", "bias": [0, 0, 0], "scale": 1 / 255}])
    return json.dumps({card.input_name if framework == "ONNX" else "input0": shape})


def of_own(target: Target, model: OwnModel) -> Config:
    framework, version, data_input = model["framework"], model["framework_version"], model["data_input_config"]
    verdict = rules.verdict(framework, target, version=version)
    if not verdict.supported:
        raise Refused(f"rule: {verdict.reason} ({verdict.source})")
    _check(framework, target, data_input)
    try:
        sources.check(model["uri"], framework=framework, target=target)
    except (SourceInvalid, ArchiveInvalid, ObjectMissing) as error:
        raise Refused(f"source: {error}") from None
    given = {"DataInputConfig": data_input, "FrameworkVersion": rules.sent_version(framework, target, version)}
    return {"S3Uri": model["uri"], "Framework": framework, **{name: value for name, value in given.items() if value}}


def _check(framework: str, target: Target, data_input: str) -> None:
    """
    Raises:
        Refused: Neo would refuse the request.
    """
    try:
        rules.check_options(target)
    except rules.TargetInvalid as error:
        raise Refused(f"options: {error}") from None
    try:
        rules.check_input(framework, target, data_input)
    except rules.TargetInvalid as error:
        raise Refused(f"input: {error}") from None


def output_config(bucket: str, version: str, target: Target) -> Config:
    location = storage.uri(bucket, contracts.model_key(version, f"compiled/{target.name}"))
    config: Config = {"S3OutputLocation": location}
    if target.device:
        config["TargetDevice"] = target.device
    else:
        config["TargetPlatform"] = dict(target.platform)
    if target.compiler_options:
        config["CompilerOptions"] = json.dumps(dict(target.compiler_options))
    return config
