"""What the tests of the functions ask of their account: objects put and read, a registry, devices."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

from offline.services import greengrassv2
from offline.services.greengrassv2.records import Core
from reefloop import clients, contracts, registry
from reefloop.deployment import records
from reefloop.deployment.records import Stored
from reefloop.deployment.store import Store
from tests.any import any_boot

DATA = "data-bucket"
ARTIFACTS = "artifact-bucket"
GROUP = "reefloop"
RECORDS = "records"
REGION = "us-east-1"


@dataclass
class Account:
    """One account with both buckets, the model package group and the label category configuration."""

    categories: list[str] = field(default_factory=lambda: ["crab", "squid"])

    def __post_init__(self) -> None:
        self.s3 = clients.s3()
        self.sagemaker = clients.sagemaker()
        self.greengrass = clients.greengrass()
        self.iot = clients.client("iot")
        for bucket in (DATA, ARTIFACTS):
            self.s3.create_bucket(Bucket=bucket)
        self.sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)
        clients.dynamodb().create_table(
            TableName=RECORDS,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("thing", "item")],
            KeySchema=[
                {"AttributeName": "thing", "KeyType": "HASH"},
                {"AttributeName": "item", "KeyType": "RANGE"},
            ],
        )
        self.put_json(contracts.LABEL_CATEGORIES, {"labels": [{"label": name} for name in self.categories]})

    # ---- Objects -----------------------------------------------------------------------------------------------------

    def put(self, key: str, content: bytes, *, bucket: str = DATA) -> str:
        """The URI of the object written."""
        self.s3.put_object(Bucket=bucket, Key=key, Body=content)
        return f"s3://{bucket}/{key}"

    def put_json(self, key: str, value: object) -> str:
        return self.put(key, json.dumps(value).encode())

    def put_lines(self, key: str, lines: list[Any]) -> str:
        return self.put(key, "".join(json.dumps(line) + "\n" for line in lines).encode())

    def get(self, uri: str) -> bytes:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        content: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def get_lines(self, key: str) -> list[Any]:
        return [json.loads(line) for line in self.get(f"s3://{DATA}/{key}").split(b"\n") if line]

    def get_json(self, key: str) -> Any:
        return json.loads(self.get(f"s3://{DATA}/{key}"))

    def keys(self, bucket: str) -> list[str]:
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])]

    # ---- Registry ----------------------------------------------------------------------------------------------------

    def register(
        self,
        model_version: str,
        *,
        approved: bool = True,
        accuracy: float = 0.9,
        objects: int = 100,
        numbers: dict[str, str] | None = None,
    ) -> None:
        model = registry.Model(model_version, "d1", accuracy, objects)
        registry.register(
            GROUP,
            model,
            approval="Approved" if approved else "Rejected",
            image_uri="image",
            model_uri=f"s3://{DATA}/model.tar.gz",
            statistics_uri=f"s3://{DATA}/statistics.json",
            numbers=numbers or {},
        )

    def packages(self) -> list[dict[str, Any]]:
        found = self.sagemaker.list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]
        return [self.sagemaker.describe_model_package(ModelPackageName=item["ModelPackageArn"]) for item in found]

    # ---- Devices -----------------------------------------------------------------------------------------------------

    def group(self, name: str = "canary") -> str:
        """The ARN of a new thing group."""
        arn: str = self.iot.create_thing_group(thingGroupName=name)["thingGroupArn"]
        return arn

    def core(self, thing: str, *, group: str = "canary") -> None:
        """A core device in a thing group."""
        self.iot.create_thing(thingName=thing)
        self.iot.add_thing_to_thing_group(thingName=thing, thingGroupName=group)
        greengrassv2.backend(REGION).register(Core(thing, "linux", "amd64", "aws_nucleus_lite", "2.5.1"))

    def component(self, name: str, version: str) -> None:
        """A component version without artifacts, ready to be deployed."""
        recipe = {
            "RecipeFormatVersion": "2020-01-25",
            "ComponentName": name,
            "ComponentVersion": version,
            "Manifests": [{"Platform": {"os": "linux", "runtime": "*"}}],
        }
        made = self.greengrass.create_component_version(inlineRecipe=json.dumps(recipe).encode())
        self.await_deployable(made["arn"])

    def await_deployable(self, arn: str) -> None:
        """Wait as the state machine does: a new version is REQUESTED for a moment."""
        deadline = time.monotonic() + 60
        while self.greengrass.describe_component(arn=arn)["status"]["componentState"] != "DEPLOYABLE":
            assert time.monotonic() < deadline, f"{arn} is not deployable after a minute"
            time.sleep(0.05)

    def deployment(self, group_arn: str) -> dict[str, Any]:
        """The group's present deployment."""
        [latest] = self.greengrass.list_deployments(targetArn=group_arn)["deployments"]
        found: dict[str, Any] = self.greengrass.get_deployment(deploymentId=latest["deploymentId"])
        return found

    def components(self, group_arn: str) -> dict[str, str]:
        """The versions of the components that a group is to have."""
        return {name: part["componentVersion"] for name, part in self.deployment(group_arn)["components"].items()}

    def device_ran(self, thing: str, deployment_id: str, status: str = "SUCCEEDED", reason: str = "") -> None:
        """A core device tells Greengrass how a deployment fared."""
        books = greengrassv2.backend(REGION)
        books.report_deployment(thing, books.deployment(deployment_id), status, reason=reason)

    def device_reports(self, thing: str, model_version: str, self_test: str = "passed", reason: str = "") -> None:
        """A device tells which model it serves."""
        now = int(time.time() * 1000)
        model = {"version": model_version, "self_test": self_test, "reason": reason}
        status = Stored("health", any_boot(), 1, now, now, {"model": model})
        Store(RECORDS, thing, expires_at=now // 1000 + 3600).put_status(status)

    # ---- Records -----------------------------------------------------------------------------------------------------

    def items(self, thing: str) -> dict[str, records.Item]:
        """What the table has of a thing, by item."""
        found = clients.dynamodb().query(
            TableName=RECORDS,
            KeyConditionExpression="thing = :thing",
            ExpressionAttributeValues={":thing": {"S": thing}},
            ConsistentRead=True,
        )
        return {item["item"]["S"]: item for item in found["Items"]}

    def stored(self, thing: str, kind: str = "") -> list[Stored]:
        """The records of a thing, of one kind or of all."""
        names = (kind,) if kind else contracts.RECORDS
        return [records.read(item) for name, item in self.items(thing).items() if name.startswith(names)]
