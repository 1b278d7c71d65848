"""Compilation jobs of the offline account: what the API refuses, how jobs end, what they leave in S3."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from offline.account import Account
from offline.runners import JobStopped, compilers
from offline.runners.inference_images import inference_image
from offline.services.sagemaker import jobs
from offline.state import State
from tests.offline.bench import BUCKET, Bench, any_name, unpacked, until
from tests.offline.models import GOOD, INPUTS, LINUX, SHAPE, onnx_model, tarball

ENDED = ("COMPLETED", "FAILED", "STOPPED")


@pytest.fixture(scope="module")
def bench(account: Account) -> Bench:
    return Bench(account)


def compile_(
    bench: Bench,
    framework: str = "ONNX",
    *,
    body: bytes | None = None,
    target: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    max_seconds: int = 900,
    wait: bool = True,
) -> dict[str, Any]:
    """Run a compilation job."""
    name = any_name("compilation")
    source = bench.put(f"models/{name}/model.tar.gz", body or tarball(GOOD[framework]))
    given = {"S3Uri": source, "DataInputConfig": INPUTS.get(framework), "Framework": framework, **(config or {})}
    bench.sagemaker.create_compilation_job(
        CompilationJobName=name,
        RoleArn=bench.role,
        InputConfig={name: value for name, value in given.items() if value is not None},
        OutputConfig={"S3OutputLocation": f"s3://{BUCKET}/compiled/{name}/", **(target or LINUX)},
        StoppingCondition={"MaxRuntimeInSeconds": max_seconds},
    )
    return until(
        lambda: bench.sagemaker.describe_compilation_job(CompilationJobName=name),
        lambda job: not wait or job["CompilationJobStatus"] in ENDED,
    )


def names(bench: Bench) -> list[str]:
    found = bench.sagemaker.list_compilation_jobs()["CompilationJobSummaries"]
    return [job["CompilationJobName"] for job in found]


def test_the_artifact_of_a_platform_is_named_after_it(bench: Bench) -> None:
    job = compile_(bench)

    assert job["CompilationJobStatus"] == "COMPLETED", job
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://{BUCKET}/compiled/{job['CompilationJobName']}/model-LINUX_X86_64.tar.gz"
    assert unpacked(bench.get(uri)).keys() == {"compiled.onnx", "compiler.json"}
    assert job["ModelDigests"]["ArtifactDigest"].startswith("blake2b:")
    assert "InferenceImage" not in job


def test_the_artifact_of_a_device_is_named_after_it_and_knows_its_options(bench: Bench) -> None:
    options = {"gpu-code": "sm_72", "trt-ver": "5.1.6", "cuda-ver": "10.0"}

    job = compile_(bench, target={"TargetDevice": "jetson_xavier", "CompilerOptions": json.dumps(options)})

    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri.endswith("/model-jetson_xavier.tar.gz")
    about = json.loads(unpacked(bench.get(uri))["compiler.json"])
    assert (about["target"], about["compiler_options"]) == ("jetson_xavier", options)


@pytest.mark.parametrize(
    ("framework", "device", "image"),
    [
        ("ONNX", "ml_c5", "sagemaker-neo-onnx:1.5.0-cpu-py3"),
        ("ONNX", "ml_g4dn", "sagemaker-neo-onnx:1.5.0-gpu-py3"),
        ("MXNET", "ml_m5", "sagemaker-inference-mxnet:1.8.0-cpu-py3"),
    ],
)
def test_what_is_compiled_for_an_instance_names_the_image_that_serves_it(
    bench: Bench, framework: str, device: str, image: str
) -> None:
    job = compile_(bench, framework, target={"TargetDevice": device})

    assert job["InferenceImage"] == f"785573368785.dkr.ecr.us-east-1.amazonaws.com/{image}"


@pytest.mark.parametrize(
    ("framework", "version", "target", "region", "image"),
    [
        ("XGBOOST", "", "ml_m5", "eu-west-1", "802834080501.dkr.ecr.eu-west-1.amazonaws.com/xgboost-neo:latest"),
        (
            "PYTORCH",
            "2.0",
            "ml_p3",
            "us-west-2",
            "301217895009.dkr.ecr.us-west-2.amazonaws.com/sagemaker-inference-pytorch:2.0-gpu-py3",
        ),
        (
            "TENSORFLOW",
            "",
            "ml_inf1",
            "us-east-1",
            "785573368785.dkr.ecr.us-east-1.amazonaws.com/sagemaker-neo-tensorflow:1.15.0-inf-py3",
        ),
        (
            "PYTORCH",
            "",
            "ml_inf2",
            "us-east-2",
            "763104351884.dkr.ecr.us-east-2.amazonaws.com/"
            "pytorch-inference-neuronx:1.13.1-neuronx-py38-sdk2.10.0-ubuntu20.04",
        ),
        ("ONNX", "", "rasp4b", "us-east-1", ""),
        ("ONNX", "", "ml_c5", "eusc-de-east-1", ""),
    ],
)
def test_an_image_is_of_the_framework_and_its_version_in_the_region(
    framework: str, version: str, target: str, region: str, image: str
) -> None:
    assert inference_image(framework, version, target, region) == image


def test_a_model_may_tell_its_inputs_itself(bench: Bench) -> None:
    job = compile_(bench, config={"DataInputConfig": None})

    assert json.loads(job["DerivedInformation"]["DerivedDataInputConfig"]) == {"image": SHAPE}


def test_a_job_is_starting_before_it_is_in_progress(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "FIRST_STATE_SECONDS", 600)
    job = compile_(bench, wait=False)

    assert job["CompilationJobStatus"] == "STARTING"
    bench.sagemaker.stop_compilation_job(CompilationJobName=job["CompilationJobName"])
    bench.job("compilation", job["CompilationJobName"])  # or its process is in the way of the next test


# ---- Refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "config", "reason"),
    [
        ({**LINUX, "TargetDevice": "rasp4b"}, {}, "Exactly one of TargetDevice and TargetPlatform"),
        (LINUX, {"FrameworkVersion": "1.7"}, "Framework version is not supported for framework ONNX"),
        ({"TargetDevice": "ml_inf2"}, {}, "available in us-east-2 only; this is us-east-1"),
    ],
)
def test_the_api_refuses_some_requests_before_there_is_a_job(
    bench: Bench, target: dict[str, Any], config: dict[str, Any], reason: str
) -> None:
    before = names(bench)

    with pytest.raises(ClientError) as refused:
        compile_(bench, target=target, config=config)

    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert reason in refused.value.response["Error"]["Message"]
    assert names(bench) == before


def test_a_name_is_taken_once(bench: Bench) -> None:
    job = compile_(bench)

    with pytest.raises(ClientError) as refused:
        bench.sagemaker.create_compilation_job(
            **{name: job[name] for name in ("CompilationJobName", "RoleArn", "InputConfig", "OutputConfig")},
            StoppingCondition={"MaxRuntimeInSeconds": 900},
        )

    assert refused.value.response["Error"]["Code"] == "ResourceInUse"


def test_what_the_compiler_refuses_fails_the_job(bench: Bench) -> None:
    job = compile_(bench, body=tarball({"model.pt": b"weights"}))

    assert job["CompilationJobStatus"] == "FAILED"
    assert job["FailureReason"].startswith("ClientError: InputConfiguration: No .onnx file found for ONNX model.")


def test_a_model_that_is_not_there_fails_the_job_in_neo_s_words(bench: Bench) -> None:
    for bucket in (BUCKET, "no-such-bucket"):
        job = compile_(bench, config={"S3Uri": f"s3://{bucket}/missing/model.tar.gz"})

        assert job["CompilationJobStatus"] == "FAILED"
        assert job["FailureReason"] == (
            f"ClientError: InputConfiguration: S3 object does not exist. Bucket: {bucket}, Key: missing/model.tar.gz"
        )


def test_a_model_in_another_region_fails_the_job_in_neo_s_words(bench: Bench) -> None:
    bench.s3.create_bucket(Bucket="far", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    job = compile_(bench, config={"S3Uri": "s3://far/model.tar.gz"})

    assert job["FailureReason"] == (
        "ClientError: InputConfiguration: Bucket far is in region eu-west-1 which is different from AWS Sagemaker "
        "service region us-east-1"
    )


def test_a_registered_package_is_not_compiled_here_and_the_job_says_so(bench: Bench) -> None:
    name = any_name("compilation")
    bench.sagemaker.create_compilation_job(
        CompilationJobName=name,
        RoleArn=bench.role,
        ModelPackageVersionArn="arn:aws:sagemaker:us-east-1:123456789012:model-package/reef/1",
        OutputConfig={"S3OutputLocation": f"s3://{BUCKET}/compiled/", **LINUX},
        StoppingCondition={"MaxRuntimeInSeconds": 900},
    )

    assert "this account compiles what InputConfig names alone" in bench.job("compilation", name)["FailureReason"]


# ---- Faults ----------------------------------------------------------------------------------------------------------


def test_a_planned_failure_fails_one_target_alone(bench: Bench) -> None:
    bench.faults.fail_job(
        "compilation", "TVM cannot convert", match=lambda job: job["OutputConfig"].get("TargetDevice") == "imx8mplus"
    )

    assert compile_(bench)["CompilationJobStatus"] == "COMPLETED"
    assert compile_(bench, target={"TargetDevice": "imx8mplus"})["FailureReason"] == "TVM cannot convert"


def test_a_fault_is_for_the_job_that_is_made_next_and_for_none_that_is_being_made(bench: Bench) -> None:
    before = compile_(bench, wait=False)["CompilationJobName"]
    bench.faults.fail_job("compilation", "TVM cannot convert")

    assert compile_(bench)["FailureReason"] == "TVM cannot convert"
    assert bench.job("compilation", before)["CompilationJobStatus"] == "COMPLETED"


@pytest.mark.parametrize("code", ["ThrottlingException", "ResourceLimitExceeded"])
def test_a_planned_refusal_meets_one_request(bench: Bench, code: str) -> None:
    bench.faults.refuse("sagemaker:CreateCompilationJob", code, "not now")

    with pytest.raises(ClientError) as refused:
        compile_(bench)

    assert refused.value.response["Error"]["Code"] == code
    assert compile_(bench)["CompilationJobStatus"] == "COMPLETED"


def test_a_stopped_job_is_stopped(bench: Bench) -> None:
    bench.faults.stall_job("compilation")
    name = compile_(bench, wait=False)["CompilationJobName"]

    bench.sagemaker.stop_compilation_job(CompilationJobName=name)

    assert bench.job("compilation", name)["CompilationJobStatus"] == "STOPPED"
    with pytest.raises(ClientError) as refused:
        bench.sagemaker.stop_compilation_job(CompilationJobName=name)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_a_job_ends_when_its_time_is_over_and_says_so(bench: Bench) -> None:
    bench.faults.stall_job("compilation")

    job = compile_(bench, max_seconds=1)

    assert job["CompilationJobStatus"] == "STOPPED"
    assert "MaxRuntimeInSeconds" in job["FailureReason"]


# ---- The compiler's processes ----------------------------------------------------------------------------------------


def processes(bench: Bench) -> list[Any]:
    """Those that wait for work."""
    return bench.account.state.only(compilers.Compilers)._idle


def test_a_process_compiles_one_model_after_another(bench: Bench) -> None:
    compile_(bench)
    before = {process.pid for process in processes(bench)}

    compile_(bench)
    compile_(bench, body=tarball({"model.onnx": onnx_model(operator="Abs")}))

    assert before
    assert {process.pid for process in processes(bench)} == before


def test_there_are_as_many_processes_as_processors(bench: Bench) -> None:
    threads = [threading.Thread(target=compile_, args=(bench,)) for _ in range((os.cpu_count() or 1) + 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(processes(bench)) <= (os.cpu_count() or 1)


@contextmanager
def every_process(bench: Bench, signal_: signal.Signals) -> Iterator[threading.Event]:
    """Send a signal to each process that gets a job; the event tells that one did."""
    pool, happened = bench.account.state.only(compilers.Compilers), threading.Event()

    def take() -> Any:
        process = type(pool)._take(pool)
        os.kill(process.pid, signal_)
        happened.set()
        return process

    pool._take = take  # type: ignore[method-assign]
    try:
        yield happened
    finally:
        del pool._take


def test_a_compiler_that_breaks_fails_its_job_and_no_other(bench: Bench) -> None:
    with every_process(bench, signal.SIGKILL):
        broken = compile_(bench)

    assert broken["FailureReason"] == (
        "ServerError: There was an internal server error during the compilation job, please try again in a few minutes"
    )
    assert compile_(bench)["CompilationJobStatus"] == "COMPLETED"


def test_a_process_that_died_while_it_waited_gets_no_job(bench: Bench) -> None:
    compile_(bench)
    for process in processes(bench):
        process.kill()
        process.wait()

    assert compile_(bench)["CompilationJobStatus"] == "COMPLETED"


def test_a_job_that_is_stopped_while_it_compiles_ends_its_process(bench: Bench) -> None:
    with every_process(bench, signal.SIGSTOP) as happened:  # it stands still, as one does with much to do
        name = compile_(bench, wait=False)["CompilationJobName"]
        assert happened.wait(20)
        before = processes(bench)

        bench.sagemaker.stop_compilation_job(CompilationJobName=name)

        assert bench.job("compilation", name)["CompilationJobStatus"] == "STOPPED"
    assert processes(bench) == before
    assert compile_(bench)["CompilationJobStatus"] == "COMPLETED"


def test_the_processes_end_with_the_account(tmp_path: Path) -> None:
    """Of a compiler of its own: the account of this module goes on."""
    state = State(tmp_path)
    own = state.only(compilers.Compilers)
    process = own._take()
    own._give_back(process, healthy=True)

    state.closing.close()

    assert process.poll() is not None
    with pytest.raises(JobStopped):
        own._take()
