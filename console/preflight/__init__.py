"""Looks, without changing anything, whether an account can run a stage, and says what to do where it cannot."""

from collections.abc import Callable, Sequence
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from console.clients import Clients
from console.preflight.account import bootstrap, credentials
from console.preflight.check import Check, Finding
from console.preflight.quotas import cloud_targets, concurrent_builds, processing_instance, training_instances
from console.preflight.sagemaker import ground_truth, model_registry, workforce
from settings import Settings

CHECKS: Final[Sequence[Check]] = (
    Check("credentials", "sts:GetCallerIdentity", credentials),
    Check("CDK bootstrap", "cloudformation:DescribeStacks", bootstrap),
    Check("training instances", "servicequotas:ListServiceQuotas", training_instances),
    Check("processing instance", "servicequotas:ListServiceQuotas", processing_instance),
    Check("cloud targets", "servicequotas:ListServiceQuotas", cloud_targets),
    Check("concurrent builds", "servicequotas:ListServiceQuotas", concurrent_builds),
    Check("private workforce", "sagemaker:ListWorkforces", workforce),
    Check("Ground Truth", "sagemaker:ListLabelingJobs", ground_truth),
    Check("model registry", "sagemaker:DescribeModelPackageGroup", model_registry),
)


def run(clients: Clients, settings: Settings, *, seen: Callable[[str], None] = lambda _: None) -> list[Finding]:
    """Every check's finding, in order. A check that may not look says so and hides no other."""
    findings = []
    for check in CHECKS:
        seen(check.name)
        findings.append(_run(check, clients, settings))
    return findings


def _run(check: Check, clients: Clients, settings: Settings) -> Finding:
    try:
        return check.look(clients, settings).named(check.name)
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        found = f"could not look: {code}" + (f" ({message})" if message else "")
        denied = "AccessDenied" in code or "Unauthorized" in code
        todo = f"allow {check.permission}, or look in the console" if denied else "look in the console"
    except BotoCoreError as error:
        found, todo = f"could not look: {error}", "check the network, the region and the credentials"
    blocks = check.name == "credentials"
    return Finding(check.name, found, "an answer", todo, "blocks" if blocks else "unknown")
