"""Compilation jobs of the offline account: what Neo checks, and an artifact that says what compiled it."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from botocore.exceptions import ClientError
from onnx import TensorProto, helper

from offline.account import Account
from offline.runners.compiler import CompileError, compile_model
from tests.offline.bench import BUCKET, Bench, any_name, unpacked, until

SHAPE = [1, 3, 8, 8]
LINUX = {"TargetPlatform": {"Os": "LINUX", "Arch": "X86_64"}}


@pytest.fixture(scope="module")
def bench(account: Account) -> Bench:
    return Bench(account)


def model(*, opset: int = 11, ir_version: int = 7) -> bytes:
    """A small network with something to optimise: two constants whose sum is known before it runs."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, SHAPE)
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, SHAPE)
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    nodes = [
        helper.make_node("Add", ["one", "one"], ["two"]),
        helper.make_node("Mul", ["image", "two"], ["doubled"]),
        helper.make_node("Relu", ["doubled"], ["logits"]),
    ]
    graph = helper.make_graph(nodes, "small", [image], [logits], [one])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    return bytes(made.SerializeToString())


def tarball(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def compile_(
    bench: Bench,
    body: bytes | None = None,
    *,
    target: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    wait: bool = True,
) -> dict[str, Any]:
    """Run a compilation job."""
    name = any_name("compilation")
    source = bench.put(f"models/{name}/model.tar.gz", body or tarball({"model.onnx": model()}))
    bench.sagemaker.create_compilation_job(
        CompilationJobName=name,
        RoleArn=bench.role,
        InputConfig={
            "S3Uri": source,
            "DataInputConfig": json.dumps({"image": SHAPE}),
            "Framework": "ONNX",
            **(config or {}),
        },
        OutputConfig={"S3OutputLocation": f"s3://{BUCKET}/compiled/{name}/", **(target or LINUX)},
        StoppingCondition={"MaxRuntimeInSeconds": 900},
    )
    ended = ("COMPLETED", "FAILED", "STOPPED")
    return until(
        lambda: bench.sagemaker.describe_compilation_job(CompilationJobName=name),
        lambda job: not wait or job["CompilationJobStatus"] in ended,
    )


def refusal(
    folder: Path,
    body: bytes | None = None,
    *,
    config: dict[str, Any] | None = None,
    target: dict[str, Any] | None = None,
) -> str:
    """What the compiler says when it refuses."""
    source = folder / "model.tar.gz"
    source.write_bytes(body or tarball({"model.onnx": model()}))
    request = {
        "InputConfig": {"DataInputConfig": json.dumps({"image": SHAPE}), "Framework": "ONNX", **(config or {})},
        "OutputConfig": target or LINUX,
        "Target": "target",
    }
    with pytest.raises(CompileError) as refused:
        compile_model(source, request, folder / "compiled.tar.gz")
    assert not (folder / "compiled.tar.gz").exists()
    return str(refused.value)


def test_the_artifact_holds_a_model_that_computes_the_same_and_says_what_compiled_it(
    bench: Bench, tmp_path: Path
) -> None:
    job = compile_(bench)

    assert job["CompilationJobStatus"] == "COMPLETED", job
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://{BUCKET}/compiled/{job['CompilationJobName']}/model-LINUX_X86_64.tar.gz"
    files = unpacked(bench.get(uri))
    assert files.keys() == {"compiled.onnx", "compiler.json"}
    about = json.loads(files["compiler.json"])
    assert about["compiler"] == "ONNX Runtime graph optimiser"
    assert about["version"] == onnxruntime.__version__
    assert "neo" not in json.dumps(about).lower()
    image = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE) - 90
    before, after = (
        onnxruntime.InferenceSession(content).run(None, {"image": image})[0]
        for content in (model(), files["compiled.onnx"])
    )
    assert np.array_equal(before, after)
    assert len(onnx.load_from_string(files["compiled.onnx"]).graph.node) < 3


def test_an_artifact_for_a_device_is_named_after_it_and_takes_its_options(bench: Bench) -> None:
    options = {"gpu-code": "sm_72", "trt-ver": "5.1.6", "cuda-ver": "10.0"}

    job = compile_(bench, target={"TargetDevice": "jetson_xavier", "CompilerOptions": json.dumps(options)})

    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri.endswith("/model-jetson_xavier.tar.gz")
    about = json.loads(unpacked(bench.get(uri))["compiler.json"])
    assert (about["target"], about["compiler_options"]) == ("jetson_xavier", options)


def test_a_job_is_starting_before_it_is_in_progress(bench: Bench) -> None:
    assert compile_(bench, wait=False)["CompilationJobStatus"] == "STARTING"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"model.onnx": model(), "labels.json": b"[]"}, "Exactly one .onnx file is allowed"),
        ({"model.pt": b"weights"}, "Exactly one .onnx file is allowed"),
        ({"model.onnx": b"no model"}, "Load error"),
        ({"model.onnx": model(opset=17, ir_version=8)}, "has opset 17 and IR version 8"),
    ],
)
def test_a_tarball_that_neo_would_refuse_is_refused(tmp_path: Path, files: dict[str, bytes], reason: str) -> None:
    assert reason in refusal(tmp_path, tarball(files))


def test_a_tarball_that_is_none_is_refused(tmp_path: Path) -> None:
    assert "Unable to untar input model" in refusal(tmp_path, b"no tarball")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"DataInputConfig": '{"image": [1, 8, 8, 3]}'}, "Input image has the wrong shape"),
        ({"DataInputConfig": '{"pixels": [1, 3, 8, 8]}'}, "the model has ['image']"),
        ({"DataInputConfig": "{'image': [1, 3, 8, 8]}"}, "Unable to parse DataInputConfig"),
        ({"Framework": "PYTORCH"}, "Framework PYTORCH is not supported"),
    ],
)
def test_an_input_configuration_that_neo_would_refuse_is_refused(
    tmp_path: Path, config: dict[str, Any], reason: str
) -> None:
    said = refusal(tmp_path, config=config)

    assert said.startswith("ClientError: InputConfiguration: ")
    assert reason in said


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ({**LINUX, "TargetDevice": "rasp4b"}, "exactly one of TargetDevice and TargetPlatform"),
        ({**LINUX, "CompilerOptions": "{'mattr': ['+neon']}"}, "is not a JSON object"),
        (
            {"TargetPlatform": {"Os": "LINUX", "Arch": "ARM64", "Accelerator": "NVIDIA"}},
            "CompilerOptions must have gpu-code, trt-ver, cuda-ver",
        ),
    ],
)
def test_a_target_that_neo_would_refuse_is_refused(tmp_path: Path, target: dict[str, Any], reason: str) -> None:
    assert reason in refusal(tmp_path, target=target)


def test_what_the_compiler_refuses_fails_the_job(bench: Bench) -> None:
    job = compile_(bench, tarball({"model.pt": b"weights"}))

    assert job["CompilationJobStatus"] == "FAILED"
    assert job["FailureReason"].startswith("ClientError: InputConfiguration: Exactly one .onnx file is allowed")


def test_a_model_that_is_not_there_fails_the_job(bench: Bench) -> None:
    job = compile_(bench, config={"S3Uri": f"s3://{BUCKET}/missing/model.tar.gz"})

    assert job["CompilationJobStatus"] == "FAILED"
    assert "NoSuchKey" in job["FailureReason"]


def test_a_planned_failure_fails_one_target_alone(bench: Bench) -> None:
    bench.faults.fail_job(
        "compilation", "TVM cannot convert", match=lambda job: job["OutputConfig"].get("TargetDevice") == "imx8mplus"
    )

    assert compile_(bench)["CompilationJobStatus"] == "COMPLETED"
    assert compile_(bench, target={"TargetDevice": "imx8mplus"})["FailureReason"] == "TVM cannot convert"


def test_a_stopped_job_is_stopped(bench: Bench) -> None:
    bench.faults.stall_job("compilation")
    name = compile_(bench, wait=False)["CompilationJobName"]

    bench.sagemaker.stop_compilation_job(CompilationJobName=name)

    assert bench.job("compilation", name)["CompilationJobStatus"] == "STOPPED"
    with pytest.raises(ClientError) as refused:
        bench.sagemaker.stop_compilation_job(CompilationJobName=name)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
