"""TryEndpoint: whether the endpoint serves by now, and whether it answers as the model before it was compiled."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypedDict

from reefloop import clients, environment
from reefloop.compilation import containers, golden
from reefloop.payloads import CompilationTarget, Trial

_WAITING: Final = ("Creating", "Updating", "SystemUpdating")


@dataclass(frozen=True)
class Environment:
    data_bucket: str


class Event(TypedDict):
    """`deadline` is ISO 8601."""

    name: str
    model_version: str
    target: CompilationTarget
    image: str
    deadline: str


def handler(event: Event, _context: object) -> Trial:
    """Ask about every golden image; a model that has none is asked about zeros, and must answer with numbers.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
    """
    described = clients.sagemaker().describe_endpoint(EndpointName=event["name"])
    status = described["EndpointStatus"]
    if status in _WAITING and datetime.now(UTC) < datetime.fromisoformat(event["deadline"]):
        return Trial(state="waiting", reason="")
    if status in _WAITING:
        reasons = [f"the endpoint was still {status} when compilation.endpoint.timeout_seconds were over"]
    elif status != "InService":
        reasons = [f"the endpoint is {status}: {described.get('FailureReason', 'no reason was given')}"]
    else:
        reasons = list(_wrong(event, environment.read(Environment).data_bucket))
    return Trial(state="failed" if reasons else "passed", reason="; ".join(reasons))


def _wrong(event: Event, bucket: str) -> Iterator[str]:
    """What is wrong with the answers."""
    question = containers.of(event["image"]).question
    images = golden.of_model(bucket, event["model_version"])
    try:
        for image in images:
            found = golden.best(_ask(event["name"], containers.PICTURE, image.picture))
            if found != image.first:
                yield f"of {image.name} it finds label {found}, and the model before compilation finds {image.first}"
        if question and not images:
            body = containers.zeros(event["image"], containers.inputs(event["target"]))
            _ask(event["name"], question, body)
    except clients.client("sagemaker-runtime").exceptions.ModelError as error:
        yield f"the container refused a request: {error.response['Error']['Message']}"
    except _NoNumbers as error:
        yield str(error)


class _NoNumbers(Exception):
    """An answer is not what a model gives."""


def _ask(endpoint: str, content_type: str, body: bytes) -> list[float]:
    """All numbers of the answer, in its order.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
    """
    answer = (
        clients.client("sagemaker-runtime")
        .invoke_endpoint(EndpointName=endpoint, ContentType=content_type, Accept="application/json", Body=body)["Body"]
        .read()
    )
    try:
        numbers = list(_numbers(json.loads(answer)))
    except (ValueError, TypeError):
        numbers = []
    if not numbers or not all(map(math.isfinite, numbers)):
        raise _NoNumbers(f"it answers {answer[:200].decode(errors='replace')!r}, which is no list of finite numbers")
    return numbers


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = value["predictions"] if "predictions" in value else list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _numbers(one)
    else:
        yield float(value)
