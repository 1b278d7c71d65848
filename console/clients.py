"""AWS clients of the account that the environment leads to."""

from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from console.errors import Refusal
from settings import Settings, SettingsError

Clients = Callable[[str], Any]
"""Service name to boto3 client; the same client each time."""


def load_settings(stage: str | None) -> Settings:
    """The settings of a named stage, or of the one that cdk.json names.

    Raises:
        Refusal: there is no such stage, or one of its settings is not allowed.
    """
    try:
        return Settings.load(stage)
    except SettingsError as error:
        raise Refusal(str(error)) from error


def clients(region: str) -> Clients:
    """Clients made from the usual AWS_* variables and profiles, each made once.

    The region is the stage's, as it is for the stacks: what AWS_REGION says does not lead away from them.
    """
    session = boto3.Session(region_name=region)
    config = Config(retries={"mode": "standard", "max_attempts": 4})
    return cache(lambda service: session.client(service, config=config))


def is_on_this_machine(client: Any) -> bool:
    """Whether a client talks to an account on this machine rather than to AWS."""
    return urlsplit(client.meta.endpoint_url).hostname in {"localhost", "127.0.0.1", "::1"}
