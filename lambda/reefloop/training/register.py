"""Register: enter an evaluated model in the registry, with what the evaluation measured and what the gate said."""

from dataclasses import dataclass
from typing import Final, TypedDict

from reefloop import contracts, environment, model_card, registry, storage
from reefloop.payloads import Approval, Verdict
from reefloop.training import evaluation

# By settings.training.approval: the status of a model that the gate let pass.
_PASSED: Final[dict[str, Approval]] = {"automatic": "Approved", "manual": "PendingManualApproval"}
# A person's word in the registry counts more than the gate's.
_DECIDED: Final = {"Approved": True, "Rejected": False}


@dataclass(frozen=True)
class Environment:
    data_bucket: str
    model_package_group: str
    image_uri: str
    approval: str


class Event(TypedDict):
    model_version: str


def handler(event: Event, _context: object) -> Verdict:
    """Register models/<version>/ as the evaluation left it; the gate has decided there already.

    Run again for the same version, it registers nothing twice: a model that is registered already keeps its approval,
    also one that a person has changed since.

    Raises:
        ModelInvalid, ObjectMissing: the evaluation did not leave what it must.
    """
    env = environment.read(Environment)
    version = event["model_version"]

    def uri(name: str) -> str:
        return storage.uri(env.data_bucket, contracts.model_key(version, name))

    def read(name: str) -> object:
        return storage.read_json(env.data_bucket, contracts.model_key(version, name))

    card = model_card.parse(read("model.json"), source=uri("model.json"), model_version=version)
    judged = evaluation.parse(read("evaluation.json"), source=uri("evaluation.json"), model_version=version)
    if registered := registry.find(env.model_package_group, version):
        approval, arn = registered.approval, registered.arn
    else:
        approval = _PASSED[env.approval] if judged.accepted else "Rejected"
        arn = registry.register(
            env.model_package_group,
            card.model,
            approval=approval,
            image_uri=env.image_uri,
            model_uri=uri("model.tar.gz"),
            statistics_uri=uri("statistics.json"),
            numbers=judged.numbers,
        )
    accepted = _DECIDED.get(approval, judged.accepted)
    return Verdict(accepted=accepted, reasons=judged.reasons, approval=approval, model_package_arn=arn)
