"""The job container, built from its Dockerfile as the offline account builds it, and audited."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import audit
from jobs.audit.archive import archive
from jobs.audit.image import Image
from jobs.audit.reading import Reader
from offline.runners import Job
from offline.runners.docker import Docker
from offline.runners.images import Dockerfile
from offline.state import State

ROOT = Path(__file__).resolve().parents[3]
JOBS = ROOT / "jobs"
DOCKERFILE = Dockerfile.parse((JOBS / "Dockerfile").read_text())


@pytest.fixture
def built(tmp_path: Path) -> Callable[[Path], Image]:
    """Builds a folder's image, saves it and reads what was saved."""

    def build(folder: Path) -> Image:
        docker = Docker(Job("build", "container", "", {}, State(tmp_path), print), runs=True)
        made = docker.run(["docker", "build", "--build-arg", "REVISION=1f", "--tag", "jobs:1", "."], folder, "")
        assert made.status == 0, made.error
        saved = docker.run(["docker", "image", "save", "jobs:1"], folder, "")
        return archive(io.BytesIO(saved.output), Reader(tmp_path))

    return build


def test_the_container_passes_its_own_audit(built: Callable[[Path], Image]) -> None:
    image = built(JOBS)

    assert list(audit.audit(image)) == []
    assert "opt/reefloop/jobs/__main__.py" in image.entries
    assert not [path for path in image.entries if path.endswith((".pyc", "Dockerfile"))]


def test_a_driver_in_the_build_context_is_found(built: Callable[[Path], Image], tmp_path: Path) -> None:
    context = tmp_path / "context"
    (context / "training").mkdir(parents=True)
    for name in ("Dockerfile", "requirements.txt", "requirements-container.txt"):
        (context / name).write_text((JOBS / name).read_text())
    (context / "training" / "libcuda.so.1").touch()

    [found] = audit.audit(built(context))

    assert (found.rule, found.where) == ("driver", ("opt/reefloop/jobs/training/libcuda.so.1",))


def test_the_base_has_the_pytorch_that_the_laptop_has() -> None:
    pinned = re.search(r"^torch==(\d+\.\d+)\.", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE)
    base = re.fullmatch(r"public\.ecr\.aws/deep-learning-containers/pytorch:([\d.]+)-cu\d+-\w+", DOCKERFILE.base)

    assert pinned
    assert base
    assert base[1] == pinned[1]


def test_the_container_sets_the_variables_that_jobs_ask_for() -> None:
    asked = {
        name
        for path in JOBS.rglob("*.py")
        for name in re.findall(r'"(REEFLOOP_\w+)"', path.read_text(encoding="utf-8"))
    }

    assert asked
    assert asked <= DOCKERFILE.environment.keys()


def test_whoever_runs_the_container_has_a_home_to_write_to() -> None:
    assert DOCKERFILE.environment["HOME"] == "/tmp"
    assert "USER" in DOCKERFILE.environment  # torch asks for a name that a bare user id has not


def test_what_the_base_has_of_pytorch_is_a_constraint_of_what_is_installed() -> None:
    text = (JOBS / "Dockerfile").read_text()
    wanted = "".join((JOBS / name).read_text() for name in ("requirements.txt", "requirements-container.txt"))

    assert "--constraint /opt/reefloop/base.txt" in text
    assert not re.search(r"^(torch|torchvision|triton|nvidia)", wanted, re.MULTILINE)


def test_the_keys_of_the_bases_ssh_server_are_removed() -> None:
    assert "RUN rm -rf /root/.ssh /etc/ssh/ssh_host_*" in (JOBS / "Dockerfile").read_text().splitlines()
