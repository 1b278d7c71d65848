"""The machine that this runs on: what the deployment wrote down for it, and how other commands are called."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SETTINGS = Path("/opt/reefloop/settings.json")
DOCKER_SOCKET = Path("/var/run/docker.sock")


class Problem(Exception):
    """Something that a person can put right; the message is one sentence about what and how."""


@dataclass(frozen=True)
class Settings:
    """What boot.sh fetched: the stack writes it, stacks/workstation.py."""

    image_uri: str
    region: str
    idle_minutes: int

    @classmethod
    def load(cls) -> Settings:
        """
        Raises:
            Problem: the machine was not set up.
        """
        try:
            values = json.loads(SETTINGS.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise Problem(f"{SETTINGS} is missing: set the machine up with reefloop update") from None
        return cls(values["image_uri"], values["region"], int(values["idle_minutes"]))


def output(command: Sequence[str], **more: Any) -> str:
    """What a command prints. No shell is involved, so nothing in a name or a key can be one.

    Raises:
        Problem: it is missing, it failed, or it took longer than `timeout` seconds; its own words are in the message.
    """
    try:
        done = subprocess.run(list(command), check=True, capture_output=True, text=True, **more)
    except FileNotFoundError:
        raise Problem(f"the command {command[0]} is missing") from None
    except subprocess.TimeoutExpired as error:
        raise Problem(f"{' '.join(command[:3])} did not answer within {error.timeout:.0f} seconds") from None
    except subprocess.CalledProcessError as error:
        raise Problem(
            f"{' '.join(command[:3])} failed: {error.stderr.strip() or f'status {error.returncode}'}"
        ) from None
    return str(done.stdout)


def aws(region: str, *arguments: str) -> Any:
    """The answer of an AWS API call, made with the machine's own role."""
    command = ["aws", *arguments, "--region", region, "--output", "json"]
    # Without it version 2 of the command line waits in a pager.
    return json.loads(output(command, env={**os.environ, "AWS_PAGER": ""}))


def docker() -> list[str]:
    """Docker, with sudo for a user who is not in its group, as Session Manager's is not."""
    return ["docker"] if os.access(DOCKER_SOCKET, os.W_OK) else ["sudo", "docker"]
