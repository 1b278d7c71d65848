"""What the parts say to each other: keys in the buckets, keys in the payloads of the state machines.

Everything is declared here once. The stacks import the names to write state machines, the functions to read and
write events; a test walks every synthesized definition and refuses a path that is not made of these names.
"""

from typing import Final, Literal, NotRequired, TypedDict

PROJECT: Final = "reefloop"

# The attribute that holds the label in every augmented manifest of this project. Ground Truth adds
# "<attribute>-metadata" beside it: https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
LABEL_ATTRIBUTE: Final = "species"

# ---- Data bucket ----------------------------------------------------------------------------------------------------

IMAGES: Final = "images/"
ROUNDS: Final = "rounds/"
DATASETS: Final = "datasets/"
GOLD_MANIFEST: Final = "gold/gold.manifest"
# Ground Truth's own label category configuration: the order of its labels is the order of the model's outputs.
LABEL_CATEGORIES: Final = "gold/label-categories.json"


def round_key(round_: str, name: str = "") -> str:
    """Key of one file of a labeling round, or the round's prefix."""
    return f"{ROUNDS}{round_}/{name}"


def dataset_key(version: str, name: str = "") -> str:
    """Key of one file of a dataset version, or the version's prefix."""
    return f"{DATASETS}{version}/{name}"


def model_key(version: str, name: str = "") -> str:
    """Key of one file of a model version, or the version's prefix. Same layout in both buckets."""
    return f"models/{version}/{name}"


def device_key(thing: str, name: str = "") -> str:
    """Key of what a device reports about itself, or the device's prefix."""
    return f"devices/{thing}/{name}"


# ---- Artifact bucket ------------------------------------------------------------------------------------------------


def package_key(version: str, target: str, digest: str) -> str:
    """Key of the ZIP that a target's devices download.

    Greengrass takes an artifact's digest once, so an object here never changes: a target that is compiled again with
    another outcome has another `digest` of its content, and so another key.
    """
    return model_key(version, f"packages/{digest}/{target}.zip")


# ---- Greengrass -----------------------------------------------------------------------------------------------------

CLASSIFIER_COMPONENT: Final = "reefloop.Classifier"
MODEL_COMPONENT: Final = "reefloop.Model"

# ---- Payload keys ---------------------------------------------------------------------------------------------------

ROUND: Final = "round"
OBJECTS: Final = "objects"
PAGE: Final = "page"
POOL: Final = "pool"
PROCESSING_INPUTS: Final = "processing_inputs"
TASKS: Final = "tasks"
CHUNK: Final = "chunk"
CHUNKS: Final = "chunks"
MANIFEST_URI: Final = "manifest_uri"
TEMPLATE_URI: Final = "template_uri"
DATASET_VERSION: Final = "dataset_version"
EXECUTION: Final = "execution"
PLAN: Final = "plan"
MODEL_VERSION: Final = "model_version"
MODEL_ARTIFACT_URI: Final = "model_artifact_uri"
VERDICT: Final = "verdict"
ACCEPTED: Final = "accepted"
REASONS: Final = "reasons"
TARGET: Final = "target"
TARGETS: Final = "targets"
NAME: Final = "name"
INPUT_CONFIG: Final = "input_config"
OUTPUT_CONFIG: Final = "output_config"
ARTIFACT_URI: Final = "artifact_uri"
FAILURE_REASON: Final = "failure_reason"
PACKAGES: Final = "packages"
KEY: Final = "key"
COMPONENT: Final = "component"
COMPONENT_ARN: Final = "component_arn"
COMPONENT_VERSION: Final = "component_version"
GROUP_ARN: Final = "group_arn"
CANARY: Final = "canary"
FLEET: Final = "fleet"
HEALTH: Final = "health"
STATE: Final = "state"
DEADLINE: Final = "deadline"
DEPLOYMENT_ID: Final = "deployment_id"
PREVIOUS_VERSION: Final = "previous_version"
PUBLISHED: Final = "published"
ROLLED_BACK: Final = "rolled_back"
JOB: Final = "job"
JOBS: Final = "jobs"
ERROR: Final = "error"
# The answers of the four stages, side by side in the loop's own state.
LABELING: Final = "labeling"
TRAINING: Final = "training"
COMPILATION: Final = "compilation"
DEPLOYMENT: Final = "deployment"


# ---- Stage inputs and outputs (what startExecution gets, what the execution returns) --------------------------------


class LabelingInput(TypedDict):
    round: str


class LabelingOutput(TypedDict):
    """`objects` is how many new images the round considered; with 0 there is no new dataset version ("")."""

    round: str
    objects: int
    dataset_version: str


class TrainingInput(TypedDict):
    dataset_version: str


class TrainingOutput(TypedDict):
    model_version: str
    accepted: bool
    reasons: list[str]


class CompilationInput(TypedDict):
    model_version: str


Outcome = Literal["compiled", "portable", "refused"]


class Package(TypedDict):
    """What one target got. `key` is "" and `bytes` 0 when the target was refused."""

    target: str
    outcome: Outcome
    key: str
    bytes: int
    failure_reason: str


class CompilationOutput(TypedDict):
    model_version: str
    packages: list[Package]


class DeploymentInput(TypedDict):
    model_version: str
    packages: list[Package]


class DeploymentOutput(TypedDict):
    model_version: str
    component_version: str
    canary: "Rollout"
    fleet: "Rollout"


# ---- What the functions return --------------------------------------------------------------------------------------


class LabelingPage(TypedDict):
    """Where the people of the workforce sign in and label."""

    address: str


class Pool(TypedDict):
    """`processing_inputs` are the ProcessingInputs of the scoring job: they differ with and without a champion."""

    objects: int
    processing_inputs: list[dict[str, object]]


class Chunk(TypedDict):
    manifest_uri: str


class Tasks(TypedDict):
    """What the labeling jobs of a round need (no chunks when the machine was sure of everything), and the
    ProcessingInputs of the consolidation after them: they differ with and without an earlier dataset."""

    template_uri: str
    chunks: list[Chunk]
    processing_inputs: list[dict[str, object]]


class TrainingPlan(TypedDict):
    model_version: str


class Verdict(TypedDict):
    accepted: bool
    reasons: list[str]


class CompilationTarget(TypedDict):
    """One item of the compilation Map: CreateCompilationJob's InputConfig and OutputConfig, ready to send."""

    name: str
    input_config: dict[str, object]
    output_config: dict[str, object]


class Component(TypedDict):
    component_arn: str
    component_version: str


class Rollout(TypedDict):
    """One deployment of the model to one thing group; `previous_version` is "" when the group had no model yet."""

    deployment_id: str
    previous_version: str
    deadline: str


HealthState = Literal["waiting", "passed", "failed"]


class Health(TypedDict):
    state: HealthState
    reasons: list[str]


class DeviceReport(TypedDict):
    """devices/<thing>/status.json: which model a device serves and whether it passed the device's own self-test."""

    thing: str
    model_version: str
    target: str
    runtime: str
    self_test: Literal["passed", "failed"]
    reason: NotRequired[str]
    reported_at: str
