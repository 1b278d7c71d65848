"""Builds of the offline account: the project's zip becomes an image that jobs run and the registry knows."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from offline.account import Account
from offline.runners import Job
from offline.runners.docker import Docker
from offline.services.codebuild import PHASES
from tests.offline.bench import DOCKERFILE, REGISTRY, REPOSITORY, Bench, any_name, until

FILES = {
    "Dockerfile": """
# syntax=docker/dockerfile:1
FROM public.ecr.aws/deep-learning-containers/pytorch:2.13 AS base
ARG VERSION=1
LABEL project="reefloop"
ENV PYTHONUNBUFFERED=1 GREETING="hello reef"
WORKDIR /opt/reefloop
COPY requirements.txt /opt/reefloop/
RUN pip install \\
    --requirement requirements.txt
COPY . /opt/reefloop/jobs
USER root
ENTRYPOINT ["python", "-m", "jobs"]
""",
    "requirements.txt": "numpy",
    "__main__.py": "print('jobs')",
    "training/model.py": "layers = 3",
}


@pytest.fixture(scope="module")
def bench(account: Account) -> Bench:
    return Bench(account)


def reason(build: Mapping[str, Any]) -> str:
    """Why a build failed: what its failed phase says."""
    [failed] = [phase for phase in build["phases"] if phase.get("phaseStatus") == "FAILED"]
    [context] = failed["contexts"]
    assert context["statusCode"] == "COMMAND_EXECUTION_ERROR"
    return str(context["message"])


def log(bench: Bench, build: Mapping[str, Any]) -> str:
    """What the commands of a build printed."""
    return (bench.account.state.folder / "jobs" / build["id"].replace(":", "-") / "log.txt").read_text()


def spec(**phases: list[str]) -> str:
    """A buildspec of these commands, which exports GREETING."""
    described = {name: {"commands": commands} for name, commands in phases.items()}
    return json.dumps({"version": "0.2", "env": {"exported-variables": ["GREETING"]}, "phases": described})


def exported(build: Mapping[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in build["exportedEnvironmentVariables"]}


def test_a_build_lays_out_what_the_dockerfile_copies_and_registers_the_image(bench: Bench) -> None:
    build = bench.build(FILES)

    assert build["buildStatus"] == "SUCCEEDED", build["phases"]
    tag = build["projectName"]
    [image] = bench.ecr.describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": tag}])["imageDetails"]
    assert image["imageDigest"].startswith("sha256:")
    folder = bench.account.state.folder / "images" / REPOSITORY / tag
    files = {str(path.relative_to(folder / "rootfs")) for path in folder.glob("rootfs/**/*") if path.is_file()}
    assert files == {
        "opt/reefloop/requirements.txt",
        "opt/reefloop/jobs/Dockerfile",
        "opt/reefloop/jobs/requirements.txt",
        "opt/reefloop/jobs/__main__.py",
        "opt/reefloop/jobs/training/model.py",
    }


def test_a_built_image_runs_as_a_package_of_its_working_directory(bench: Bench) -> None:
    build = bench.build(FILES)

    job = bench.process(f"{REGISTRY}/{REPOSITORY}:{build['projectName']}")

    assert job["ProcessingJobStatus"] == "Completed", job
    log = bench.account.state.folder / "jobs" / job["ProcessingJobName"] / "log.txt"
    assert log.read_text() == "jobs\n"


def test_a_build_goes_through_the_phases_of_the_service(bench: Bench) -> None:
    build = bench.build(FILES)

    assert tuple(phase["phaseType"] for phase in build["phases"]) == PHASES
    assert {phase.get("phaseStatus") for phase in build["phases"][:-1]} == {"SUCCEEDED"}
    assert (build["currentPhase"], build["buildComplete"]) == ("COMPLETED", True)


def test_the_image_to_push_can_be_given_to_a_single_build(bench: Bench) -> None:
    tag = any_name("tag")
    override = {"name": "IMAGE_URI", "value": f"{REGISTRY}/{REPOSITORY}:{tag}", "type": "PLAINTEXT"}

    assert bench.build(FILES, environmentVariablesOverride=[override])["buildStatus"] == "SUCCEEDED"

    assert bench.ecr.describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": tag}])["imageDetails"]


def test_the_same_source_has_the_same_digest(bench: Bench) -> None:
    tags = [bench.build(FILES)["projectName"] for _ in range(2)]

    found = bench.ecr.describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": tag} for tag in tags])

    assert len({image["imageDigest"] for image in found["imageDetails"]}) == 1


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"readme.txt": "no Dockerfile"}, "open Dockerfile: no such file; there is readme.txt"),
        ({"Dockerfile": DOCKERFILE.replace("COPY .", "COPY absent.txt")}, "COPY absent.txt /opt/program: not found"),
        ({"Dockerfile": DOCKERFILE + "HEALTHCHECK CMD true"}, "line 6: HEALTHCHECK is not known here"),
    ],
)
def test_a_source_that_cannot_be_built_fails_its_build(bench: Bench, files: dict[str, str], said: str) -> None:
    build = bench.build(files)

    assert build["buildStatus"] == "FAILED"
    assert reason(build) == 'Error while executing command: docker build --tag "$IMAGE_URI" .. Reason: exit status 1'
    assert said in log(bench, build)


def test_a_project_without_the_docker_daemon_fails_its_build(bench: Bench) -> None:
    build = bench.build(FILES, environment={"privilegedMode": False})

    assert build["buildStatus"] == "FAILED"
    assert "Cannot connect to the Docker daemon" in log(bench, build)


def test_a_push_to_a_repository_that_does_not_exist_fails_the_build(bench: Bench) -> None:
    override = {"name": "IMAGE_URI", "value": f"{REGISTRY}/nowhere:1", "type": "PLAINTEXT"}

    build = bench.build(FILES, environmentVariablesOverride=[override])

    assert build["buildStatus"] == "FAILED"
    assert "denied: The repository with name 'nowhere' does not exist" in log(bench, build)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("docker compose up", "docker compose up: this account knows aws ecr get-login-password, docker login"),
        ("docker build --squash --tag x .", "docker build: unrecognized arguments: --squash"),
        ("docker build .", "docker build: the following arguments are required: --tag"),
        ("docker build --build-arg OTHER=1 --tag x .", "no ARG takes the build arguments ['OTHER']"),
        ("aws s3 ls", "aws s3 ls: this account knows"),
        ("docker image save absent:1", "No such image: absent:1"),
        ("docker image inspect --format '{{.Size}}' python:3.13", "No such image: python:3.13"),
        ("docker pull python", "python: not found; name it with its tag"),
        ("docker pull python:3.13@sha256:0", "python:3.13@sha256:0: not found; python:3.13 is sha256:"),
        ("docker push there/x:1", "No such image: there/x:1"),
        ("docker build --tag there/x:1 . && docker push there/x:1", "no basic auth credentials: log in to"),
        ("docker login --username AWS --password-stdin there", "the password on standard input is empty"),
        (f"docker manifest inspect {REGISTRY}/{REPOSITORY}:none", "no such manifest"),
    ],
)
def test_a_command_that_would_do_something_else_here_fails(
    bench: Bench, tmp_path: Path, command: str, said: str
) -> None:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    job = Job("build", any_name("build"), "", {"serviceRole": bench.role}, bench.account.state, print)
    docker = Docker(job, runs=True)

    answers = [docker.run(shlex.split(one), tmp_path, "") for one in command.split(" && ")]

    assert answers[-1].status == 1
    assert said in answers[-1].error


def test_commands_follow_each_other_with_variables_and_folder(bench: Bench) -> None:
    commands = spec(
        install=["mkdir elsewhere && cd elsewhere", "export GREETING=\"hello 'reef'\"", "unexported=1"],
        build=['test "$(basename "$PWD")" = elsewhere', 'test "$CODEBUILD_SRC_DIR/elsewhere" = "$PWD"'],
    )

    build = bench.build(FILES, source={"buildspec": commands})

    assert build["buildStatus"] == "SUCCEEDED", log(bench, build)
    assert exported(build) == {"GREETING": "hello 'reef'"}


def test_a_failed_command_ends_its_phase_and_leaves_no_variables(bench: Bench) -> None:
    commands = spec(
        pre_build=["export GREETING=before"],
        build=["export GREETING=after && false", "echo never"],
        post_build=["echo succeeding=$CODEBUILD_BUILD_SUCCEEDING"],
    )

    build = bench.build(FILES, source={"buildspec": commands})

    assert reason(build) == "Error while executing command: export GREETING=after && false. Reason: exit status 1"
    assert exported(build) == {"GREETING": "before"}
    assert "echo never" not in log(bench, build)
    assert "succeeding=0" in log(bench, build)
    ends = {phase["phaseType"]: phase.get("phaseStatus") for phase in build["phases"]}
    assert (ends["PRE_BUILD"], ends["BUILD"], ends["POST_BUILD"]) == ("SUCCEEDED", "FAILED", "SUCCEEDED")


def test_a_build_that_cannot_prepare_does_not_build(bench: Bench) -> None:
    build = bench.build(FILES, source={"buildspec": spec(pre_build=["exit 3"], build=["echo never"])})

    assert reason(build) == "Error while executing command: exit 3. Reason: exit status 3"
    assert [phase["phaseType"] for phase in build["phases"]][-3:] == ["PRE_BUILD", "FINALIZING", "COMPLETED"]


@pytest.mark.parametrize(
    ("buildspec", "said"),
    [
        ("phases:\n  build: {}", "written as JSON"),
        ('{"version": "0.2", "reports": {}}', "the buildspec has ['reports']"),
        ('{"version": "0.2", "phases": {"build": {"on-failure": "RETRY"}}}', "build has ['on-failure']"),
        ('{"version": "0.1", "phases": {}}', "version 0.2"),
        ("", "stat buildspec.yml: no such file"),
    ],
)
def test_a_buildspec_that_would_be_lost_in_silence_is_refused(bench: Bench, buildspec: str, said: str) -> None:
    assert said in reason(bench.build(FILES, source={"buildspec": buildspec}))


def test_an_immutable_tag_is_pushed_once(bench: Bench) -> None:
    repository = any_name("immutable")
    bench.ecr.create_repository(repositoryName=repository, imageTagMutability="IMMUTABLE")
    override = [{"name": "IMAGE_URI", "value": f"{REGISTRY}/{repository}:1", "type": "PLAINTEXT"}]

    first, second = (bench.build(FILES, environmentVariablesOverride=override) for _ in range(2))

    assert (first["buildStatus"], second["buildStatus"]) == ("SUCCEEDED", "FAILED")
    assert f"The image tag '1' already exists in the '{repository}' repository" in log(bench, second)


def test_what_the_build_context_ignores_is_not_copied(bench: Bench) -> None:
    files = {**FILES, ".dockerignore": "**/__pycache__\nDockerfile\n", "training/__pycache__/x.pyc": "1"}

    build = bench.build(files)

    folder = bench.account.state.folder / "images" / REPOSITORY / build["projectName"] / "rootfs/opt/reefloop/jobs"
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {".dockerignore", "requirements.txt", "__main__.py", "training/model.py"}


def test_a_planned_failure_fails_the_build(bench: Bench) -> None:
    bench.faults.fail_job("build", "the base image cannot be pulled")

    assert reason(bench.build(FILES)) == "the base image cannot be pulled"


def test_a_stopped_build_is_stopped(bench: Bench) -> None:
    project = bench.build(FILES)["projectName"]
    bench.faults.stall_job("build")
    build = bench.codebuild.start_build(projectName=project)["build"]

    def phase() -> str:
        return str(bench.codebuild.batch_get_builds(ids=[build["id"]])["builds"][0]["currentPhase"])

    until(phase, "PROVISIONING".__eq__)
    bench.codebuild.stop_build(id=build["id"])

    assert bench.built(build["id"])["buildStatus"] == "STOPPED"


def test_an_override_that_would_be_lost_is_refused(bench: Bench) -> None:
    project = bench.build(FILES)["projectName"]

    with pytest.raises(ClientError) as refused:
        bench.codebuild.start_build(projectName=project, buildspecOverride="version: 0.2")

    assert refused.value.response["Error"]["Code"] == "InvalidInputException"


def test_builds_that_do_not_exist_are_named(bench: Bench) -> None:
    assert bench.codebuild.batch_get_builds(ids=["nobody:1"])["buildsNotFound"] == ["nobody:1"]
    with pytest.raises(ClientError) as refused:
        bench.codebuild.start_build(projectName="nobody")
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"
