"""Small documents that outlive the process: the policy's state, the configuration in force."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


def remember(path: Path, state: Mapping[str, Any]) -> None:
    """Keep a small document so that a power cut leaves it or the one before, whole. A disk that does not take it is
    no error: what it holds is a convenience of the next start."""
    draft = path.with_name(f"{path.name}.new")
    try:
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)  # the address of a camera may hold a password
        with draft.open("w") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        log.debug("%s is not kept: %s", path.name, error)


def recalled(path: Path) -> dict[str, Any] | None:
    """What `remember` kept; None where that is nothing that makes sense."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
