"""The AWS clients of the functions: made at first use, kept for the life of the process, none at import."""

from functools import cache
from typing import Any

import boto3
from botocore.config import Config

# Functions are retried by their state machine; a client only rides out throttling within one invocation.
_CONFIG = Config(retries={"mode": "standard", "max_attempts": 5})


@cache
def client(service: str) -> Any:
    """The client of one service; region, credentials and endpoint come from the environment."""
    return boto3.client(service, config=_CONFIG)


def s3() -> Any:
    return client("s3")


def sagemaker() -> Any:
    return client("sagemaker")


def greengrass() -> Any:
    return client("greengrassv2")


def iot() -> Any:
    return client("iot")


def iot_data() -> Any:
    return client("iot-data")


def dynamodb() -> Any:
    return client("dynamodb")


def sns() -> Any:
    return client("sns")
