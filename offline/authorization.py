"""What a call asks of the role behind it, in IAM's words, and whether the role's policies permit it.

IAM's names of actions, the resources that they take and what else they depend on:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from moto.iot.models import iot_backends
from moto.s3.models import s3_backends
from moto.sts.models import AssumedRole

from offline import roles
from offline.api import Call
from offline.state import ACCOUNT_ID

# IAM's prefix, where it is not the name that requests are signed with.
_PREFIXES: Final = {"cloudwatch": "cloudwatch", "iot-data": "iot", "iot-jobs-data": "iot"}
# IAM's action, where it is not the operation's name; "" where none is asked for.
_ACTIONS: Final = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:CopyObject": "s3:PutObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListParts": "s3:ListMultipartUploadParts",
    "s3:UploadPart": "s3:PutObject",
    "s3:UploadPartCopy": "s3:PutObject",
    "sts:GetCallerIdentity": "",
}
# Actions that take no resource: only a statement about "*" permits them.
_ON_NOTHING: Final = frozenset(
    {
        "cloudwatch:PutMetricData",
        "ecr:GetAuthorizationToken",
        "greengrass:CreateDeployment",
        "greengrass:ListCoreDevices",
        "greengrass:ListDeployments",
        "s3:ListAllMyBuckets",
        "sagemaker:ListEndpoints",
        "sagemaker:ListModels",
    }
)
# By IAM's prefix, the parameters that name the resource, and how its ARN ends. The first one given counts; a value that
# is an ARN is one. What no line tells may be any resource.
_RESOURCES: Final[Mapping[str, Sequence[tuple[str, str]]]] = {
    "codebuild": [("projectName", "project/{}")],
    "cognito-idp": [("UserPoolId", "userpool/{}")],
    "dynamodb": [("TableName", "table/{}")],
    "ecr": [("repositoryName", "repository/{}")],
    "greengrass": [("arn", "{}"), ("coreDeviceThingName", "coreDevices:{}"), ("deploymentId", "deployments:{}")],
    "iot": [
        ("topic", "topic/{}"),
        ("thingGroupName", "thinggroup/{}"),
        ("jobId", "job/{}"),
        ("thingName", "thing/{}"),
    ],
    "lambda": [("FunctionName", "function:{}")],
    "logs": [("logGroupName", "log-group:{}:*")],
    "sagemaker": [
        ("ResourceArn", "{}"),
        ("TrainingJobName", "training-job/{}"),
        ("ProcessingJobName", "processing-job/{}"),
        ("LabelingJobName", "labeling-job/{}"),
        ("CompilationJobName", "compilation-job/{}"),
        ("EndpointName", "endpoint/{}"),
        ("EndpointConfigName", "endpoint-config/{}"),
        ("ModelName", "model/{}"),
        ("ModelPackageArn", "{}"),
        ("ModelPackageName", "model-package/{}"),
        ("ModelPackageGroupName", "model-package-group/{}"),
        ("WorkforceName", "workforce/{}"),
        ("WorkteamName", "workteam/private-crowd/{}"),
    ],
    "sns": [("TopicArn", "{}")],
    "states": [("stateMachineArn", "{}"), ("executionArn", "{}")],
}
# What AWS does in the caller's name besides: the column "Dependent actions" of
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsiotgreengrassv2.html
_LOOKING: Final = ("iot:DescribeJob", "iot:DescribeThing", "iot:DescribeThingGroup", "iot:GetThingShadow")
_CHANGING: Final = (
    *_LOOKING, "iot:CancelJob", "iot:DeleteThingShadow", "iot:UpdateJob", "iot:UpdateThingShadow",
)  # fmt: skip
_BESIDES: Final[Mapping[str, Sequence[str]]] = {
    "greengrass:CancelDeployment": _CHANGING,
    "greengrass:CreateDeployment": (*_CHANGING, "iot:CreateJob"),
    "greengrass:DeleteCoreDevice": ("iot:DescribeJobExecution",),
    "greengrass:DeleteDeployment": ("iot:DeleteJob",),
    "greengrass:GetDeployment": _LOOKING,
    "greengrass:ListDeployments": _LOOKING,
    "greengrass:ListEffectiveDeployments": (*_LOOKING, "iot:DescribeJobExecution"),
}
_PASSED: Final = ("ExecutionRoleArn", "RoleArn")
_ARTIFACT: Final = re.compile(rb"s3://([^\s\"']+)")


class Asked(NamedTuple):
    """One permission. `resource` is None where the call does not tell it; `context` is for conditions."""

    action: str
    resource: str | None
    context: Mapping[str, str] = {}


def refusal(call: Call, session: AssumedRole, region: str) -> tuple[str, str] | None:
    """Code and message with which AWS refuses a call that the policies of its role do not permit."""
    variables = _variables(session, region)
    for asked in needed(call, region):
        if not roles.may(session.role_arn, asked.action, asked.resource, {**asked.context, **variables}):
            code = "AccessDeniedException" if "json" in call.protocol else "AccessDenied"
            reason = "" if roles.find(session.role_arn) else f": there is no role {session.role_arn}"
            return code, (
                f"User: {session.arn} is not authorized to perform: {asked.action} on resource: "
                f"{asked.resource or '*'}{reason}"
            )
    return None


def needed(call: Call, region: str) -> Iterator[Asked]:
    """The permissions that a call needs, all of them."""
    prefix = _PREFIXES.get(call.service) or str(call.operation.service_model.signing_name)
    action = _ACTIONS.get(call.name, f"{prefix}:{call.operation.name}")
    if not action:
        return
    if prefix == "s3":
        yield from _of_s3(call, action)
        return
    resource = "*" if action in _ON_NOTHING else _resource(prefix, call.parameters, region)
    yield Asked(action, resource)
    for besides in _BESIDES.get(action, ()):
        yield Asked(besides, None)
    if action == "greengrass:CreateComponentVersion":
        # Greengrass takes the digests of the artifacts with the caller's permissions.
        recipe = call.parameters.get("inlineRecipe") or b""
        for place in _ARTIFACT.findall(recipe if isinstance(recipe, bytes) else recipe.encode()):
            yield Asked("s3:GetObject", f"arn:aws:s3:::{place.decode()}")
    if prefix == "sagemaker" and call.operation.name.startswith("Create"):
        if call.parameters.get("Tags"):
            yield Asked("sagemaker:AddTags", resource)
        for role in (call.parameters[name] for name in _PASSED if name in call.parameters):
            yield Asked("iam:PassRole", role, {"iam:PassedToService": "sagemaker.amazonaws.com"})


def _of_s3(call: Call, action: str) -> Iterator[Asked]:
    given: Mapping[str, Any] = call.parameters
    bucket = f"arn:aws:s3:::{given['Bucket']}" if "Bucket" in given else "*"
    if action == "s3:ListBucket":
        yield Asked(action, bucket, {"s3:prefix": given.get("Prefix") or ""})
    elif call.operation.name == "DeleteObjects":
        for one in given["Delete"]["Objects"]:
            yield Asked(action, f"{bucket}/{one['Key']}")
    else:
        yield Asked(action, f"{bucket}/{given['Key']}" if "Key" in given else bucket)
    if source := given.get("CopySource"):
        yield Asked("s3:GetObject", f"arn:aws:s3:::{unquote(source).lstrip('/').partition('?')[0]}")
    if action == "s3:GetObject" and _is_missing(given["Bucket"], given["Key"]):
        # That nothing is there is told only to those who may list the bucket.
        yield Asked("s3:ListBucket", bucket, {"s3:prefix": ""})


def _is_missing(bucket: str, key: str) -> bool:
    backend = s3_backends[ACCOUNT_ID]["aws"]
    return bucket in backend.buckets and backend.get_object(bucket, key) is None


def _variables(session: AssumedRole, region: str) -> dict[str, str]:
    """What the credentials provider of AWS IoT fills in. Its sessions are named after the device's certificate.

    https://docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html
    """
    certificate = f"arn:aws:iot:{region}:{ACCOUNT_ID}:cert/{session.session_name}"
    attached = list(iot_backends[ACCOUNT_ID][region].principal_things)
    things = [str(thing) for principal, thing in attached if principal == certificate]
    return {"credentials-iot:ThingName": things[0]} if things else {}


def _resource(prefix: str, given: Mapping[str, Any], region: str) -> str | None:
    account = given.get("registryId") or ACCOUNT_ID
    for name, ending in _RESOURCES.get(prefix, ()):
        if value := given.get(name):
            arn = str(value).startswith("arn:")
            return str(value) if arn else f"arn:aws:{prefix}:{region}:{account}:{ending.format(value)}"
    return None
