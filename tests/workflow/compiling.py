"""What the tests of the compilation machine ask of their account: a model to compile, what became of its jobs."""

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from reefloop.contracts import model_key
from tests.edge import model_packages
from tests.workflow.deployed import Deployed

MODEL: Final = "colours-00000001"


def put_model(deployed: Deployed) -> None:
    """A model as training leaves it, but for its TorchScript."""
    package = model_packages.write(deployed.folder / "model", version=MODEL)
    model_packages.edit(package, "model.json", metrics={"test_accuracy": 0.9, "test_objects": 100})
    files = {
        "model.json": (package / "model.json").read_bytes(),
        "model.tar.gz": _tarball(package, "model.onnx", "labels.json", "model.json", "golden"),
        "source/model.tar.gz": _tarball(package, "model.onnx"),
    }
    for name, body in files.items():
        deployed.client("s3").put_object(Bucket=deployed.project.data_bucket, Key=model_key(MODEL, name), Body=body)


def _tarball(folder: Path, *names: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in names:
            archive.add(folder / name, arcname=name)
    return packed.getvalue()


def of(target: str) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a compilation job is for a target."""
    return lambda job: job["OutputConfig"]["S3OutputLocation"].endswith(f"/compiled/{target}")


def packages(execution: dict[str, Any]) -> dict[str, Any]:
    assert execution["status"] == "SUCCEEDED", execution
    return {package["target"]: package for package in execution["output"]["packages"]}


def jobs(compilation: Deployed, target: str) -> list[dict[str, Any]]:
    """The compilation jobs that there ever were for a target."""
    describe = compilation.client("sagemaker").describe_compilation_job
    made = [describe(CompilationJobName=name) for name in compilation.job_names("Compilation")]
    return [job for job in made if of(target)(job)]


def running(compilation: Deployed, target: str) -> list[str]:
    """The names of the jobs for a target that are at work."""
    found = jobs(compilation, target)
    return [job["CompilationJobName"] for job in found if job["CompilationJobStatus"] == "INPROGRESS"]
