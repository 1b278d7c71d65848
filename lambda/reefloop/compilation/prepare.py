"""Prepare: one item of the compilation Map per target, ready to send, or with the reason why nothing is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reefloop import contracts, environment, model_card, storage
from reefloop.compilation import failures, requests
from reefloop.compilation.requests import Refused
from reefloop.compilation.targets import TARGETS, Target
from reefloop.model_card import ModelCard
from reefloop.payloads import CompilationTarget, OwnModel, PrepareInput, TargetRecord

_HOST: Final = "host"


class TargetUnknown(Exception):
    """A target is named that neither the table nor the deployment has."""


@dataclass(frozen=True)
class Environment:
    """`instance_type` is that of the processing jobs."""

    data_bucket: str
    instance_type: str


def handler(event: PrepareInput, _context: object) -> list[CompilationTarget]:
    """What becomes of every target that is named, or of every one that is configured.

    What is wrong with one target is that target's refusal, and none of the others'.

    Raises:
        TargetUnknown, ObjectMissing, ModelInvalid: the message says what to change.
    """
    env = environment.read(Environment)
    wanted, version = event["input"], event["input"]["model_version"]
    targets = _named(wanted["targets"], event["own_targets"]) if "targets" in wanted else event["targets"]
    model = wanted.get("model") or _card(env.data_bucket, version)
    return [_item(env, version, Target.of(record), model) for record in targets]


def _named(names: Sequence[str], own: Sequence[TargetRecord]) -> list[TargetRecord]:
    known = {name: target.record() for name, target in TARGETS.items()} | {one["name"]: one for one in own}
    if unknown := [name for name in names if name not in known]:
        raise TargetUnknown(f"target {unknown[0]!r} is not one of {', '.join(known)}: correct the execution's input")
    return [known[name] for name in dict.fromkeys(names)]


def _card(bucket: str, version: str) -> ModelCard:
    key = contracts.model_key(version, "model.json")
    value = storage.read_json(bucket, key)
    return model_card.parse(value, source=storage.uri(bucket, key), model_version=version)


def _item(env: Environment, version: str, target: Target, model: ModelCard | OwnModel) -> CompilationTarget:
    record = target.record()
    measured_on = env.instance_type if record["measured_on"] == _HOST else record["measured_on"]
    item = CompilationTarget(
        name=target.name,
        record=record,
        delivery=target.delivery,
        refusal="",
        input_config={},
        output_config=requests.output_config(env.data_bucket, version, target),
        # Only the loop's own models come with images and answers to measure them by.
        instance_type=measured_on if isinstance(model, ModelCard) else "",
    )
    try:
        if isinstance(model, ModelCard):
            item["input_config"] = requests.of_trained(env.data_bucket, version, target, model)
        else:
            item["input_config"] = requests.of_own(target, model)
    except Refused as error:
        # It may quote a tarball, and the items of all targets share a payload.
        item["refusal"] = failures.cut(str(error))
    return item
