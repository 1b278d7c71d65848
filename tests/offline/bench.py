"""One open account with a bucket, a role and an image, and what the tests of its jobs ask of it."""

import io
import json
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from offline.account import Account
from offline.state import Crew
from tests.offline.roles import make_role

BUCKET = "bench"
REPOSITORY = "bench-jobs"
REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
PATIENCE_SECONDS = 60.0  # a machine may have more to do than this test

_numbers = count(1)


class Bench:
    """Clients of the account and short words for what tests do with them."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.faults = account.faults
        for name in ("s3", "sagemaker", "stepfunctions", "codebuild", "ecr", "iam", "sqs"):
            setattr(self, name, account.client(name))
        self.s3: Any
        self.sagemaker: Any
        self.stepfunctions: Any
        self.codebuild: Any
        self.ecr: Any
        self.iam: Any
        self.sqs: Any
        self.s3.create_bucket(Bucket=BUCKET)
        self.ecr.create_repository(repositoryName=REPOSITORY)
        self.role = make_role(account, "bench")

    # ---- Objects -----------------------------------------------------------------------------------------------------

    def put(self, key: str, body: bytes | str | list[Any] | dict[str, Any]) -> str:
        """The URI of the object written; lists are written as JSON Lines, dicts as JSON."""
        if isinstance(body, list):
            body = "".join(f"{json.dumps(line)}\n" for line in body)
        elif isinstance(body, dict):
            body = json.dumps(body)
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def get(self, uri: str) -> bytes:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def keys(self, prefix: str) -> list[str]:
        """The keys below a prefix, without it."""
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return [item["Key"].removeprefix(prefix) for item in found]

    # ---- Images ------------------------------------------------------------------------------------------------------

    def build(self, files: Mapping[str, str], **overrides: Any) -> dict[str, Any]:
        """Build an image of these files and return the build at its end."""
        project = any_name("project")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        location = self.put(f"sources/{project}.zip", packed.getvalue()).removeprefix("s3://")
        environment = {
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_MEDIUM",
            "privilegedMode": True,
            "environmentVariables": [{"name": "IMAGE_URI", "value": f"{REGISTRY}/{REPOSITORY}:{project}"}],
            **overrides.pop("environment", {}),
        }
        self.codebuild.create_project(
            name=project,
            source={"type": "S3", "location": location, "buildspec": BUILDSPEC, **overrides.pop("source", {})},
            artifacts={"type": "NO_ARTIFACTS"},
            environment=environment,
            serviceRole=self.role,
        )
        build = self.codebuild.start_build(projectName=project, **overrides)["build"]
        return self.built(build["id"])

    def built(self, identity: str) -> dict[str, Any]:
        return until(
            lambda: self.codebuild.batch_get_builds(ids=[identity])["builds"][0],
            lambda build: build["buildStatus"] != "IN_PROGRESS",
        )

    def image(self, script: str) -> str:
        """The URI of an image that runs a Python script."""
        build = self.build({"Dockerfile": DOCKERFILE, "script.py": script})
        assert build["buildStatus"] == "SUCCEEDED", build["phases"]
        return f"{REGISTRY}/{REPOSITORY}:{build['projectName']}"

    # ---- Jobs --------------------------------------------------------------------------------------------------------

    def train(self, image: str, *, instances: int = 1, wait: bool = True, **request: Any) -> dict[str, Any]:
        """Start a training job and return it at its end, or at once."""
        name = request.pop("TrainingJobName", None) or any_name("training")
        algorithm = {"TrainingImage": image, "TrainingInputMode": "File", **request.pop("AlgorithmSpecification", {})}
        self.sagemaker.create_training_job(
            TrainingJobName=name,
            RoleArn=self.role,
            AlgorithmSpecification=algorithm,
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/training"},
            ResourceConfig={"InstanceType": "ml.g5.xlarge", "InstanceCount": instances, "VolumeSizeInGB": 30},
            **{"StoppingCondition": {"MaxRuntimeInSeconds": 600}, **request},
        )
        return self.job("training", name, wait=wait)

    def process(self, image: str, *, instances: int = 1, wait: bool = True, **request: Any) -> dict[str, Any]:
        """Start a processing job and return it at its end, or at once."""
        name = request.pop("ProcessingJobName", None) or any_name("processing")
        self.sagemaker.create_processing_job(
            ProcessingJobName=name,
            RoleArn=self.role,
            AppSpecification={"ImageUri": image, **request.pop("AppSpecification", {})},
            ProcessingResources={
                "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": instances, "VolumeSizeInGB": 30}
            },
            **request,
        )
        return self.job("processing", name, wait=wait)

    def job(self, kind: str, name: str, *, wait: bool = True) -> dict[str, Any]:
        """A job as its service describes it, at its end or at once."""
        describe = getattr(self.sagemaker, f"describe_{kind}_job")
        field = f"{kind.capitalize()}JobName"
        return until(
            lambda: describe(**{field: name}), lambda job: not wait or status(job) in ("Completed", "Failed", "Stopped")
        )

    # ---- State machines ----------------------------------------------------------------------------------------------

    def machine(self, **states: dict[str, Any]) -> str:
        """The ARN of a new state machine of these states, the first of which starts."""
        definition = {"StartAt": next(iter(states)), "States": states}
        arn: str = self.stepfunctions.create_state_machine(
            name=any_name("machine"), definition=json.dumps(definition), roleArn=self.role
        )["stateMachineArn"]
        return arn

    def start(self, machine: str, execution_input: Any = None, **options: Any) -> str:
        """The ARN of a new execution."""
        arn: str = self.stepfunctions.start_execution(
            stateMachineArn=machine, input=json.dumps(execution_input or {}), **options
        )["executionArn"]
        return arn

    def ended(self, execution: str) -> dict[str, Any]:
        """The execution at its end, its output parsed."""
        found = until(
            lambda: self.stepfunctions.describe_execution(executionArn=execution), lambda it: it["status"] != "RUNNING"
        )
        return found | ({"output": json.loads(found["output"])} if "output" in found else {})

    def history(self, execution: str) -> list[dict[str, Any]]:
        history = self.stepfunctions.get_execution_history(executionArn=execution, maxResults=1000)
        found: list[dict[str, Any]] = history["events"]
        return found

    def execute(self, machine: str, execution_input: Any = None) -> dict[str, Any]:
        return self.ended(self.start(machine, execution_input))


BUILDSPEC = json.dumps(
    {
        "version": "0.2",
        "phases": {
            "pre_build": {
                "commands": [
                    'aws ecr get-login-password | docker login --username AWS --password-stdin "${IMAGE_URI%%/*}"'
                ]
            },
            "build": {"commands": ['docker build --tag "$IMAGE_URI" .', 'docker push "$IMAGE_URI"']},
        },
    }
)
DOCKERFILE = """
FROM python:3.13
WORKDIR /opt/program
COPY . /opt/program
ENTRYPOINT ["python", "script.py"]
"""


def status(job: Mapping[str, Any]) -> str:
    """A job's status, whatever its kind, in the spelling that three of the four kinds use."""
    word: str = next(value for name, value in job.items() if name.endswith("JobStatus"))
    return {"INPROGRESS": "InProgress"}.get(word, word.capitalize() if word.isupper() else word)


def any_name(kind: str) -> str:
    """A name that nothing else in the account has."""
    return f"{kind}-{next(_numbers)}"


def until(look: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
    """What `look` sees once it is good."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not good(seen := look()):
        assert time.monotonic() < end, f"this did not become what it should within {PATIENCE_SECONDS:.0f} s: {seen}"
        time.sleep(0.03)
    return seen


def unpacked(body: bytes) -> dict[str, bytes]:
    """The files of a tar.gz by name."""
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


@contextmanager
def opened(folder: Path, crew: Crew | None = None) -> Iterator[Bench]:
    """A bench in an account of its own."""
    with Account(folder, crew=crew) as account:
        yield Bench(account)
