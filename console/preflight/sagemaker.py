"""What an account has of SageMaker already, and what it can no longer get."""

from typing import Final

from botocore.exceptions import ClientError

from console.clients import Clients
from console.preflight.check import Finding, blocks, ok, unknown
from console.project import PREFIX, stack_resources
from settings import Settings

# https://docs.aws.amazon.com/sagemaker/latest/dg/sms.html
CLOSED: Final = "Ground Truth takes no new customers since 2026-07-31"
REGISTRY_GROUP: Final = "reefloop"


def workforce(clients: Clients, settings: Settings) -> Finding:
    """An account has one private workforce per region: CreateWorkforce refuses a second one."""
    found = [item["WorkforceName"] for item in clients("sagemaker").list_workforces()["Workforces"]]
    shown = ", ".join(found) or "none"
    if settings.labeling.provider != "ground-truth":
        return ok(shown, f"nothing: the labeling provider is {settings.labeling.provider!r}")
    wanted = settings.labeling.workforce
    if wanted:
        if wanted.name in found:
            return ok(shown, wanted.name)
        return blocks(shown, wanted.name, "correct labeling.workforce.name, or leave labeling.workforce out")
    if not found or "AWS::SageMaker::Workforce" in stack_resources(clients, "labeling"):
        return ok(shown, "none, or this project's own")
    return blocks(shown, "none", f"use it: set labeling.workforce in stages.{settings.stage} of cdk.json")


def ground_truth(clients: Clients, settings: Settings) -> Finding:
    """No API says whether an account is an existing customer; an earlier labeling job is the evidence there is."""
    if settings.labeling.provider != "ground-truth":
        return ok("not used", f"nothing: the labeling provider is {settings.labeling.provider!r}")
    jobs = clients("sagemaker").list_labeling_jobs(MaxResults=1, SortBy="CreationTime", SortOrder="Descending")
    if jobs["LabelingJobSummaryList"]:
        (job,) = jobs["LabelingJobSummaryList"]
        return ok(f"used before ({job['CreationTime']:%Y-%m-%d})", "an account that used it before")
    return unknown(
        f"no labeling job in {settings.region}; {CLOSED}",
        "an account that used it before",
        'if this account never did, set labeling.provider to "station" and label here, or to "import" and label with '
        "another tool",
    )


def model_registry(clients: Clients, _: Settings) -> Finding:
    needed = f"no group {REGISTRY_GROUP!r}, or this project's own"
    try:
        clients("sagemaker").describe_model_package_group(ModelPackageGroupName=REGISTRY_GROUP)
    except ClientError as error:
        # SageMaker answers ValidationException "... does not exist" for a group that is not there.
        if "does not exist" not in error.response["Error"].get("Message", ""):
            raise
        return ok("free", needed)
    if "AWS::SageMaker::ModelPackageGroup" in stack_resources(clients, "storage"):
        return ok("this project's own", needed)
    return blocks(
        f"a group {REGISTRY_GROUP!r} that no {PREFIX}storage stack owns",
        needed,
        "an earlier stack retained it: take it over with `cdk import` (docs/operations.md, Deploying again), or delete "
        "it if its models are not needed",
    )
