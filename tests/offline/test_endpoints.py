"""Endpoints of the offline account: made, asked, deleted; and what goes wrong on the way."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from onnx import TensorProto, helper

from offline.account import Account
from tests.any import tar_gz
from tests.offline.bench import Bench, any_name, until

SCRIPT = """
import json
import numpy

def neo_preprocess(body, content_type):
    return numpy.asarray(json.loads(body), numpy.float32)

def neo_postprocess(result):
    return json.dumps(result.tolist()), "application/json"

def transform_fn(model, body, content_type, accept):
    return neo_postprocess(model([neo_preprocess(body, content_type)]))
"""
CONTAINER = {"Image": "785573368785.dkr.ecr.us-east-1.amazonaws.com/sagemaker-neo-onnx:1.5.0-cpu-py3"}


@pytest.fixture(scope="module")
def bench(account: Account) -> Bench:
    return Bench(account)


def doubles() -> bytes:
    """A model that doubles two numbers."""
    values, twice = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("values", "twice"))
    nodes = [helper.make_node("Add", ["values", "values"], ["twice"])]
    graph = helper.make_graph(nodes, "doubles", [values], [twice])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)
    return bytes(made.SerializeToString())


def apart(bench: Bench) -> dict[str, Any]:
    """A container that fetches its entry point."""
    model = bench.put(f"{any_name('models')}.tar.gz", tar_gz({"compiled.onnx": doubles(), "compiler.json": b"{}"}))
    script = bench.put("script.tar.gz", tar_gz({"inference.py": SCRIPT.encode()}))
    return {**CONTAINER, "ModelDataUrl": model, "Environment": {"SAGEMAKER_SUBMIT_DIRECTORY": script}}


def within(bench: Bench) -> dict[str, Any]:
    """A container that has its entry point beside the model."""
    files = {"compiled.onnx": doubles(), "code/inference.py": SCRIPT.encode()}
    model = bench.put(f"{any_name('models')}.tar.gz", tar_gz(files))
    return {**CONTAINER, "ModelDataUrl": model, "Environment": {"SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}}


def create(bench: Bench, container: Mapping[str, Any], instance_type: str = "ml.c5.xlarge") -> str:
    """The name of a new endpoint, of its configuration and of its model."""
    name = any_name("endpoint")
    variant = {"VariantName": "all", "ModelName": name, "InstanceType": instance_type, "InitialInstanceCount": 1}
    bench.sagemaker.create_model(ModelName=name, ExecutionRoleArn=bench.role, PrimaryContainer=container)
    bench.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    bench.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    return name


def made(bench: Bench, name: str) -> dict[str, Any]:
    """The endpoint once it is no longer being made."""
    describe = bench.sagemaker.describe_endpoint
    endpoint: dict[str, Any] = until(
        lambda: describe(EndpointName=name), lambda seen: seen["EndpointStatus"] != "Creating"
    )
    return endpoint


def ask(bench: Bench, name: str, body: bytes = b"[[1, 2.5]]") -> Any:
    runtime = bench.account.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName=name, ContentType="application/json", Body=body)
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("application/json", "all")
    return json.loads(answer["Body"].read())


def refused(call: Any, **parameters: Any) -> tuple[str, str]:
    """Code and message of the error that a call gets."""
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


@pytest.fixture(scope="module")
def serving(bench: Bench) -> str:
    name = create(bench, apart(bench))
    assert made(bench, name)["EndpointStatus"] == "InService"
    return name


def test_an_endpoint_answers_with_what_the_compiled_model_says(bench: Bench, serving: str) -> None:
    assert ask(bench, serving) == [[2, 5]]


def test_the_entry_point_may_lie_beside_the_model(bench: Bench) -> None:
    name = create(bench, within(bench))
    assert made(bench, name)["EndpointStatus"] == "InService"
    assert ask(bench, name) == [[2, 5]]


def test_an_endpoint_is_created_before_it_serves(bench: Bench) -> None:
    name = create(bench, apart(bench))
    assert bench.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Creating"
    code, message = refused(bench.account.client("sagemaker-runtime").invoke_endpoint, EndpointName=name, Body=b"?")
    assert (code, message) == ("ValidationError", f"Endpoint {name} of account 123456789012 not found.")


def test_what_the_entry_point_trips_over_is_told_to_who_asked(bench: Bench, serving: str) -> None:
    runtime = bench.account.client("sagemaker-runtime")
    code, message = refused(runtime.invoke_endpoint, EndpointName=serving, Body=b"no JSON")
    assert code == "ModelError"
    assert 'Received client error (400) from primary with message "JSONDecodeError' in message


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        ({**CONTAINER, "ModelDataUrl": "s3://bench/nothing.tar.gz"}, "Failed to download model data"),
        ({**CONTAINER, "ModelDataUrl": "s3://bench/empty.tar.gz"}, "did not pass the ping health check"),
    ],
)
def test_a_container_without_its_model_fails(bench: Bench, container: dict[str, Any], reason: str) -> None:
    bench.put("empty.tar.gz", tar_gz({}))
    endpoint = made(bench, create(bench, container))
    assert endpoint["EndpointStatus"] == "Failed"
    assert reason in endpoint["FailureReason"]


def test_a_container_can_be_told_to_fail(bench: Bench) -> None:
    bench.faults.fail_job("endpoint", "ResourceLimitExceeded: no instances")
    endpoint = made(bench, create(bench, apart(bench)))
    assert (endpoint["EndpointStatus"], endpoint["FailureReason"]) == ("Failed", "ResourceLimitExceeded: no instances")


def test_an_endpoint_that_never_serves_cannot_be_deleted_before_it_failed(bench: Bench) -> None:
    bench.faults.stall_job("endpoint")
    name = create(bench, apart(bench))
    code, message = refused(bench.sagemaker.delete_endpoint, EndpointName=name)
    assert code == "ValidationException"
    assert message.startswith("Cannot update in-progress endpoint")
    assert made(bench, name)["EndpointStatus"] == "Failed"
    bench.sagemaker.delete_endpoint(EndpointName=name)
    wait_until_gone(bench, name)


def wait_until_gone(bench: Bench, name: str) -> None:
    def names() -> set[str]:
        found = bench.sagemaker.list_endpoints(NameContains=name)["Endpoints"]
        return {one["EndpointName"] for one in found}

    until(names, lambda found: name not in found)


def test_what_is_deleted_is_gone_and_its_name_free(bench: Bench) -> None:
    name = create(bench, apart(bench))
    made(bench, name)
    bench.sagemaker.delete_endpoint(EndpointName=name)
    wait_until_gone(bench, name)
    bench.sagemaker.delete_endpoint_config(EndpointConfigName=name)
    bench.sagemaker.delete_model(ModelName=name)
    for call, key in (
        (bench.sagemaker.delete_endpoint, "EndpointName"),
        (bench.sagemaker.delete_endpoint_config, "EndpointConfigName"),
        (bench.sagemaker.delete_model, "ModelName"),
    ):
        code, message = refused(call, **{key: name})
        assert code == "ValidationException"
        assert message.startswith("Could not find")


def test_a_name_is_taken_once(bench: Bench, serving: str) -> None:
    calls = bench.sagemaker
    variant = {"VariantName": "v", "ModelName": serving, "InstanceType": "ml.c5.large", "InitialInstanceCount": 1}
    for call, parameters in (
        (calls.create_model, {"ModelName": serving, "ExecutionRoleArn": bench.role, "PrimaryContainer": CONTAINER}),
        (calls.create_endpoint_config, {"EndpointConfigName": serving, "ProductionVariants": [variant]}),
        (calls.create_endpoint, {"EndpointName": serving, "EndpointConfigName": serving}),
    ):
        code, message = refused(call, **parameters)
        assert code == "ValidationException"
        assert message.startswith("Cannot create already existing")


def test_instances_are_those_of_the_api_and_models_those_that_there_are(bench: Bench) -> None:
    assert create(bench, apart(bench), "ml.c6g.xlarge")
    code, message = refused(create, bench=bench, container=apart(bench), instance_type="ml.toaster")
    assert code == "ValidationException"
    assert "ml.toaster" in message


def test_models_and_endpoints_are_listed_by_name_and_age(bench: Bench, serving: str) -> None:
    later = datetime.now(UTC) + timedelta(minutes=1)
    for list_, kind in ((bench.sagemaker.list_models, "Model"), (bench.sagemaker.list_endpoints, "Endpoint")):
        found = list_(NameContains=serving, CreationTimeBefore=later)[f"{kind}s"]
        assert serving in {one[f"{kind}Name"] for one in found}
        assert list_(NameContains=serving, CreationTimeBefore=later - timedelta(days=1))[f"{kind}s"] == []
        assert list_(NameContains="nobody")[f"{kind}s"] == []


def test_a_fault_is_for_the_endpoint_that_is_made_next_and_for_none_that_is_being_made(bench: Bench) -> None:
    before = create(bench, apart(bench))
    bench.faults.fail_job("endpoint", "ResourceLimitExceeded: no instances")
    after = create(bench, apart(bench))
    assert made(bench, before).get("FailureReason") != "ResourceLimitExceeded: no instances"
    assert made(bench, after)["FailureReason"] == "ResourceLimitExceeded: no instances"
