"""The endpoint test at work: the states and functions of the compilation stack, with what comes before them given."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from offline.account import Account
from offline.runners.inference_images import inference_image
from reefloop.compilation.targets import TARGETS
from reefloop.payloads import Package
from settings import Settings
from tests.any import any_model_version, any_package, tar_gz
from tests.edge import model_packages
from tests.offline.bench import BUCKET, Bench, until
from tests.stacks.conftest import definition, synthesize
from tests.workflow.part_of_a_machine import make_functions, make_machine

TARGET: Final = "ml_c5"
PATIENT_SECONDS: Final = 60  # a container starts in one, on a busy machine in many
IMPATIENT_SECONDS: Final = 2
# One container that fetches its entry point, and one that finds it beside the model.
IMAGES: Final = {framework: inference_image(framework, "", TARGET, "us-east-1") for framework in ("ONNX", "PYTORCH")}


class Stage:
    """The machine from IsHosted on."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.lambda_ = bench.account.client("lambda")
        template = _template(PATIENT_SECONDS)
        self.functions = make_functions(bench, template, DATA_BUCKET=BUCKET, ARTIFACT_BUCKET=BUCKET)
        self.machine = make_machine(bench, _states(template), "IsHosted", self.functions)
        hasty = _template(IMPATIENT_SECONDS)
        functions = make_functions(bench, hasty, DATA_BUCKET=BUCKET, ARTIFACT_BUCKET=BUCKET)
        self.impatient = make_machine(bench, _states(hasty), "IsHosted", functions)

    def start(
        self, package: Package, version: str, *, framework: str = "ONNX", impatient: bool = False, **target: Any
    ) -> str:
        """The ARN of an execution that got this package of the one target."""
        data_input = json.dumps({"image": [1, 3, model_packages.PIXELS, model_packages.PIXELS]})
        given = {
            "name": TARGET,
            "record": TARGETS[TARGET].record(),
            "input_config": {"Framework": framework, "DataInputConfig": data_input},
            **target,
        }
        packaged = {"package": package, "processing_inputs": []}
        item = {"model_version": version, "target": given, "packaged": packaged, "error": {}, "job": {}}
        return self.bench.start(self.impatient if impatient else self.machine, item)

    def run(self, package: Package, version: str, **more: Any) -> Package:
        """The package that comes of it."""
        ended = self.bench.ended(self.start(package, version, **more))
        assert ended["status"] == "SUCCEEDED", ended.get("cause")
        output: Package = ended["output"]
        return output

    def compiled(self, version: str, model: bytes, *, image: str = IMAGES["ONNX"]) -> Package:
        """A package of what the compiler made of a model."""
        artifact = tar_gz({"compiled.onnx": model, "compiler.json": b"{}"})
        uri = self.bench.put(f"models/{version}/compiled/{TARGET}/model-ml_c5.tar.gz", artifact)
        return any_package(TARGET, artifact_uri=uri, inference_image=image)

    def trained(self, files: dict[str, bytes]) -> str:
        """The version of a new model, with its golden images."""
        version = any_model_version()
        self.bench.put(f"models/{version}/model.tar.gz", tar_gz(files))
        return version

    def sweep(self, function: str) -> dict[str, list[str]]:
        answer: dict[str, list[str]] = json.loads(self.lambda_.invoke(FunctionName=function)["Payload"].read())
        return answer

    def left(self) -> list[str]:
        """The models, configurations and endpoints that there are."""
        sagemaker = self.bench.sagemaker
        return [
            *(f"model {one['ModelName']}" for one in sagemaker.list_models()["Models"]),
            *(f"config {one['EndpointConfigName']}" for one in sagemaker.list_endpoint_configs()["EndpointConfigs"]),
            *(f"endpoint {one['EndpointName']}" for one in sagemaker.list_endpoints()["Endpoints"]),
        ]


def _template(timeout_seconds: int) -> dict[str, Any]:
    laptop = Settings.load("laptop").model_dump()
    compilation = {"targets": [TARGET], "endpoint": {"enabled": True, "timeout_seconds": timeout_seconds}}
    return synthesize(Settings.model_validate(laptop | {"compilation": compilation}))["compilation"]


def _states(template: Mapping[str, Any]) -> Mapping[str, Any]:
    states: Mapping[str, Any] = definition(template)["States"]["Targets"]["ItemProcessor"]["States"]
    return states


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A model package that tells red, green and blue apart."""
    folder = model_packages.write(tmp_path_factory.mktemp("model") / "package")
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Account(tmp_path_factory.mktemp("account")) as account:
        yield Stage(Bench(account))


@pytest.fixture
def stage(opened: Stage) -> Iterator[Stage]:
    """No endpoint is there when a test begins, and none when it ends."""
    yield opened
    opened.bench.faults.clear()
    assert opened.left() == []


@pytest.mark.parametrize("framework", IMAGES)
def test_a_model_that_finds_its_golden_labels_ships(stage: Stage, files: dict[str, bytes], framework: str) -> None:
    version = stage.trained(files)
    package = stage.compiled(version, model_packages.GOOD, image=IMAGES[framework])
    assert stage.run(package, version, framework=framework) == package


def test_a_model_that_finds_other_labels_is_refused(stage: Stage, files: dict[str, bytes]) -> None:
    version = stage.trained(files)
    made = stage.run(stage.compiled(version, model_packages.SHUFFLED), version)
    assert (made["outcome"], made["key"], made["bytes"]) == ("refused", "", 0)
    assert made["failure"]
    assert made["failure"]["kind"] == "endpoint"
    assert "of red.png it finds label 2, and the model before compilation finds 0" in made["failure"]["reason"]


def test_a_model_from_elsewhere_must_answer_with_numbers(stage: Stage) -> None:
    version = "own-0a1b2c3d4e5f"
    package = stage.compiled(version, model_packages.GOOD)
    assert stage.run(package, version) == package


def test_the_inputs_of_a_model_from_elsewhere_may_be_wrong(stage: Stage) -> None:
    version = "own-0a1b2c3d4e5f"
    config = {"DataInputConfig": json.dumps({"image": [1, 3, 5, 5]})}
    made = stage.run(stage.compiled(version, model_packages.GOOD), version, input_config=config)
    assert made["failure"]
    assert made["failure"]["reason"].startswith("the container refused a request: Received client error (400)")


def test_a_container_that_fails_refuses_the_target(stage: Stage, files: dict[str, bytes]) -> None:
    version = stage.trained(files)
    made = stage.run(stage.compiled(version, b"no model"), version)
    assert made["failure"]
    assert made["failure"]["reason"] == (
        "the endpoint is Failed: The primary container for production variant ml-c5 did not pass the ping health "
        "check. Please check CloudWatch logs for this endpoint."
    )


def test_an_endpoint_that_is_never_in_service_refuses_the_target(stage: Stage, files: dict[str, bytes]) -> None:
    stage.bench.faults.stall_job("endpoint")
    version = stage.trained(files)
    made = stage.run(stage.compiled(version, model_packages.GOOD), version, impatient=True)
    assert made["failure"]
    assert made["failure"]["reason"] == (
        "the endpoint was still Creating when compilation.endpoint.timeout_seconds were over"
    )


@pytest.mark.parametrize("operation", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"])
def test_what_cannot_be_made_refuses_the_target(stage: Stage, files: dict[str, bytes], operation: str) -> None:
    limit = "The account-level service limit 'ml.c5.xlarge for endpoint usage' is 0 Instances"
    stage.bench.faults.refuse(f"sagemaker:{operation}", "ResourceLimitExceeded", limit)
    version = stage.trained(files)
    made = stage.run(stage.compiled(version, model_packages.GOOD), version)
    assert made["failure"]
    assert made["failure"]["kind"] == "endpoint"
    assert limit in made["failure"]["reason"]


def test_a_job_that_names_no_container_is_told(stage: Stage, files: dict[str, bytes]) -> None:
    version = stage.trained(files)
    made = stage.run(stage.compiled(version, model_packages.GOOD, image=""), version)
    assert made["failure"]
    assert "NoContainer: the compilation job of ml_c5 has no InferenceImage" in made["failure"]["reason"]


@pytest.mark.parametrize(
    "package", [any_package(TARGET, "refused"), any_package("linux-x86_64"), any_package("linux-arm64", "portable")]
)
def test_what_no_endpoint_serves_passes_through(stage: Stage, package: Package) -> None:
    execution = stage.start(package, "m")
    assert stage.bench.ended(execution)["output"] == package
    entered = [
        event["stateEnteredEventDetails"]["name"]
        for event in stage.bench.history(execution)
        if "stateEnteredEventDetails" in event
    ]
    assert "NameEndpoint" not in entered


def test_what_a_stopped_execution_leaves_is_swept_away(stage: Stage, files: dict[str, bytes]) -> None:
    version = stage.trained(files)
    stage.bench.faults.stall_job("endpoint")
    execution = stage.start(stage.compiled(version, model_packages.GOOD), version)
    until(stage.left, lambda found: any(name.startswith("endpoint") for name in found))
    stage.bench.stepfunctions.stop_execution(executionArn=execution)
    [sweep] = [arn for name, arn in stage.functions.items() if name.startswith("Sweep")]

    young = stage.sweep(sweep)
    stage.lambda_.update_function_configuration(
        FunctionName=sweep, Environment={"Variables": {"DATA_BUCKET": BUCKET, "AGE_SECONDS": "0"}}
    )
    old = [stage.sweep(sweep)]

    def left_after_another() -> list[str]:
        old.append(stage.sweep(sweep))
        return stage.left()

    until(left_after_another, lambda found: not found)

    assert young == {"gone": [], "left": []}
    assert old[0]["left"]
    assert [name for answer in old for name in answer["gone"]] == old[0]["left"]
