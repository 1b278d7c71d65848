"""Quotas that are zero in a new account, found out before a job fails on them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from botocore.exceptions import ClientError

from console.clients import Clients
from console.preflight.check import Finding, blocks, ok, unknown
from settings import Settings

# Codes that do not change: https://docs.aws.amazon.com/general/latest/gr/sagemaker.html
CODES: Final[Mapping[str, str]] = {
    "ml.g5.xlarge for training job usage": "L-B6D80D9C",
    "ml.g5.xlarge for spot training job usage": "L-DE07CBDF",
    "ml.g6.2xlarge for training job usage": "L-A1025C0C",
    "ml.g6.2xlarge for spot training job usage": "L-BC684567",
    "ml.g6e.xlarge for training job usage": "L-1E3225F6",
}

# The environment of the project that builds the job container (stacks/jobs.py).
BUILD_QUOTA: Final = "Concurrently running builds for Linux/Medium environment"
# https://github.com/aws-samples/aws-secure-environment-accelerator/issues/982
NEW_ACCOUNT: Final = (
    "CodeBuild lets a new account build nothing at first, whatever its quota says: if the build ends with "
    '"Cannot have more than 0 builds in queue for the account", write to AWS Support'
)


def training_instances(clients: Clients, settings: Settings) -> Finding:
    """A training takes the first instances that it may have: every type on spot, if settings say so, then on demand.

    Spot and on demand have quotas of their own. One that lets a training run is enough; what is missing before it is
    told all the same, since it costs money.
    """
    training, count = settings.training, settings.training.instance_count
    markets = ("spot training", "training") if training.spot else ("training",)
    names = [f"{one} for {market} job usage" for market in markets for one in training.instance_types]
    values = quotas(clients, "sagemaker", names)
    found = "; ".join(f"{_short(name)} {_shown(values[name])}" for name in names)
    needed = f"{count} of one of these"
    usable = [name for name in names if (values[name] or 0) >= count]
    todo = f"ask Service Quotas for {count} '{names[0]}'"
    if names[0] in usable:
        return ok(found, needed)
    if usable:
        return Finding("", found, needed, f"trainings run as {_short(usable[0])}; for the first choice {todo}")
    if None in values.values():
        return unknown(found, needed, todo)
    if most := max(value or 0 for value in values.values()):
        todo += f", or set training.instance_count to {most:g}"
    return blocks(found, needed, todo)


def processing_instance(clients: Clients, settings: Settings) -> Finding:
    """The jobs that score share a pool; the others, the evaluation of a model among them, take one instance."""
    instance, count = settings.jobs.instance_type, settings.jobs.instance_count
    return _at_least(clients, "sagemaker", f"{instance} for processing job usage", instance, count)


def cloud_targets(clients: Clients, settings: Settings) -> Finding:
    """A target that is compiled for an instance is measured on one, and tried behind an endpoint if settings say so."""
    compilation = settings.compilation
    uses = {"processing job": [one.measured_on for one in compilation.chosen if one.measured_on.startswith("ml.")]}
    if compilation.endpoint.enabled:
        uses["endpoint"] = [one.hosted_on for one in compilation.chosen if one.hosted_on]
    names = [f"{one} for {use} usage" for use, types in uses.items() for one in dict.fromkeys(types)]
    if not names:
        return ok("none", "nothing: no target is an instance")
    values = quotas(clients, "sagemaker", names)
    found, needed = "; ".join(f"{name.removesuffix(' usage')} {_shown(values[name])}" for name in names), "1 of each"
    missing = [name for name in names if (values[name] or 0) < 1]
    if not missing:
        return ok(found, needed)
    todo = f"ask Service Quotas for 1 '{missing[0]}', or take its target out of compilation.targets"
    return unknown(found, needed, todo) if values[missing[0]] is None else blocks(found, needed, todo)


def concurrent_builds(clients: Clients, _: Settings) -> Finding:
    finding = _at_least(clients, "codebuild", BUILD_QUOTA, "Linux/Medium", 1)
    return Finding(
        "", finding.found, finding.needed, "; ".join(filter(None, (finding.todo, NEW_ACCOUNT))), finding.state
    )


def _at_least(clients: Clients, service: str, name: str, what: str, count: int) -> Finding:
    value = quotas(clients, service, [name])[name]
    found, needed, todo = f"{what}: {_shown(value)}", str(count), f"ask Service Quotas for {count} '{name}'"
    if value is None:
        return unknown(found, needed, todo)
    return ok(found, needed) if value >= count else blocks(found, needed, todo)


def quotas(clients: Clients, service: str, names: Sequence[str]) -> dict[str, float | None]:
    """Quotas' values in this account and region; None where Service Quotas does not know one by that name."""
    found: dict[str, float | None] = dict.fromkeys(names)
    for name in names:
        if code := CODES.get(name):
            found[name] = _by_code(clients, service, code)
    missing = {name.lower(): name for name, value in found.items() if value is None}
    # A quota that nobody here ever had raised may only be known by its default.
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        if missing:
            for name, value in _listed(clients, operation, service, missing):
                found[missing.pop(name)] = value
    return found


def _by_code(clients: Clients, service: str, code: str) -> float | None:
    try:
        quota = clients("service-quotas").get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchResourceException":
            raise
        return None
    return float(quota["Value"])


def _listed(clients: Clients, operation: str, service: str, wanted: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Those of the wanted quotas (in lower case) that a listing has; SageMaker has more than a thousand."""
    left = set(wanted)
    for page in clients("service-quotas").get_paginator(operation).paginate(ServiceCode=service):
        for quota in page["Quotas"]:
            if (name := str(quota["QuotaName"]).lower()) in left:
                left.remove(name)
                yield name, float(quota["Value"])
        if not left:
            return


def _short(name: str) -> str:
    """ "ml.g5.xlarge spot" of "ml.g5.xlarge for spot training job usage"."""
    instance, _, market = name.partition(" for ")
    return f"{instance} {'spot' if market.startswith('spot') else 'on demand'}"


def _shown(value: float | None) -> str:
    return "not listed" if value is None else f"{value:g}"
