"""The job container runs under Docker as it does under SageMaker."""

import json
import os
from pathlib import Path

import pytest

from tests.workstation.commands import Commands
from workstation.cli import main

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/jobs:then"
USER = f"{os.getuid()}:{os.getgid()}"
PREFIX = f"run --rm --gpus all --shm-size 8g --user {USER}"


@pytest.fixture(autouse=True)
def _job(home: Path, commands: Commands) -> None:
    """One job, made again."""
    folder = home / "reefloop-training-1"
    (folder / "ml").mkdir(parents=True)
    job = {"image_uri": IMAGE, "entrypoint": [], "arguments": ["train"], "environment": {}}
    (folder / "job.json").write_text(json.dumps(job))
    (home / "current").symlink_to(folder.name)
    commands.add("docker")
    commands.add("aws", "echo a-password")


def ml(home: Path) -> str:
    return f"--volume {home}/reefloop-training-1/ml:/opt/ml"


def last(commands: Commands) -> str:
    return commands.calls("docker")[-1]


def test_a_verb_and_its_options_take_the_place_of_the_jobs_own(home: Path, commands: Commands) -> None:
    assert main(["run", "evaluate", "--champion", "better"]) == 0
    assert last(commands) == f"{PREFIX} --label reefloop=run {ml(home)} {IMAGE} evaluate --champion better"


def test_debugging_runs_the_same_in_one_process_under_pythons_debugger(home: Path, commands: Commands) -> None:
    assert main(["run", "--debug"]) == 0
    assert last(commands) == (
        f"{PREFIX} --label reefloop=run {ml(home)} --entrypoint python {IMAGE} -m pdb -m jobs train".replace(
            "--gpus all", "--gpus device=0"
        )
    )


def test_a_shell_is_labeled_as_one(home: Path, commands: Commands) -> None:
    assert main(["shell"]) == 0
    assert last(commands) == f"{PREFIX} --label reefloop=shell {ml(home)} --entrypoint bash {IMAGE}"


def test_code_that_was_changed_runs_without_a_new_image(home: Path, commands: Commands, tmp_path: Path) -> None:
    assert main(["run", "--code", str(tmp_path), "train"]) == 0
    assert f"--volume {tmp_path}:/opt/reefloop/jobs:ro" in last(commands)


def test_the_deployments_image_can_run_in_place_of_the_jobs(home: Path, commands: Commands) -> None:
    assert main(["run", "--deployed"]) == 0
    assert last(commands).endswith("registry/jobs:now train")


def test_any_folder_will_do(home: Path, commands: Commands, tmp_path: Path) -> None:
    assert main(["run", "--ml", str(tmp_path / "mine"), "train"]) == 0
    assert last(commands) == (f"{PREFIX} --label reefloop=run --volume {tmp_path}/mine:/opt/ml registry/jobs:now train")


def test_an_image_that_is_missing_is_pulled_with_the_machines_role(commands: Commands) -> None:
    commands.add("docker", '[ "$1 $2" != "image inspect" ]')
    assert main(["run"]) == 0
    assert commands.calls("aws") == ["ecr get-login-password --region us-east-1"]
    registry = IMAGE.partition("/")[0]
    assert commands.calls("docker")[1:3] == [
        f"login --username AWS --password-stdin {registry}",
        f"pull {IMAGE}",
    ]


def test_an_image_that_nobody_built_is_said_to_be_so(commands: Commands, capsys: pytest.CaptureFixture[str]) -> None:
    commands.add("docker", '[ "$1" = login ]')
    assert main(["run"]) == 1
    assert f"{IMAGE} could not be pulled. The jobs' state machine builds it" in capsys.readouterr().err


def test_the_containers_status_is_the_commands_own(commands: Commands) -> None:
    commands.add("docker", '[ "$1" != run ] || exit 143')
    assert main(["run"]) == 143


def test_without_a_job_it_says_how_to_have_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "current").unlink()
    assert main(["run"]) == 1
    assert "reefloop job NAME" in capsys.readouterr().err
