"""Quotas that are zero in a new account, found out before a job fails on them."""

from collections.abc import Mapping
from typing import Any, Final

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


def training_instance(clients: Clients, settings: Settings) -> Finding:
    """Spot and on-demand instances have quotas of their own; only the one that the settings use has to be there."""
    instance, use_spot = settings.training.instance_type, settings.training.spot
    spot = quota(clients, "sagemaker", f"{instance} for spot training job usage")
    on_demand = quota(clients, "sagemaker", f"{instance} for training job usage")
    found = f"{instance}: spot {_shown(spot)}, on demand {_shown(on_demand)}"
    kind, used, other = ("spot", spot, on_demand) if use_spot else ("on demand", on_demand, spot)
    if used:
        return ok(found, f"1 {kind}")
    todo = f"ask Service Quotas for 1 '{instance} for {'spot ' if use_spot else ''}training job usage'"
    if other:
        todo += f", or set training.spot to {str(not use_spot).lower()}"
    return unknown(found, f"1 {kind}", todo) if used is None else blocks(found, f"1 {kind}", todo)


def processing_instance(clients: Clients, settings: Settings) -> Finding:
    name = f"{settings.jobs.instance_type} for processing job usage"
    return _at_least_one(clients, "sagemaker", name, settings.jobs.instance_type)


def concurrent_builds(clients: Clients, _: Settings) -> Finding:
    return _at_least_one(clients, "codebuild", BUILD_QUOTA, "Linux/Medium")


def _at_least_one(clients: Clients, service: str, name: str, what: str) -> Finding:
    value = quota(clients, service, name)
    todo = f"ask Service Quotas for 1 '{name}'"
    if value is None:
        return unknown(f"{what}: {_shown(value)}", "1", todo)
    return ok(f"{what}: {_shown(value)}", "1") if value >= 1 else blocks(f"{what}: {_shown(value)}", "1", todo)


def quota(clients: Clients, service: str, name: str) -> float | None:
    """A quota's value in this account and region; None when Service Quotas does not know it by that name."""
    quotas = clients("service-quotas")
    if code := CODES.get(name):
        try:
            return float(quotas.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchResourceException":
                raise
    # A quota that nobody here ever had raised may only be known by its default.
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        for page in quotas.get_paginator(operation).paginate(ServiceCode=service):
            if (found := _value(page["Quotas"], name)) is not None:
                return found
    return None


def _value(quotas: list[Mapping[str, Any]], name: str) -> float | None:
    return next((float(quota["Value"]) for quota in quotas if quota["QuotaName"].lower() == name.lower()), None)


def _shown(value: float | None) -> str:
    return "not listed" if value is None else f"{value:g}"
