"""What an endpoint test makes, and how nothing of it is left: the endpoint first, then what it was made of."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from reefloop import clients, contracts

# SageMaker has no error of its own for what is not there: https://github.com/aws/amazon-sagemaker-examples/issues/2402
_MISSING: Final = "could not find"

_log = logging.getLogger(__name__)


def delete(name: str) -> bool:
    """Delete what an endpoint test named so left. False while the endpoint is still there: ask again then.

    What the endpoint was made of must stay until it is gone:
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteEndpointConfig.html
    """
    sagemaker = clients.sagemaker()
    if endpoint := _unless_missing(sagemaker.describe_endpoint, EndpointName=name):
        if endpoint["EndpointStatus"] != "Deleting":
            _ask_to_delete(name)
        return False
    _unless_missing(sagemaker.delete_endpoint_config, EndpointConfigName=name)
    _unless_missing(sagemaker.delete_model, ModelName=name)
    return True


def older_than(moment: datetime) -> list[str]:
    """The names of all endpoint tests that began before and left something that costs or that is deleted last."""
    names: set[str] = set()
    for kind in ("Endpoint", "Model"):
        pages = clients.sagemaker().get_paginator(f"list_{kind.lower()}s")
        for page in pages.paginate(NameContains=contracts.ENDPOINTS, CreationTimeBefore=moment):
            names |= {found[f"{kind}Name"] for found in page[f"{kind}s"]}
    return sorted(name for name in names if name.startswith(contracts.ENDPOINTS))


def _ask_to_delete(name: str) -> None:
    """SageMaker refuses while it makes the endpoint: https://github.com/aws/amazon-sagemaker-examples/issues/3432"""
    try:
        clients.sagemaker().delete_endpoint(EndpointName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        _log.info("%s cannot be deleted yet: %s", name, error)


def _unless_missing(call: Callable[..., Any], **parameters: str) -> Any:
    try:
        return call(**parameters)
    except ClientError as error:
        if _MISSING not in error.response["Error"]["Message"].lower():
            raise
        return None
