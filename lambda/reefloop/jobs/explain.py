"""ExplainBuild: why there is no container, in one sentence."""

import json
import re
from typing import Any, Final, TypedDict

_QUOTA: Final = "Concurrently running builds for Linux/Medium environment"
# StartBuild of an account that may not build: "Cannot have more than 0 builds in queue for the account".
# https://docs.aws.amazon.com/codebuild/latest/userguide/troubleshooting.html
_REFUSED: Final = re.compile(r"Cannot have more than (\d+) builds? in queue", re.IGNORECASE)
# What jobs/audit begins the summary of an image with that may be pushed.
_CLEAN: Final = "clean: "
_CHARACTERS: Final = 2000


class ImageRefused(Exception):
    """The audit found something in the image, which was not pushed; the message says what, where and what to do."""


class BuildFailed(Exception):
    """A phase of the build failed; the message has what CodeBuild says of it and where the log is."""


class BuildsNotAllowed(Exception):
    """CodeBuild takes no builds of this account; the message names the quota."""


class CaughtError(TypedDict):
    Error: str
    Cause: str


class BuildPlan(TypedDict):
    """`redrives` are those of the execution before the build began."""

    redrives: int


class Event(TypedDict):
    """`redrives` are those of the execution now."""

    error: CaughtError
    plan: BuildPlan
    redrives: int


def handler(event: Event, _context: object) -> dict[str, str]:
    """End the execution with the reason of its failed build, or let a redriven one build again.

    A redrive runs the state that failed, which is this one, once more: whoever redrives has raised a quota or mended
    what was wrong outside the source.

    Raises:
        ImageRefused, BuildFailed, BuildsNotAllowed.
    """
    if event["redrives"] > event["plan"]["redrives"]:
        return {}
    error, cause = event["error"]["Error"], event["error"]["Cause"]
    if "AccountLimitExceeded" in error or _REFUSED.search(cause):
        raise BuildsNotAllowed(
            f"CodeBuild refuses to build the container of the jobs: {cause}. A new account may run no builds until AWS "
            f"raises its quota: ask Service Quotas for 1 '{_QUOTA}', then redrive this execution"
        )
    build = _build(cause)
    if build is None:
        raise BuildFailed(f"the build of the jobs' container did not start: {error}: {cause}"[:_CHARACTERS])
    exported = {one["Name"]: one.get("Value") or "" for one in build.get("ExportedEnvironmentVariables") or ()}
    if (verdict := exported.get("AUDIT", "")) and not verdict.startswith(_CLEAN):
        raise ImageRefused(f"the image of the jobs was built and not pushed. {verdict}"[:_CHARACTERS])
    raise BuildFailed(f"the build of the jobs' container failed{_phase(build)}{_log(build)}"[:_CHARACTERS])


def _build(cause: str) -> dict[str, Any] | None:
    """The build that a failed `startBuild.sync` has as its cause.

    https://docs.aws.amazon.com/step-functions/latest/dg/connect-codebuild.html
    """
    try:
        build = json.loads(cause)["Build"]
    except (ValueError, KeyError, TypeError):
        return None
    return build if isinstance(build, dict) else None


def _phase(build: dict[str, Any]) -> str:
    """The first phase that did not succeed, and what CodeBuild says of it."""
    for phase in build.get("Phases") or ():
        if phase.get("PhaseStatus", "SUCCEEDED") != "SUCCEEDED":
            said = "; ".join(one.get("Message") or "" for one in phase.get("Contexts") or ())
            return f" in its phase {phase['PhaseType']} ({phase['PhaseStatus']}){said and f': {said}'}"
    return f" ({build.get('BuildStatus', 'no status')})"


def _log(build: dict[str, Any]) -> str:
    logs = build.get("Logs") or {}
    where = " ".join(filter(None, (logs.get("GroupName"), logs.get("StreamName"))))
    return f"; its log in CloudWatch has more: {where}" if where else ""
