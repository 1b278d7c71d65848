"""Builds of the offline account: the project's zip becomes an image that jobs run and the registry knows."""

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from offline.account import Account
from offline.runners.images import DockerfileError, Image
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


def test_an_image_remembers_its_words() -> None:
    image = Image.parse(FILES["Dockerfile"])

    assert image.entrypoint == ["python", "-m", "jobs"]
    assert image.workdir == "/opt/reefloop"
    assert image.environment == {"PYTHONUNBUFFERED": "1", "GREETING": "hello reef"}


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
        ({"readme.txt": "no Dockerfile"}, "open Dockerfile: no such file; the source has readme.txt"),
        ({"Dockerfile": DOCKERFILE.replace("COPY .", "COPY absent.txt")}, "COPY absent.txt /opt/program: not found"),
        ({"Dockerfile": DOCKERFILE + "HEALTHCHECK CMD true"}, "line 6: HEALTHCHECK is not known here"),
    ],
)
def test_a_source_that_cannot_be_built_fails_its_build(bench: Bench, files: dict[str, str], said: str) -> None:
    build = bench.build(files)

    assert build["buildStatus"] == "FAILED"
    assert said in reason(build)


def test_a_project_without_the_docker_daemon_fails_its_build(bench: Bench) -> None:
    build = bench.build(FILES, environment={"privilegedMode": False})

    assert "Cannot connect to the Docker daemon" in reason(build)


def test_a_push_to_a_repository_that_does_not_exist_fails_the_build(bench: Bench) -> None:
    override = {"name": "IMAGE_URI", "value": f"{REGISTRY}/nowhere:1", "type": "PLAINTEXT"}

    said = reason(bench.build(FILES, environmentVariablesOverride=[override]))

    assert "push to nowhere denied: The repository with name 'nowhere' does not exist" in said


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


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ENTRYPOINT python -m jobs", "write the exec form"),
        ("COPY --chown=user . /opt", "without options"),
        ("ENV NAME value", "write ENV NAME=value"),
        ("ADD https://example.com/a.tar /opt", "ADD is not known here"),
    ],
)
def test_a_line_that_would_be_lost_in_silence_is_refused(line: str, said: str) -> None:
    with pytest.raises(DockerfileError, match=said):
        Image.parse(f"FROM scratch\n{line}\n")


def test_a_dockerfile_without_an_entry_point_is_refused() -> None:
    with pytest.raises(DockerfileError, match="no ENTRYPOINT"):
        Image.parse("FROM scratch\nCOPY . /opt\n")
