"""Payloads of compilation: its input and output, and what one target is on its way to a package."""

from typing import Literal, NotRequired, TypedDict


class OwnModel(TypedDict):
    """A model from elsewhere. `uri` is its tarball, below models/<version>/ of the data bucket; `framework`,
    `framework_version` ("" for Neo's default) and `data_input_config` are CreateCompilationJob's, in its own words."""

    uri: str
    framework: str
    framework_version: str
    data_input_config: str


class CompilationInput(TypedDict):
    """Without `targets` those that are configured; without `model` the one that training left at `model_version`."""

    model_version: str
    targets: NotRequired[list[str]]
    model: NotRequired[OwnModel]


Outcome = Literal["compiled", "portable", "refused"]


class Failure(TypedDict):
    """Why a target was not compiled: the kind of failure (compilation/failures.py), the compiler's own words, and
    what to do."""

    kind: str
    reason: str
    advice: str


class Parity(TypedDict):
    """The compiled model beside the model it was compiled from, on the same objects and as many threads.

    `agreement` is the share of objects with the same first label, `difference` the largest of a logit and
    `golden_deviation` the largest of a golden image's, as a share of what a device allows; accuracies are shares of the
    test split, None where there was none; latencies are milliseconds for one image.
    """

    runtime: str
    instance_type: str
    golden: int
    golden_agreement: float
    golden_deviation: float
    difference: float
    objects: int
    agreement: float | None
    accuracy: float | None
    source_accuracy: float | None
    p50_ms: float
    p99_ms: float
    source_p50_ms: float
    source_p99_ms: float
    compiled_bytes: int
    source_bytes: int


class Package(TypedDict):
    """What one target got. `key` is "" and `bytes` 0 when the target was refused. `platform` is the Greengrass
    platform that it is for, empty when it is delivered by other means. `parity` is None where it was not measured.
    `artifact_uri` is what the compiler wrote, `inference_image` the container that serves it in the cloud, both ""
    where there is none."""

    target: str
    outcome: Outcome
    delivery: Literal["greengrass", "artifact", "endpoint"]
    platform: dict[str, str]
    runtime: str
    key: str
    bytes: int
    artifact_uri: str
    inference_image: str
    failure: Failure | None
    parity: Parity | None


class CompilationOutput(TypedDict):
    model_version: str
    packages: list[Package]


class TargetRecord(TypedDict):
    """compilation.targets.Target, as payloads carry it; `greengrass` is empty where it is None."""

    name: str
    device: str
    platform: dict[str, str]
    compiler_options: dict[str, object]
    greengrass: dict[str, str]
    runtime: str
    portable: bool
    measured_on: str


class CompilationTarget(TypedDict):
    """One item of the compilation Map. `refusal` says why no job is to be made, "" when one is; then the
    configurations are CreateCompilationJob's, ready to send. `instance_type` is where the compiled model is measured,
    "" where that cannot be done."""

    name: str
    record: TargetRecord
    delivery: Literal["greengrass", "artifact", "endpoint"]
    refusal: str
    input_config: dict[str, object]
    output_config: dict[str, object]
    instance_type: str


class PrepareInput(TypedDict):
    """The stage's own input, the targets that are configured, and all of one's own that an input may name."""

    input: CompilationInput
    targets: list[TargetRecord]
    own_targets: list[TargetRecord]


class PackageInput(TypedDict):
    """`artifact_uri` is "" when compilation failed; `failure_reason` is "" when it did not."""

    model_version: str
    record: TargetRecord
    artifact_uri: str
    inference_image: str
    failure_reason: str


class Packaged(TypedDict):
    """A package, and the ProcessingInputs of the job that measures it: none where that cannot be done."""

    package: Package
    processing_inputs: list[dict[str, object]]


class Hosting(TypedDict):
    """How the compiled model of one target is hosted: CreateModel's PrimaryContainer and CreateEndpointConfig's
    ProductionVariants, ready to send. An endpoint that does not serve by `deadline` (ISO 8601) has failed."""

    container: dict[str, object]
    variants: list[dict[str, object]]
    deadline: str


TrialState = Literal["waiting", "passed", "failed"]


class Trial(TypedDict):
    """What became of an endpoint so far; `reason` is "" unless it failed."""

    state: TrialState
    reason: str


class Unhosted(TypedDict):
    """Whether something is left of an endpoint test. `package` is what the target gets."""

    state: Literal["waiting", "gone"]
    package: Package
