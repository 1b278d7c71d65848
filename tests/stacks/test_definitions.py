"""What every synthesized state machine keeps to: the contracts, botocore's models, names that are never used twice."""

import functools
import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from jobs.comparison import compare
from jobs.evaluation import evaluate
from jobs.labeling import consolidate, merge, score
from offline.step_functions.integrations import refused_parameters
from reefloop import contracts
from tests.stacks.conftest import Templates, definition, resources, text

DECLARED = {value for name, value in vars(contracts).items() if name.isupper() and isinstance(value, str)}
# The service's own field names, and Step Functions' own.
SERVICE_FIELD = re.compile(r"[A-Z]\w*$")


def machines(templates: Templates) -> Iterator[tuple[str, dict[str, Any]]]:
    for stack, template in templates.items():
        if resources(template, "AWS::StepFunctions::StateMachine"):
            yield stack, definition(template)


def states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def paths(state: dict[str, Any]) -> Iterator[list[str]]:
    """The components of every payload path of one state, without those of the context object."""
    for string in strings({key: value for key, value in state.items() if key != "ItemProcessor"}):
        for found in re.findall(r"(?<![\$\w])\$((?:\.[A-Za-z_]\w*)+)", string):
            yield found[1:].split(".")
        for found in re.findall(r"\$\$\.Map\.Item\.Value((?:\.\w+)+)", string):
            yield found[1:].split(".")


def test_every_path_of_every_definition_is_made_of_declared_names(configuration: Templates) -> None:
    unknown = {
        f"{stack}/{name}: $.{'.'.join(components)}"
        for stack, machine in machines(configuration)
        for name, state in states(machine)
        for components in paths(state)
        for component in components
        if component not in DECLARED and not SERVICE_FIELD.match(component)
    }
    assert not unknown


def test_the_path_check_sees_an_undeclared_name() -> None:
    state = {"Type": "Pass", "Parameters": {"a.$": "States.Format('{}', $.modle_version)"}}
    assert list(paths(state)) == [["modle_version"]]
    assert "modle_version" not in DECLARED


SERVICES = {"sagemaker", "ecr", "greengrassv2", "codebuild"}


@functools.cache
def service_model(service: str) -> Any:
    return Session().get_service_model(service)


def input_shape(service: str, operation: str) -> Any:
    return service_model(service).operation_model(operation).input_shape


def service_calls(templates: Templates) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """(where, service, operation, parameters) of every call of a service, the states language's own apart."""
    for stack, machine in machines(templates):
        for name, state in states(machine):
            integration = state.get("Resource", "").partition(":states:::")[2].removeprefix("aws-sdk:")
            service, _, action = integration.partition(":")
            if service in SERVICES:
                operation = action.split(".")[0]
                yield f"{stack}/{name}", service, operation[0].upper() + operation[1:], state["Parameters"]


# What the paths stand for while a machine runs, in the shapes that the functions return.
PAYLOAD: dict[str, Any] = {
    "$.pool.processing_inputs": [{"InputName": "pool", "S3Input": {"S3Uri": "s3://b/k", "S3DataType": "S3Prefix"}}],
    "$.pool.listed": "2026-01-31T12:00:00+00:00",
    "$.tasks.processing_inputs": [{"InputName": "round", "S3Input": {"S3Uri": "s3://b/k", "S3DataType": "S3Prefix"}}],
    "$.evaluation.processing_inputs": [
        {"InputName": "model", "S3Input": {"S3Uri": "s3://b/k", "S3DataType": "S3Prefix"}}
    ],
    "$.packaged.processing_inputs": [
        {"InputName": "package", "S3Input": {"S3Uri": "s3://b/k", "S3DataType": "S3Prefix"}}
    ],
    "$.plan.attempt.spot": True,
    "$.plan.attempt.stopping_condition": {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 2},
    "$.chunk.algorithms": {"LabelingJobAlgorithmSpecificationArn": "arn:aws:sagemaker:us-east-1:1:algorithm/a"},
    "$.target.input_config": {"S3Uri": "s3://b/k", "Framework": "ONNX", "DataInputConfig": "{}"},
    "$.target.output_config": {"S3OutputLocation": "s3://b/k", "TargetDevice": "rasp4b"},
    "$.hosting.container": {"Image": "image", "ModelDataUrl": "s3://b/k", "Environment": {}},
    "$.hosting.variants": [{"VariantName": "v", "ModelName": "m", "InstanceType": "ml.c5.xlarge"}],
}


def filled(value: Any) -> Any:
    """A request as it is sent: paths replaced by what they stand for, intrinsic functions by a text or a list."""
    if isinstance(value, list):
        return [filled(one) for one in value]
    if not isinstance(value, dict):
        return value
    request: dict[str, Any] = {}
    for key, inner in value.items():
        if not key.endswith(".$"):
            request[key] = filled(inner)
        elif inner.startswith("States.Array("):
            request[key[:-2]] = ["text"]
        else:
            request[key[:-2]] = PAYLOAD.get(inner, "text")
    return request


def first_letter_as_in(model: Any, request: Any) -> Any:
    """The request with the service's own spelling: Step Functions writes every name with a capital."""
    if isinstance(request, list):
        return [first_letter_as_in(model.member, one) for one in request]
    if not isinstance(request, dict) or model.type_name != "structure":
        return request
    spelling = {name.lower(): name for name in model.members}
    return {
        spelling.get(key.lower(), key): first_letter_as_in(model.members[spelling[key.lower()]], inner)
        if key.lower() in spelling
        else inner
        for key, inner in request.items()
    }


def test_every_service_call_is_one_that_botocore_accepts(configuration: Templates) -> None:
    seen = 0
    for where, service, operation, parameters in service_calls(configuration):
        shape = input_shape(service, operation)
        report = ParamValidator().validate(first_letter_as_in(shape, filled(parameters)), shape)
        assert not report.has_errors(), f"{where}: {report.generate_report()}"
        seen += 1
    assert seen >= 5


def test_the_call_check_refuses_a_field_that_does_not_exist() -> None:
    shape = input_shape("sagemaker", "CreateTrainingJob")
    request = filled({"TrainingJobName.$": "States.Format('x')", "SpotPlease": True})
    assert ParamValidator().validate(request, shape).has_errors()


def test_optimized_integrations_get_only_the_fields_that_they_take(configuration: Templates) -> None:
    for stack, template in configuration.items():
        for machine in resources(template, "AWS::StepFunctions::StateMachine").values():
            assert list(refused_parameters(text(machine["DefinitionString"]))) == [], stack


def test_the_jobs_take_the_options_that_they_are_given(configuration: Templates) -> None:
    parsers = {"score": score, "consolidate": consolidate, "merge": merge, "evaluate": evaluate, "compare": compare}
    for where, _, operation, parameters in service_calls(configuration):
        if operation == "CreateProcessingJob":
            array = parameters["AppSpecification"]["ContainerArguments.$"]
            verb, *arguments = [one.strip("'") for one in array[len("States.Array(") : -1].split(", ")]
            assert parsers[verb]._options([PAYLOAD.get(one, one) for one in arguments]), where


@pytest.mark.parametrize("kind", ["TrainingJob", "ProcessingJob", "LabelingJob"])
def test_a_job_name_comes_from_execution_state_part_retry_and_redrive(sandbox: Templates, kind: str) -> None:
    names = [
        parameters[f"{kind}Name.$"]
        for _, _, operation, parameters in service_calls(sandbox)
        if operation == f"Create{kind}"
    ]
    assert names
    for name in names:
        assert is_made_of(name, "$$.Execution.Id", "$$.State.Name", "$$.State.RetryCount", "$$.Execution.RedriveCount")
    assert all("$.attempt" in name and "$.index" in name for name in names) or kind != "LabelingJob"
    assert all("$.plan.attempt" in name for name in names) or kind != "TrainingJob"


def is_made_of(name: str, *parts: str) -> bool:
    """Whether a job is named by a hash of these, in no more characters than SageMaker takes."""
    prefix = re.match(r"States\.Format\('(reefloop-\w+)-\{\}', States\.Hash\(.*'SHA-1'\)\)$", name)
    assert prefix, name
    assert len(prefix[1]) + 1 + 40 <= 63, "SageMaker takes 63 characters; SHA-1 has 40"
    return all(part in name for part in parts)


def test_a_compilation_job_has_one_name_however_often_it_is_asked_for(sandbox: Templates) -> None:
    targets = definition(sandbox["compilation"])["States"]["Targets"]
    name = targets["ItemSelector"]["job"]["CompilationJobName.$"]
    assert is_made_of(name, "$$.Execution.Id", "$$.Map.Item.Value.name", "$$.Execution.RedriveCount")
    inside = targets["ItemProcessor"]["States"]
    asked = {inside[state]["Parameters"]["CompilationJobName.$"] for state in ("Create", "Describe", "Stop")}
    assert asked == {"$.job.CompilationJobName"}


def test_no_two_jobs_of_a_machine_share_a_state_name(sandbox: Templates) -> None:
    for stack, machine in machines(sandbox):
        names = [name for name, _ in states(machine)]
        assert len(names) == len(set(names)), stack
