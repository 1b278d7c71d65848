"""CodeBuild: moto's projects, and builds that build."""

import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from moto.codebuild import urls
from moto.codebuild.exceptions import InvalidInputException, ResourceNotFoundException
from moto.codebuild.models import CodeBuildBackend, codebuild_backends
from moto.codebuild.responses import CodeBuildResponse
from moto.core.responses import ActionResult

from offline.runners import Job, build, now, run
from offline.state import ACCOUNT_ID, State

# https://docs.aws.amazon.com/codebuild/latest/APIReference/API_BuildPhase.html
PHASES: Final = (
    "SUBMITTED",
    "QUEUED",
    "PROVISIONING",
    "DOWNLOAD_SOURCE",
    "INSTALL",
    "PRE_BUILD",
    "BUILD",
    "POST_BUILD",
    "UPLOAD_ARTIFACTS",
    "FINALIZING",
    "COMPLETED",
)
# What a build may be given on top of its project. Anything else is refused, since it would be lost in silence.
HONOURED: Final = frozenset(
    {
        "environmentVariablesOverride",
        "idempotencyToken",
        "privilegedModeOverride",
        "projectName",
        "serviceRoleOverride",
        "sourceLocationOverride",
        "sourceTypeOverride",
    }
)
_STATUSES: Final = {"Completed": "SUCCEEDED", "Failed": "FAILED", "Stopped": "STOPPED"}


@dataclass
class Build:
    """One build: what BatchGetBuilds tells, and the work behind it."""

    answer: dict[str, Any]
    lock: threading.Lock
    job: Job | None = None
    thread: threading.Thread | None = None

    def describe(self) -> dict[str, Any]:
        with self.lock:
            return {**self.answer, "phases": [dict(phase) for phase in self.answer["phases"]]}

    def report(self, fields: Mapping[str, Any]) -> None:
        with self.lock:
            self.answer |= fields

    def phase(self, name: str, failure: str = "", *, status: str = "SUCCEEDED") -> None:
        """Go on to a phase; those left out on the way took no time.

        `failure` is why the phase that ends failed, or `status` how else it ended.
        """
        status, message = ("FAILED", failure) if failure else (status, "")
        with self.lock:
            at, phases = now(), self.answer["phases"]
            for passed in PHASES[PHASES.index(phases[-1]["phaseType"]) + 1 if phases else 0 : PHASES.index(name) + 1]:
                self._end_phase(at, status, message)
                if status == "SUCCEEDED" or passed in (name, "FINALIZING", "COMPLETED"):
                    phases.append({"phaseType": passed, "startTime": at})
                    status, message = "SUCCEEDED", ""
            self.answer["currentPhase"] = name

    def _end_phase(self, at: Any, status: str, message: str) -> None:
        for phase in self.answer["phases"][-1:]:
            if "endTime" not in phase:
                phase |= {
                    "phaseStatus": status,
                    "endTime": at,
                    "durationInSeconds": int((at - phase["startTime"]).seconds),
                }
                if message:
                    phase["contexts"] = [{"statusCode": "COMMAND_EXECUTION_ERROR", "message": message}]

    def work(self) -> None:
        job = self.job
        assert job is not None  # noqa: S101  the thread starts after the job was set
        self.phase("PROVISIONING")
        outcome = run(job, build.work)
        status = _STATUSES[outcome.status]
        told = any(phase.get("phaseStatus") == "FAILED" for phase in self.answer["phases"])
        if told:
            self.phase("COMPLETED")
        else:
            self.phase("COMPLETED", outcome.reason, status=status)
        with self.lock:
            self.answer |= {"buildStatus": status, "buildComplete": True, "endTime": now()}


class CodeBuild(CodeBuildBackend):
    """The projects and builds of one region."""

    state: State

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.builds: dict[str, Build] = {}

    @property
    def _url_module(self) -> ModuleType:
        return urls  # type: ignore[no-any-return]

    def start(self, request: Mapping[str, Any]) -> Build:
        """Begin a build of a project, with what the request overrides."""
        name = request["projectName"].rpartition("/")[2]
        if name not in self.codebuild_projects:
            arn = f"arn:aws:codebuild:{self.region_name}:{self.account_id}:project/{name}"
            raise ResourceNotFoundException(f"Project cannot be found: {arn}")
        project = self.codebuild_projects[name].project_metadata
        source = {
            **project["source"],
            **{
                key: request[f"source{key.capitalize()}Override"]
                for key in ("type", "location")
                if f"source{key.capitalize()}Override" in request
            },
        }
        variables = {
            one["name"]: one
            for one in (
                *project["environment"].get("environmentVariables", []),
                *request.get("environmentVariablesOverride", []),
            )
        }
        privileged = request.get("privilegedModeOverride", project["environment"].get("privilegedMode", False))
        environment = {
            **project["environment"],
            "environmentVariables": list(variables.values()),
            "privilegedMode": privileged,
        }
        identity = f"{name}:{uuid.uuid4()}"
        made = Build(
            {
                "id": identity,
                "arn": f"arn:aws:codebuild:{self.region_name}:{self.account_id}:build/{identity}",
                "buildNumber": 1 + sum(one.answer["projectName"] == name for one in self.builds.values()),
                "startTime": now(),
                "currentPhase": "SUBMITTED",
                "buildStatus": "IN_PROGRESS",
                "projectName": name,
                "phases": [],
                "source": source,
                "artifacts": {"location": ""},
                "cache": project["cache"],
                "exportedEnvironmentVariables": [],
                "logs": {
                    "groupName": _log_group(project) or f"/aws/codebuild/{name}",
                    "streamName": identity.partition(":")[2],
                },
                "environment": environment,
                "serviceRole": request.get("serviceRoleOverride", project["serviceRole"]),
                "timeoutInMinutes": project["timeoutInMinutes"] or 60,
                "queuedTimeoutInMinutes": project["queuedTimeoutInMinutes"] or 480,
                "buildComplete": False,
                "initiator": "offline",
            },
            threading.Lock(),
        )
        made.phase("SUBMITTED")
        made.phase("QUEUED")
        asked = {
            "projectName": name,
            "serviceRole": made.answer["serviceRole"],
            "source": source,
            "environment": {name: one["value"] for name, one in variables.items()},
            "privilegedMode": privileged,
            "buildspec": source.get("buildspec", ""),
        }
        made.job = Job(
            "build", identity.replace(":", "-"), made.answer["arn"], asked, self.state, made.report, made.phase
        )
        self.builds[identity] = made
        made.thread = threading.Thread(target=made.work, name=made.answer["arn"], daemon=True)
        made.thread.start()
        return made

    def find(self, identity: str) -> Build:
        """A build by its id or ARN."""
        if ":" not in identity:
            raise InvalidInputException("Invalid build ID provided")
        found = self.builds.get(identity) or self.builds.get(identity.partition(":build/")[2])
        if found is None:
            raise ResourceNotFoundException(f"Build {identity} does not exist")
        return found

    def close(self) -> None:
        for made in self.builds.values():
            if made.job:
                made.job.stopping.set()
        for made in self.builds.values():
            if made.thread:
                made.thread.join(timeout=15)


def _log_group(project: Mapping[str, Any]) -> str:
    logs: Mapping[str, Any] = (project.get("logsConfig") or {}).get("cloudWatchLogs") or {}
    return str(logs.get("groupName") or "")


class Responses(CodeBuildResponse):
    """The calls about builds, which moto answers with what it made up."""

    def update_project(self) -> Any:
        """Change what the request names and keep the rest."""
        name = self._get_param("name")
        if name not in self.codebuild_backend.codebuild_projects:
            raise ResourceNotFoundException(f"Project cannot be found: {name}")
        project = self.codebuild_backend.codebuild_projects[name].project_metadata
        given = {key: self._get_param(key) for key in project if key not in ("arn", "created", "lastModified")}
        project |= {**{key: value for key, value in given.items() if value is not None}, "lastModified": now()}
        return ActionResult({"project": project})

    def start_build(self) -> Any:
        request = json.loads(self.body)
        if unknown := request.keys() - HONOURED:
            raise InvalidInputException(f"this account does not honour {sorted(unknown)}, only {sorted(HONOURED)}")
        return ActionResult({"build": self.codebuild_backend.start(request).describe()})

    def stop_build(self) -> Any:
        made = self.codebuild_backend.find(self._get_param("id"))
        made.job.stopping.set()
        return ActionResult({"build": made.describe()})

    def batch_get_builds(self) -> Any:
        found, missing = [], []
        for identity in self._get_param("ids"):
            try:
                found.append(self.codebuild_backend.find(identity).describe())
            except ResourceNotFoundException:
                missing.append(identity)
        return ActionResult({"builds": found, "buildsNotFound": missing})

    def list_builds(self) -> Any:
        return ActionResult({"ids": list(reversed(self.codebuild_backend.builds))})

    def list_builds_for_project(self) -> Any:
        name, builds = self._get_param("projectName"), self.codebuild_backend.builds
        return ActionResult({"ids": [key for key in reversed(builds) if builds[key].answer["projectName"] == name]})


def install(state: State) -> None:
    """Serve CodeBuild from the account's server; call it before the first request."""
    CodeBuild.state = state
    codebuild_backends.backend = CodeBuild
    urls.url_paths = {"{0}/$": Responses.dispatch}
    state.closing.callback(lambda: codebuild_backends[ACCOUNT_ID][state.region].close())
