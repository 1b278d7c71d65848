"""Where things are kept: S3, CloudWatch Logs, Systems Manager parameters; and CDK's own metadata."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from offline.cloudformation.resource import Made, Order, ResourceType, tag_map, whole

# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-s3-bucket-rule.html names the
# parts of a rule unlike the API; the rest of a rule is the same.
_RULE_DAYS = {"ExpirationInDays": "Expiration", "NoncurrentVersionExpirationInDays": "NoncurrentVersionExpiration"}


def _cors(value: Mapping[str, Any]) -> dict[str, Any]:
    names = {"ExposedHeaders": "ExposeHeaders", "MaxAge": "MaxAgeSeconds", "Id": "ID"}
    rules = [{names.get(name, name): item for name, item in rule.items()} for rule in value["CorsRules"]]
    return {"CORSConfiguration": {"CORSRules": whole(rules, ["MaxAgeSeconds"])}}


def _encryption(value: Mapping[str, Any]) -> dict[str, Any]:
    rules = [
        {
            "ApplyServerSideEncryptionByDefault" if name == "ServerSideEncryptionByDefault" else name: item
            for name, item in rule.items()
        }
        for rule in value["ServerSideEncryptionConfiguration"]
    ]
    return {"ServerSideEncryptionConfiguration": {"Rules": rules}}


def _lifecycle(value: Mapping[str, Any]) -> dict[str, Any]:
    rules = []
    for rule in value["Rules"]:
        translated = {name: item for name, item in rule.items() if name not in ("Id", "Prefix", *_RULE_DAYS)}
        if "Id" in rule:
            translated["ID"] = rule["Id"]
        if "ExpirationInDays" in rule:
            translated["Expiration"] = {"Days": int(rule["ExpirationInDays"])}
        if "NoncurrentVersionExpirationInDays" in rule:
            translated["NoncurrentVersionExpiration"] = {
                "NoncurrentDays": int(rule["NoncurrentVersionExpirationInDays"])
            }
        translated["Filter"] = {"Prefix": rule.get("Prefix", "")}
        rules.append(whole(translated, ["NoncurrentDays", "DaysAfterInitiation", "NewerNoncurrentVersions"]))
    return {"LifecycleConfiguration": {"Rules": rules}}


def _logging(value: Mapping[str, Any]) -> dict[str, Any]:
    target = {"TargetBucket": value["DestinationBucketName"], "TargetPrefix": value.get("LogFilePrefix", "")}
    return {"BucketLoggingStatus": {"LoggingEnabled": target}}


def _notification(value: Mapping[str, Any]) -> dict[str, Any]:
    event_bridge = value.get("EventBridgeConfiguration", {})
    on = str(event_bridge.get("EventBridgeEnabled", "EventBridgeConfiguration" in value)).lower() == "true"
    return {"NotificationConfiguration": {"EventBridgeConfiguration": {}} if on else {}}


# Property → (the call that sets it, the call that takes it away, its value as that call wants it).
_BUCKET: Mapping[str, tuple[str, str | None, Callable[[Any], dict[str, Any]]]] = {
    "VersioningConfiguration": ("put_bucket_versioning", None, lambda value: {"VersioningConfiguration": value}),
    "BucketEncryption": ("put_bucket_encryption", "delete_bucket_encryption", _encryption),
    "PublicAccessBlockConfiguration": (
        "put_public_access_block",
        "delete_public_access_block",
        lambda value: {
            "PublicAccessBlockConfiguration": {name: str(on).lower() == "true" for name, on in value.items()}
        },
    ),
    "OwnershipControls": (
        "put_bucket_ownership_controls",
        "delete_bucket_ownership_controls",
        lambda value: {"OwnershipControls": value},
    ),
    "CorsConfiguration": ("put_bucket_cors", "delete_bucket_cors", _cors),
    "LifecycleConfiguration": ("put_bucket_lifecycle_configuration", "delete_bucket_lifecycle", _lifecycle),
    "LoggingConfiguration": ("put_bucket_logging", None, _logging),
    "NotificationConfiguration": ("put_bucket_notification_configuration", None, _notification),
    "AccessControl": (
        "put_bucket_acl",
        None,
        lambda value: {"ACL": re.sub(r"(?<=[a-z])(?=[A-Z])", "-", value).lower()},
    ),
    "Tags": ("put_bucket_tagging", "delete_bucket_tagging", lambda value: {"Tagging": {"TagSet": value}}),
}


class Bucket(ResourceType):
    properties = frozenset({"BucketName", *_BUCKET})
    replaced_by = frozenset({"BucketName"})

    def create(self, order: Order) -> Made:
        name = order.get("BucketName") or order.name(longest=63, lower=True)
        place = {} if order.region == "us-east-1" else {"LocationConstraint": order.region}
        order.client("s3").create_bucket(Bucket=name, **({"CreateBucketConfiguration": place} if place else {}))
        return self.update(order, Made(name), {})

    def update(self, order: Order, made: Made, old: Mapping[str, Any]) -> Made:
        for name, (put, take_away, translated) in _BUCKET.items():
            value = order.get(name)
            if value == old.get(name):
                continue
            if value is not None:
                getattr(order.client("s3"), put)(Bucket=made.id, **translated(value))
            elif take_away is not None:
                getattr(order.client("s3"), take_away)(Bucket=made.id)
        host = f"{made.id}.s3"
        names = {
            "Arn": f"arn:aws:s3:::{made.id}",
            "DomainName": f"{host}.amazonaws.com",
            "RegionalDomainName": f"{host}.{order.region}.amazonaws.com",
        }
        return Made(made.id, names)

    def delete(self, order: Order, made: Made) -> None:
        order.client("s3").delete_bucket(Bucket=made.id)


class BucketPolicy(ResourceType):
    properties = frozenset({"Bucket", "PolicyDocument"})
    replaced_by = frozenset({"Bucket"})

    def create(self, order: Order) -> Made:
        return self.update(order, Made(order["Bucket"]), {})

    def update(self, order: Order, made: Made, _: Mapping[str, Any]) -> Made:
        order.client("s3").put_bucket_policy(Bucket=made.id, Policy=json.dumps(order["PolicyDocument"]))
        return made

    def delete(self, order: Order, made: Made) -> None:
        order.client("s3").delete_bucket_policy(Bucket=made.id)


class LogGroup(ResourceType):
    properties = frozenset({"LogGroupName", "RetentionInDays", "KmsKeyId", "LogGroupClass", "Tags"})
    replaced_by = frozenset({"LogGroupName", "LogGroupClass"})

    def create(self, order: Order) -> Made:
        name = order.get("LogGroupName") or order.name(longest=512)
        given = {"kmsKeyId": order.get("KmsKeyId"), "logGroupClass": order.get("LogGroupClass")}
        given["tags"] = tag_map(order.get("Tags")) or None
        order.client("logs").create_log_group(
            logGroupName=name, **{key: value for key, value in given.items() if value is not None}
        )
        return self.update(order, Made(name), {})

    def update(self, order: Order, made: Made, old: Mapping[str, Any]) -> Made:
        days = order.get("RetentionInDays")
        if days is not None:
            order.client("logs").put_retention_policy(logGroupName=made.id, retentionInDays=int(days))
        elif "RetentionInDays" in old:
            order.client("logs").delete_retention_policy(logGroupName=made.id)
        return Made(made.id, {"Arn": order.arn("logs", f"log-group:{made.id}:*")})

    def delete(self, order: Order, made: Made) -> None:
        order.client("logs").delete_log_group(logGroupName=made.id)


class Parameter(ResourceType):
    replaced_by = frozenset({"Name"})

    def create(self, order: Order) -> Made:
        return self._put(order, order.get("Name") or order.name(longest=2048), overwrite=False)

    def update(self, order: Order, made: Made, _: Mapping[str, Any]) -> Made:
        return self._put(order, made.id, overwrite=True)

    def _put(self, order: Order, name: str, *, overwrite: bool) -> Made:
        tags = [{"Key": key, "Value": value} for key, value in (order.get("Tags") or {}).items()]
        order.client("ssm").put_parameter(
            **order.but("Name", "Tags", "Value"),
            Name=name,
            Value=str(order["Value"]),
            Overwrite=overwrite,
            **({"Tags": tags} if tags and not overwrite else {}),
        )
        return Made(name, {"Type": order["Type"], "Value": str(order["Value"])})

    def delete(self, order: Order, made: Made) -> None:
        order.client("ssm").delete_parameter(Name=made.id)


class Metadata(ResourceType):
    """What CDK counts its own use with: nothing is made of it in AWS either."""

    replaced_by: frozenset[str] = frozenset()

    def create(self, order: Order) -> Made:
        return Made(order.name())

    def update(self, _: Order, made: Made, __: Mapping[str, Any]) -> Made:
        return made

    def delete(self, order: Order, made: Made) -> None:
        pass


TYPES: Mapping[str, ResourceType] = {
    "AWS::S3::Bucket": Bucket(),
    "AWS::S3::BucketPolicy": BucketPolicy(),
    "AWS::Logs::LogGroup": LogGroup(),
    "AWS::SSM::Parameter": Parameter(),
    "AWS::CDK::Metadata": Metadata(),
}
