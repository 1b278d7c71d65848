"""Deletes what endpoint tests left: an endpoint costs money for as long as it is there."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from botocore.exceptions import ClientError

from console.clients import Clients
from console.errors import Failure
from console.project import Project
from reefloop.contracts import ENDPOINTS

# SageMaker takes minutes to make an endpoint, and until then it cannot be deleted.
PATIENCE_SECONDS: Final = 900
_PAUSE_SECONDS: Final = 1.0
# The code of everything that SageMaker refuses, that something is not there (any more) included.
_REFUSED: Final = "ValidationException"


def delete_endpoints(clients: Clients, _: Project) -> Iterator[str]:
    """Delete every endpoint of an endpoint test, and when it is gone what it was made of.

    Raises:
        Failure: an endpoint is still there after PATIENCE_SECONDS.
    """
    sagemaker = clients("sagemaker")
    told: set[str] = set()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while names := _names(sagemaker, "Endpoint"):
        for name in names:
            if _delete(sagemaker.delete_endpoint, EndpointName=name) and name not in told:
                told.add(name)
                yield f"deleted endpoint {name}"
        if time.monotonic() > deadline:
            raise Failure(f"endpoint {names[0]} is still there after {PATIENCE_SECONDS} s: destroy again later")
        time.sleep(_PAUSE_SECONDS)
    for name in _names(sagemaker, "EndpointConfig"):
        if _delete(sagemaker.delete_endpoint_config, EndpointConfigName=name):
            yield f"deleted endpoint configuration {name}"
    for name in _names(sagemaker, "Model"):
        if _delete(sagemaker.delete_model, ModelName=name):
            yield f"deleted model {name}"


def _names(sagemaker: Any, kind: str) -> list[str]:
    operation = {"Endpoint": "list_endpoints", "EndpointConfig": "list_endpoint_configs", "Model": "list_models"}[kind]
    pages = sagemaker.get_paginator(operation).paginate(NameContains=ENDPOINTS)
    names = [found[f"{kind}Name"] for page in pages for found in page[f"{kind}s"]]
    return [name for name in names if name.startswith(ENDPOINTS)]


def _delete(delete: Callable[..., Any], **name: str) -> bool:
    """Whether SageMaker took it."""
    try:
        delete(**name)
    except ClientError as error:
        if error.response["Error"]["Code"] != _REFUSED:
            raise
        return False
    return True
