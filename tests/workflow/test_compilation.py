"""The compilation machine, executed: 13 of 15 targets fail, each in its own way, and the other two ship."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from offline.account import Account
from reefloop.compilation.targets import TARGETS
from tests.workflow import mxnet_example
from tests.workflow.compiling import MODEL, jobs, of, packages, put_model, running
from tests.workflow.deployed import Deployed, synthesize
from tests.workflow.in_flight import eventually

# How each target fails, and the kind of failure that it is told as.
BY_THE_COMPILER: Mapping[str, tuple[str, str]] = {
    "jetson-nano": ("operator", "ClientError: InputConfiguration: TVM cannot convert ONNX model. The following "
                                "operators are not implemented: {'Gelu'}"),
    "jetson-tx2": ("input", "ClientError: InputConfiguration: Input image has wrong shape in Input Shape dictionary."),
    "jetson-xavier": ("region", "ClientError: InputConfiguration: Bucket b is in region eu-west-1 which is different "
                                "from AWS Sagemaker service region us-east-1"),
    "imx8mplus": ("service", "ServerError: There was an internal server error during the compilation job"),
    "ambarella-cv25": ("source", "ClientError: InputConfiguration: Unable to untar input model."),
    "qcs605": ("permissions", "ClientError: AccessDenied: Access Denied"),
    "windows-x86_64": ("options", "ClientError: OutputConfiguration: CompilerOptions are not supported"),
    "ml_c5": ("unknown", "ClientError: it did not work"),
    "ml_g4dn": ("source", "ClientError: InputConfiguration: S3 object does not exist."),
}  # fmt: skip
OTHERWISE = {"linux-x86_64": "parity", "android-arm64": "limit", "android-armv7": "stopped", "ios": "source"}
FINE = ("linux-arm64", "raspberry-pi-4")
NAMES = (*FINE, *BY_THE_COMPILER, *OTHERWISE)


@pytest.fixture(scope="module")
def compilation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The compilation stack and what it needs, and a model in the registry that was trained without TorchScript."""
    folder = tmp_path_factory.mktemp("compilation")
    with Account(folder / "account") as account:
        account.bootstrap()
        deployed = Deployed(account, {}, folder)
        deployed.deploy(synthesize(folder / "assembly", compilation={"max_concurrency": 8}), "reefloop-compilation")
        put_model(deployed)
        deployed.register(MODEL, test_accuracy="0.9", test_objects="100")
        yield deployed


@pytest.fixture(autouse=True)
def _no_faults_left(compilation: Deployed) -> Iterator[None]:
    yield
    compilation.account.faults.clear()


@pytest.fixture(scope="module")
def failing(compilation: Deployed) -> dict[str, Any]:
    """An execution in which 13 of 15 targets fail, at its end."""
    faults = compilation.account.faults
    for target, (_, reason) in BY_THE_COMPILER.items():
        faults.fail_job("compilation", reason, match=of(target))
    faults.fail_job("processing", "the instance broke")
    faults.refuse(
        "sagemaker:CreateCompilationJob",
        "ResourceLimitExceeded",
        "The account-level service limit 'Maximum number of compilation jobs' is 0",
        times=100,
        match=of("android-arm64"),
    )
    faults.stall_job("compilation", match=of("android-armv7"))
    execution = compilation.start("compilation", {"model_version": MODEL, "targets": list(NAMES)}, "thirteen-fail")
    eventually(lambda: running(compilation, "android-armv7"))
    [stalled] = running(compilation, "android-armv7")
    compilation.client("sagemaker").stop_compilation_job(CompilationJobName=stalled)
    ended = compilation.end_of(execution)
    # Read now: other executions for the same model write both anew.
    return {
        **ended,
        "registered": registered(compilation),
        "written": compilation.read_json(f"models/{MODEL}/compilation.json"),
    }


def registered(compilation: Deployed) -> dict[str, str]:
    """What the registry knows of the model's targets."""
    sagemaker = compilation.client("sagemaker")
    [listed] = sagemaker.list_model_packages(ModelPackageGroupName="reefloop")["ModelPackageSummaryList"]
    known = sagemaker.describe_model_package(ModelPackageName=listed["ModelPackageArn"])["CustomerMetadataProperties"]
    return {name.removeprefix("target:"): line for name, line in known.items() if name.startswith("target:")}


def test_two_of_fifteen_targets_ship_whatever_befalls_the_others(failing: dict[str, Any]) -> None:
    found = packages(failing)
    assert list(found) == list(NAMES)
    assert len(NAMES) == 15
    assert [name for name, package in found.items() if package["outcome"] == "compiled"] == list(FINE)
    for name in FINE:
        assert found[name]["failure"] is None
        assert found[name]["key"].endswith(f"/{name}.zip")


def test_each_of_the_other_thirteen_says_why_in_a_kind_that_can_be_acted_on(failing: dict[str, Any]) -> None:
    failures = {name: package["failure"] for name, package in packages(failing).items() if package["failure"]}
    assert {name: failure["kind"] for name, failure in failures.items()} == {
        **{name: kind for name, (kind, _) in BY_THE_COMPILER.items()},
        **OTHERWISE,
    }
    for name, (_, reason) in BY_THE_COMPILER.items():
        assert reason in failures[name]["reason"]
    assert "the instance broke" in failures["linux-x86_64"]["reason"]
    assert "service limit" in failures["android-arm64"]["reason"]
    assert "pytorch.tar.gz" in failures["ios"]["reason"]
    assert all(failure["advice"] for failure in failures.values())


def test_what_may_ship_as_it_is_does_and_the_rest_is_refused(compilation: Deployed, failing: dict[str, Any]) -> None:
    others = {name: package for name, package in packages(failing).items() if name not in FINE}
    assert {name: package["outcome"] for name, package in others.items()} == {
        name: "portable" if TARGETS[name].portable else "refused" for name in others
    }
    stored = compilation.keys(f"models/{MODEL}/packages/", bucket=compilation.project.artifact_bucket)
    assert {package["key"] for package in packages(failing).values()} - {""} <= set(stored)


def test_the_model_registry_knows_what_each_target_got(failing: dict[str, Any]) -> None:
    told = failing["registered"]
    assert set(told) == set(NAMES)
    assert told["linux-arm64"].startswith("compiled ")
    assert told["jetson-nano"].startswith("portable: operator: ClientError:")
    assert failing["written"] == failing["output"]


def test_too_few_compiled_targets_fail_the_stage_which_says_why_and_writes_it_down(compilation: Deployed) -> None:
    compilation.account.faults.fail_job("compilation", "ClientError: no such operator", times=2)
    execution = compilation.run("compilation", {"model_version": MODEL, "targets": list(FINE)}, "all-fail")
    assert (execution["status"], execution["error"]) == ("FAILED", "TooFewTargets")
    assert "raspberry-pi-4 is portable: unknown: ClientError: no such operator" in execution["cause"]
    written = compilation.read_json(f"models/{MODEL}/compilation.json")["packages"]
    assert [package["outcome"] for package in written] == ["portable", "portable"]


def test_what_runs_on_the_jobs_instances_ships_when_it_answers_like_its_source(compilation: Deployed) -> None:
    payload = {"model_version": MODEL, "targets": ["linux-x86_64"]}
    package = packages(compilation.run("compilation", payload, "measured"))["linux-x86_64"]
    assert (package["outcome"], package["failure"]) == ("compiled", None)
    assert package["parity"]["golden_agreement"] == 1
    assert package["parity"]["p50_ms"] > 0


def test_the_mxnet_model_of_the_docs_comes_to_android_phones_with_mxnets_answers(
    compilation: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in compilation.account.environment.items():
        monkeypatch.setenv(name, value)
    assert mxnet_example.compile_it(tmp_path) == 0
    told = mxnet_example.packages_told(capsys.readouterr().out)
    assert set(told) == {"android-arm64", "qcs605"}
    for key in told.values():
        mxnet_example.check_answers(compilation, key)


# ---- One job per target ----------------------------------------------------------------------------------------------


def test_a_throttled_call_is_made_again_for_the_same_job(compilation: Deployed) -> None:
    asked: list[str] = []

    def first(request: Any) -> bool:
        asked.append(request["CompilationJobName"])
        return len(asked) == 1

    compilation.account.faults.refuse(
        "sagemaker:CreateCompilationJob", "ThrottlingException", "Rate exceeded", times=2, match=first
    )
    execution = compilation.run("compilation", {"model_version": MODEL, "targets": ["linux-arm64"]}, "throttled")
    assert packages(execution)["linux-arm64"]["outcome"] == "compiled"
    assert len(asked) == 2
    assert len(set(asked)) == 1


def test_a_job_that_exists_under_the_name_is_followed_to_its_end(compilation: Deployed) -> None:
    """As after a call that made the job and whose answer was lost."""
    payload = {"model_version": MODEL, "targets": ["linux-arm64"]}
    compilation.run("compilation", payload, "whose-answers-came")
    earlier, *_ = jobs(compilation, "linux-arm64")
    machine = compilation.project.machines["compilation"]
    execution = f"{machine.replace(':stateMachine:', ':execution:')}:lost-answer"
    identity = f"{execution} Targets linux-arm64 0 0"
    name = f"reefloop-compilation-{hashlib.sha1(identity.encode(), usedforsecurity=False).hexdigest()}"
    same = ("RoleArn", "InputConfig", "OutputConfig", "StoppingCondition")
    compilation.client("sagemaker").create_compilation_job(
        CompilationJobName=name, **{field: earlier[field] for field in same}
    )
    before = compilation.job_names("Compilation")
    end = compilation.run("compilation", payload, "lost-answer")
    assert packages(end)["linux-arm64"]["outcome"] == "compiled"
    assert compilation.job_names("Compilation") == before


def test_an_execution_name_of_80_characters_makes_valid_job_names_that_are_all_different(
    compilation: Deployed,
) -> None:
    before = set(compilation.job_names("Compilation"))
    execution = compilation.run("compilation", {"model_version": MODEL, "targets": list(FINE)}, "n" * 79 + "_")
    made = set(compilation.job_names("Compilation")) - before
    assert set(packages(execution)) == set(FINE)
    assert len(made) == len(FINE)
    assert all(len(name) <= 63 for name in made)


# ---- Time ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def impatient(compilation: Deployed) -> Callable[..., dict[str, Any]]:
    """Runs a target through the deployed definition with less time than the settings allow it to have."""
    client = compilation.client("stepfunctions")
    deployed = client.describe_state_machine(stateMachineArn=compilation.project.machines["compilation"])

    def run(name: str, target: str, *, seconds: int, looks: int) -> dict[str, Any]:
        definition = json.loads(deployed["definition"])
        states = definition["States"]["Targets"]["ItemProcessor"]["States"]
        states["Create"]["Parameters"]["StoppingCondition"]["MaxRuntimeInSeconds"] = seconds
        states["CompilationDecide"]["Choices"][-1]["NumericGreaterThanEquals"] = looks
        machine = client.create_state_machine(
            name=name, definition=json.dumps(definition), roleArn=deployed["roleArn"]
        )["stateMachineArn"]
        payload = json.dumps({"model_version": MODEL, "targets": [target, "raspberry-pi-4"]})
        execution = client.start_execution(stateMachineArn=machine, name=name, input=payload)["executionArn"]
        failure: dict[str, Any] = packages(compilation.end_of(execution))[target]["failure"]
        return failure

    return run


def test_a_job_that_takes_longer_than_its_limit_is_a_timeout(
    compilation: Deployed, impatient: Callable[..., dict[str, Any]]
) -> None:
    compilation.account.faults.stall_job("compilation", match=of("jetson-tx2"))
    failure = impatient("neos-own-limit", "jetson-tx2", seconds=25, looks=30)
    assert failure["kind"] == "timeout"
    assert failure["reason"].startswith("STOPPED: ")


def test_a_job_that_outlives_its_limit_is_stopped(
    compilation: Deployed, impatient: Callable[..., dict[str, Any]]
) -> None:
    compilation.account.faults.stall_job("compilation", match=of("jetson-nano"))
    failure = impatient("no-limit-of-its-own", "jetson-nano", seconds=900, looks=5)
    assert (failure["kind"], failure["reason"]) == ("timeout", "the job did not end within 1800 seconds")
    eventually(lambda: jobs(compilation, "jetson-nano")[0]["CompilationJobStatus"] == "STOPPED")
