"""AWS clients of the account that the environment leads to."""

from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

Clients = Callable[[str], Any]
"""Service name to boto3 client; the same client each time."""


def clients(region: str | None = None) -> Clients:
    """Clients made from the usual AWS_* variables and profiles, each made once."""
    session = boto3.Session(region_name=region)
    config = Config(retries={"mode": "standard", "max_attempts": 4})
    return cache(lambda service: session.client(service, config=config))


def is_on_this_machine(client: Any) -> bool:
    """Whether a client talks to an account on this machine rather than to AWS."""
    return urlsplit(client.meta.endpoint_url).hostname in {"localhost", "127.0.0.1", "::1"}
