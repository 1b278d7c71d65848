"""Executions, jobs, builds and endpoints that do not end by themselves, and what became of them."""

import time
from collections.abc import Callable
from typing import Any

from offline.faults import JobKind
from reefloop.contracts import ENDPOINTS, model_key
from settings import Settings
from tests.any import tar_gz
from tests.edge import model_packages
from tests.workflow.deployed import Deployed


def start_what_does_not_end(loop: Deployed, model_version: str) -> None:
    """Leave a build, a processing job two machines deep in the loop, compilation jobs and an endpoint of a model."""
    _leave_an_endpoint(loop, model_version)
    source = tar_gz({"model.onnx": model_packages.GOOD})
    loop.client("s3").put_object(
        Bucket=loop.project.data_bucket, Key=model_key(model_version, "source/model.tar.gz"), Body=source
    )
    builds = _stalled(loop, "build")
    loop.start("jobs", {}, "building")
    eventually(builds)  # the loop, which needs the image as well, gets a build that ends
    loop.bring_gold(per_class=1)
    loop.upload(per_class=1)
    targets = len(Settings.load("laptop").compilation.targets)
    scores, compiles = _stalled(loop, "processing"), _stalled(loop, "compilation", times=targets)
    loop.start("loop", {"round": "first"}, "labeling")
    loop.start("compilation", {"model_version": model_version}, "compiling")
    eventually(lambda: scores() and compiles())


def _leave_an_endpoint(loop: Deployed, model_version: str) -> None:
    """What an endpoint test has made when its execution is stopped: an endpoint that is still being made."""
    sagemaker, name = loop.client("sagemaker"), f"{ENDPOINTS}{model_version}"
    role = loop.client("iam").list_roles()["Roles"][0]["Arn"]
    variant = {"VariantName": "all", "ModelName": name, "InstanceType": "ml.c5.xlarge", "InitialInstanceCount": 1}
    container = {"Image": "image", "ModelDataUrl": "s3://bucket/model.tar.gz"}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    loop.account.faults.stall_job("endpoint")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)


def _stalled(loop: Deployed, kind: JobKind, *, times: int = 1) -> Callable[[], bool]:
    """Let the next jobs of a kind run until somebody stops them; returns how to ask whether one does by now."""
    taken: list[Any] = []

    def match(job: Any) -> bool:
        taken.append(job)
        return True

    loop.account.faults.stall_job(kind, times=times, match=match)
    return lambda: bool(taken)


def states(loop: Deployed) -> dict[str, str]:
    """The state of every execution, job and build that there ever was; names begin with the machine or the kind."""
    sagemaker, codebuild = loop.client("sagemaker"), loop.client("codebuild")
    found = {}
    for machine, arn in loop.project.machines.items():
        for execution in loop.client("stepfunctions").list_executions(stateMachineArn=arn)["executions"]:
            found[f"{machine} {execution['name']}"] = execution["status"]
    for kind in ("Processing", "Compilation"):
        for job in getattr(sagemaker, f"list_{kind.lower()}_jobs")(MaxResults=100)[f"{kind}JobSummaries"]:
            found[f"{kind} {job[f'{kind}JobName']}"] = job[f"{kind}JobStatus"]
    for build in codebuild.batch_get_builds(ids=codebuild.list_builds()["ids"])["builds"]:
        found[f"Build {build['id']}"] = build["buildStatus"]
    return found


def eventually(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 150  # as long as an execution may take: the machine may be busy
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)
