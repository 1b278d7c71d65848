"""What Step Functions calls for a task and which parameters it lets through, as data.

An optimized integration takes fewer parameters than the service's own API and refuses the rest when the state machine
is created: https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html. That page stopped listing
them; ACCEPTED is its last list (github.com/awsdocs/aws-step-functions-developer-guide, 2022) plus those that are
known to have been added since, each with where that is said.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final


@dataclass(frozen=True)
class JobIntegration:
    """How Step Functions runs one kind of job to its end (".sync").

    `find` makes the parameters of the describe call and `end` those of the stop call, both from the start call's
    answer and request; `job` takes the job out of the describe call's answer, `status` out of the job. `shape` is the
    call whose answer the job looks like, where that is not the describe call.
    """

    service: str
    start: str
    describe: str
    stop: str
    find: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
    end: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
    status: Callable[[Mapping[str, Any]], str]
    job: Callable[[dict[str, Any]], dict[str, Any]] = lambda answer: answer
    shape: str = ""
    running: frozenset[str] = frozenset({"InProgress", "Stopping"})
    succeeded: str = "Completed"
    json_fields: frozenset[str] = field(default=frozenset())
    """Fields of the answer that hold JSON as text and come back parsed (".sync:2")."""


def _sagemaker(kind: str) -> JobIntegration:
    def by_name(_: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
        return {f"{kind}JobName": request[f"{kind}JobName"]}

    verb = kind.lower()
    return JobIntegration(
        service="sagemaker",
        start=f"create_{verb}_job",
        describe=f"describe_{verb}_job",
        stop=f"stop_{verb}_job",
        find=by_name,
        end=by_name,
        status=lambda job: str(job[f"{kind}JobStatus"]),
        running=frozenset({"Initializing", "InProgress", "Stopping"}),
    )


def _execution(json_fields: frozenset[str]) -> JobIntegration:
    return JobIntegration(
        service="stepfunctions",
        start="start_execution",
        describe="describe_execution",
        stop="stop_execution",
        find=lambda answer, _: {"executionArn": answer["executionArn"]},
        end=lambda answer, _: {"executionArn": answer["executionArn"]},
        status=lambda execution: str(execution["status"]),
        running=frozenset({"RUNNING", "PENDING_REDRIVE"}),
        succeeded="SUCCEEDED",
        json_fields=json_fields,
    )


JOBS: Final[Mapping[str, JobIntegration]] = MappingProxyType(
    {
        "sagemaker:createTrainingJob.sync": _sagemaker("Training"),
        "sagemaker:createProcessingJob.sync": _sagemaker("Processing"),
        "sagemaker:createLabelingJob.sync": _sagemaker("Labeling"),
        "codebuild:startBuild.sync": JobIntegration(
            service="codebuild",
            start="start_build",
            describe="batch_get_builds",
            stop="stop_build",
            find=lambda answer, _: {"ids": [answer["build"]["id"]]},
            end=lambda answer, _: {"id": answer["build"]["id"]},
            job=lambda answer: {"build": answer["builds"][0]},
            shape="start_build",
            status=lambda job: str(job["build"]["buildStatus"]),
            running=frozenset({"IN_PROGRESS"}),
            succeeded="SUCCEEDED",
        ),
        "states:startExecution.sync": _execution(frozenset()),
        "states:startExecution.sync:2": _execution(frozenset({"input", "output"})),
    }
)


def _names(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


ACCEPTED: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "sagemaker:createLabelingJob": _names(
            "HumanTaskConfig InputConfig LabelAttributeName LabelCategoryConfigS3Uri LabelingJobAlgorithmsConfig",
            "LabelingJobName OutputConfig RoleArn StoppingConditions Tags",
        ),
        "sagemaker:createProcessingJob": _names(
            "AppSpecification Environment ExperimentConfig NetworkConfig ProcessingInputs ProcessingJobName",
            "ProcessingOutputConfig ProcessingResources RoleArn StoppingCondition Tags",
        ),
        "sagemaker:createTrainingJob": _names(
            "AlgorithmSpecification HyperParameters InputDataConfig OutputDataConfig ResourceConfig RoleArn",
            "StoppingCondition Tags TrainingJobName VpcConfig",
            # https://github.com/aws/aws-step-functions-data-science-sdk-python/issues/42
            "EnableManagedSpotTraining",
            # https://github.com/aws/aws-step-functions-data-science-sdk-python/issues/86
            "CheckpointConfig",
            # https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_stepfunctions_tasks.SageMakerCreateTrainingJob.html
            "EnableNetworkIsolation Environment",
        ),
        # https://docs.aws.amazon.com/step-functions/latest/dg/connect-codebuild.html
        "codebuild:startBuild": _names(
            "ProjectName ArtifactsOverride BuildspecOverride CacheOverride CertificateOverride ComputeTypeOverride",
            "EncryptionKeyOverride EnvironmentTypeOverride EnvironmentVariablesOverride GitCloneDepthOverride",
            "GitSubmodulesConfigOverride IdempotencyToken ImageOverride ImagePullCredentialsTypeOverride",
            "InsecureSslOverride LogsConfigOverride PrivilegedModeOverride QueuedTimeoutInMinutesOverride",
            "RegistryCredentialOverride ReportBuildStatusOverride SecondaryArtifactsOverride",
            "SecondarySourcesOverride SecondarySourcesVersionOverride ServiceRoleOverride SourceAuthOverride",
            "SourceLocationOverride SourceTypeOverride SourceVersion TimeoutInMinutesOverride",
        ),
        # https://docs.aws.amazon.com/step-functions/latest/dg/connect-stepfunctions.html
        "states:startExecution": _names("StateMachineArn Input Name TraceHeader"),
        # https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html
        "lambda:invoke": _names("FunctionName Payload InvocationType Qualifier ClientContext"),
    }
)


def refused_parameters(definition: str) -> Iterator[str]:
    """What Step Functions would say about the parameters of each task of a definition; nothing when all is well."""
    yield from _refused(json.loads(definition), "")


def _refused(machine: Mapping[str, Any], where: str) -> Iterator[str]:
    for name, state in machine.get("States", {}).items():
        place = f"{where}/States/{name}"
        integration = state.get("Resource", "").partition(":states:::")[2]
        action = integration.partition(".")[0]
        if integration != action and action.partition(":")[0] in ("sagemaker", "codebuild", "states"):
            callback = integration == "states:startExecution.waitForTaskToken"
            if integration not in JOBS and not callback:
                yield f"The resource provided {state['Resource']} is not recognized at {place}/Resource"
        for parameter in state.get("Parameters", {}):
            if action in ACCEPTED and parameter.removesuffix(".$") not in ACCEPTED[action]:
                yield f'The field "{parameter.removesuffix(".$")}" is not supported by Step Functions at {place}'
        for inner in ("Iterator", "ItemProcessor"):
            yield from _refused(state.get(inner, {}), f"{place}/{inner}")
        for index, branch in enumerate(state.get("Branches", [])):
            yield from _refused(branch, f"{place}/Branches[{index}]")
