"""Every wildcard in a policy of this deployment, with its reason. One that is not listed here fails synth."""

import json
import re
from pathlib import Path
from typing import Any, Final

import jsii
from aws_cdk import App, IPolicyValidationContext, IPolicyValidationPlugin, PolicyValidationPluginReport
from constructs import IConstruct

from stacks.constructs.acknowledge import acknowledge

_OURS: Final = r"arn:<AWS::Partition>:{service}:[\w-]+:<AWS::AccountId>:"
_DATA: Final = r"reefloop-storage:ExportsOutputFnGetAttDataBucket\w+"
_ARTIFACTS: Final = r"reefloop-storage:ExportsOutputFnGetAttArtifactBucket\w+"

# (construct path, resource as cdk-nag writes it, reason); both patterns match as a whole.
_ALLOWED: Final = (
    # Objects: what is written there is named while the loop runs; the prefix says whose it is.
    (r".+", rf"{_DATA}/(gold|rounds|datasets|models|approvals)/\*", "a stage's own prefix of the data bucket"),
    (r"reefloop-labeling/.+", rf"{_DATA}/images/\*", "labeling reads whatever was uploaded"),
    (
        r"reefloop-labeling/StationLabeler/.+",
        rf"{_DATA}/(images|gold|rounds/\*/(tasks|station|labeling-jobs/\*/station-\*/annotations/worker-response))/\*",
        "whoever labels sees the images and batches of any round, and writes answers of batches, all named later",
    ),
    (
        r"reefloop-labeling/StationLabeler/.+",
        _OURS.format(service="cloudformation") + r"stack/reefloop-storage/\*",
        "a stack's ARN ends with an id that CloudFormation chooses",
    ),
    (
        r"reefloop-(training|compilation)/\w*JobRole/.+",
        rf"{_DATA}/images/\*",
        "the images of a dataset may be any that were uploaded",
    ),
    (
        r"reefloop-training/\w*JobRole/.+",
        rf"{_DATA}/models/\*/(checkpoints/\*|model\.tar\.gz)",
        "a model is named when it is trained",
    ),
    (r"reefloop-(compilation|deployment)/.+", rf"{_ARTIFACTS}/models/\*", "packages are named by model and target"),
    (
        r"reefloop-compilation/.+",
        rf"{_DATA}/models/\*/((source|compiled|comparisons|endpoint)/\*|model\.tar\.gz|compilation\.json)",
        "a model is named when it is trained",
    ),
    (
        r"reefloop-deployment/DeviceAccess/.+",
        rf"{_DATA}/images/edge/<credentials-iot:ThingName>/\*",
        "a device writes under its own name only, which AWS fills in",
    ),
    # Things that are named while the loop runs: the project's prefix bounds them.
    (r".+", _OURS.format(service="sagemaker") + r"(\w+-job/reefloop-|model-package/reefloop/)\*", "made by the loop"),
    (
        r"reefloop-compilation/.+",
        _OURS.format(service="sagemaker") + r"(model|endpoint-config|endpoint)/reefloop-endpoint-\*",
        "endpoints are named when a model is tried",
    ),
    (
        r"reefloop-compilation/EndpointJobRole/.+",
        r"arn:<AWS::Partition>:ecr:[\w-]+:\*:repository/(sagemaker-neo-\*|sagemaker-inference-\*|xgboost-neo)",
        "Neo's containers are in accounts of AWS, and the compiler says which",
    ),
    (r"reefloop-compilation/SweepFunctionRole/.+", r"\*", "ListModels and ListEndpoints take no resource"),
    (
        r".+/\w*JobRole/.+",
        _OURS.format(service="logs") + r"log-group:/aws/sagemaker/\*",
        "SageMaker makes the groups and names the streams after jobs",
    ),
    (
        r"reefloop-labeling/Machine/.+",
        _OURS.format(service="events") + r"rule/StepFunctionsGetEventsForSageMaker\*",
        "the name of Step Functions' own rule for labeling jobs is not documented",
    ),
    (r".+/Machine/.+", _OURS.format(service="states") + r"execution:.+\*", "executions are named when they start"),
    (r".+/Machine/.+", r"<\w+Function\w+\.Arn>:\*", "CDK grants a function's versions with the function"),
    (r".+/\w*JobRole/.+", r"\*", "cloudwatch:PutMetricData and ecr:GetAuthorizationToken take no resource"),
    (r".+/Machine/.+", r"\*", "X-Ray's and CloudWatch Logs' delivery actions take no resource"),
    (r"reefloop-jobs/ImageBuild/.+", r"\*", "ecr:GetAuthorizationToken takes no resource"),
    (
        r"reefloop-jobs/ImageBuild/.+",
        _OURS.format(service="logs") + r"log-group:/aws/codebuild/<ImageBuild\w+>:\*",
        "streams are named after builds",
    ),
    (
        r"reefloop-workstation/Role/.+",
        rf"{_DATA}/images/\*",
        "whoever looks into a failed job needs the images that it had, and they may be any that were uploaded",
    ),
    (
        r"reefloop-workstation/Role/.+",
        r"\*",
        "Session Manager's channels and ecr:GetAuthorizationToken take no resource, and the instance's id is not known",
    ),
    # Greengrass.
    (
        r"reefloop-deployment/.+",
        _OURS.format(service="greengrass") + r"(components:reefloop\.Model|deployments:|coreDevices:)\*",
        "component versions and deployments are named by the service, devices by their owners",
    ),
    (
        r"reefloop-deployment/(Deploy|RollBack|Check)FunctionRole/.+",
        _OURS.format(service="iot") + r"(thinggroup/reefloop-|job/|thing/)\*",
        "a Greengrass deployment makes an IoT job whose name the service chooses, for things that others named",
    ),
    (
        r"reefloop-deployment/(Deploy|RollBack|Check)FunctionRole/.+",
        r"\*",
        "greengrass:CreateDeployment and ListDeployments take no resource",
    ),
    (
        r"reefloop-deployment/IngestFunctionRole/.+",
        _OURS.format(service="iot") + r"topic/reefloop/\*/ack",
        "whichever device sent a record is told that it is here",
    ),
    (
        r"reefloop-deployment/DeviceAccess/.+",
        _OURS.format(service="logs") + r"log-group:/aws/greengrass/\*",
        "the log manager names groups after components",
    ),
)


@jsii.implements(IPolicyValidationPlugin)
class ExplainedWildcards:
    """Accepts, on each policy, the wildcards that the table explains; cdk-nag, which runs after it, reports the rest.

    A plugin and no aspect, since an aspect sees references between stacks before they are written as imports.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    @property
    def name(self) -> str:
        return "explained-wildcards"

    @property
    def rule_ids(self) -> list[str]:
        return []

    @property
    def version(self) -> str:
        return "1.0.0"

    def validate(self, context: IPolicyValidationContext) -> PolicyValidationPluginReport:
        for template in context.template_paths:
            for resource in json.loads(Path(template).read_text())["Resources"].values():
                if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
                    self._accept(resource["Metadata"]["aws:cdk:path"], resource["Properties"]["PolicyDocument"])
        return PolicyValidationPluginReport(success=True, violations=[])

    def _accept(self, construct_path: str, document: dict[str, Any]) -> None:
        for wildcard in sorted(_wildcards(document)):
            for place, pattern, reason in _ALLOWED:
                if re.fullmatch(place, construct_path) and re.fullmatch(pattern, wildcard):
                    construct: IConstruct = self._app
                    for construct_id in construct_path.split("/"):
                        construct = construct.node.find_child(construct_id)
                    acknowledge(construct, f"AwsSolutions-IAM5[Resource::{wildcard}]", reason)
                    break


def _wildcards(document: dict[str, Any]) -> set[str]:
    statements = [statement for statement in document["Statement"] if statement["Effect"] == "Allow"]
    resources = [statement["Resource"] for statement in statements]
    flat = [_flatten(one) for some in resources for one in (some if isinstance(some, list) else [some])]
    return {resource for resource in flat if "*" in resource}


def _flatten(value: Any) -> str:
    """A CloudFormation expression as cdk-nag writes it in the names of its findings."""
    match value:
        case str():
            return value.replace("${", "<").replace("}", ">")
        case {"Fn::Join": [delimiter, items]}:
            return str(delimiter).join(_flatten(item) for item in items)
        case {"Fn::GetAtt": [resource, attribute]}:
            return f"<{resource}.{attribute}>"
        case {"Fn::ImportValue": name}:
            return _flatten(name)
        case {"Ref": name}:
            return f"<{name}>"
        case _:
            return json.dumps(value, separators=(",", ":"))
