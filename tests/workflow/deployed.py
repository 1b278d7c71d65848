"""The deployment under test: the synthesized stacks in an offline account, and how to drive them."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aws_cdk import App

import app as reefloop
from console import provisioning
from console.devices import DeviceReader
from console.photos import Photos, read_photos
from console.project import Project
from console.upload import DataBucket
from offline.account import Account
from offline.device import CoreDevice, install
from offline.scenes import list_species, make_images
from settings import Settings

SPECIES = list_species(4)


def synthesize(assembly: Path, *, task: str = "classification", **changes: Mapping[str, Any]) -> Path:
    """Write the stacks of the laptop stage, with a training that takes seconds, into a folder; returns that folder.

    Args:
        changes: by branch of the settings ("labeling"), what is to be other than the laptop's.
    """
    laptop = Settings.load("laptop").model_dump()
    changes = {"training": {"epochs": 2, "image_pixels": 32}, **changes}
    changed = {branch: laptop[branch] | values for branch, values in changes.items()}
    context = json.loads((reefloop.ROOT / "cdk.json").read_text())["context"]
    cdk = App(outdir=str(assembly), context=context, analytics_reporting=False)
    reefloop.build(cdk, Settings.model_validate(laptop | {"task": task} | changed))
    cdk.synth()
    return assembly


@dataclass
class Deployed:
    """The project's stacks in an open account."""

    account: Account
    truth: dict[str, str]
    folder: Path
    project: Project = field(init=False)
    seed: int = 0

    def deploy(self, assembly: Path, *stacks: str) -> None:
        """Deploy these stacks of an assembly, and those that they depend on, with the real CLI; all without a name."""
        self.account.cdk("deploy", *(stacks or ["--all"]), f"--app={assembly}")
        self.project = Project.find(self.account.client)

    def bring_gold(self, per_class: int = 6) -> None:
        """Bring images whose label is known."""
        DataBucket(self.account.client, self.project.data_bucket).upload_gold(self._images(per_class).photos, SPECIES)

    def upload(self, per_class: int = 12) -> int:
        """Bring new images that the crew knows; returns how many."""
        images = self._images(per_class)
        return DataBucket(self.account.client, self.project.data_bucket).upload(images.photos)

    def _images(self, per_class: int) -> Photos:
        self.seed += 1
        made = make_images(self.folder / f"images-{self.seed}", SPECIES, per_class, self.seed)
        photos = read_photos((path, path.parent.name) for path in made)
        self.truth.update({photo.digest: photo.label for photo in photos.photos})
        return photos

    def register(self, version: str, *, test_accuracy: str, test_objects: str) -> str:
        """Put an approved model into the registry; returns its ARN."""
        arn: str = self.client("sagemaker").create_model_package(
            ModelPackageGroupName="reefloop",
            ModelPackageDescription=version,
            ModelApprovalStatus="Approved",
            InferenceSpecification={"Containers": [{"Image": "image", "ModelDataUrl": "s3://bucket/model.tar.gz"}]},
            CustomerMetadataProperties={
                "model_version": version,
                "dataset_version": "first",
                "test_accuracy": test_accuracy,
                "test_objects": test_objects,
            },
        )["ModelPackageArn"]
        return arn

    # ---- Executions --------------------------------------------------------------------------------------------------

    def start(self, machine: str, payload: dict[str, Any], name: str) -> str:
        arn: str = self.client("stepfunctions").start_execution(
            stateMachineArn=self.project.machines[machine], name=name, input=json.dumps(payload)
        )["executionArn"]
        return arn

    def run(self, machine: str, payload: dict[str, Any], name: str) -> dict[str, Any]:
        """Run one machine to its end; the description of its execution, output parsed."""
        return self.end_of(self.start(machine, payload, name))

    def end_of(self, arn: str, timeout_seconds: float = 150) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            execution: dict[str, Any] = self.client("stepfunctions").describe_execution(executionArn=arn)
            if execution["status"] != "RUNNING":
                return execution | {"output": json.loads(execution.get("output") or "{}")}
            time.sleep(0.1)
        raise TimeoutError(f"{arn} still runs after {timeout_seconds} s")

    def states(self, arn: str) -> list[str]:
        """The states that an execution entered, in order."""
        pages = self.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
        events = [event for page in pages for event in page["events"]]
        return [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]

    # ---- Devices -----------------------------------------------------------------------------------------------------

    def device(self, thing: str, group: str = "canary") -> CoreDevice:
        """A new device, made as `console device add` does and not yet started."""
        folder = self.account.state.folder / "devices" / thing
        identity = provisioning.add(self.account.client, self.project, thing, group=group, folder=folder)
        return install(self.account.state, thing, certificate_arn=identity.certificate_arn)

    @property
    def devices(self) -> DeviceReader:
        return DeviceReader(self.account.client, self.project)

    # ---- What is there -----------------------------------------------------------------------------------------------

    def client(self, service: str) -> Any:
        return self.account.client(service)

    def read(self, key: str, *, bucket: str = "") -> bytes:
        body: bytes = self.client("s3").get_object(Bucket=bucket or self.project.data_bucket, Key=key)["Body"].read()
        return body

    def read_json(self, key: str) -> Any:
        return json.loads(self.read(key))

    def read_lines(self, key: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.read(key).decode().splitlines()]

    def keys(self, prefix: str, *, bucket: str = "") -> list[str]:
        pages = self.client("s3").get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=bucket or self.project.data_bucket, Prefix=prefix)
        return [item["Key"] for page in found for item in page.get("Contents", [])]

    def truth_of(self, source: str) -> str:
        """The class of the image at an S3 URI."""
        bucket, _, key = source.removeprefix("s3://").partition("/")
        return self.truth[hashlib.sha256(self.read(key, bucket=bucket)).hexdigest()]

    def job_names(self, kind: str) -> list[str]:
        """The names of all jobs of a kind ("Labeling"), whatever became of them."""
        jobs = getattr(self.client("sagemaker"), f"list_{kind.lower()}_jobs")(MaxResults=100)
        return [job[f"{kind}JobName"] for job in next(value for value in jobs.values() if isinstance(value, list))]
