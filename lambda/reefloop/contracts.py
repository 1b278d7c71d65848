"""What the parts say to each other: keys in the buckets, keys in the payloads of the state machines.

Every name is declared here once, and what it holds in payloads/. The stacks import the names to write state
machines, the functions to read and write events; a test walks every synthesized definition and refuses a path that is
not made of these names.
"""

import re
from typing import Final

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


def is_own_model(version: str) -> bool:
    """Whether a model is one that somebody brought along: own-<12 hexadecimal digits>.

    No trained one is called so: those end in a hyphen and 8 digits.
    """
    return re.fullmatch(r"own-[0-9a-f]{12}", version) is not None


def approval_key(number: str) -> str:
    """Key of the task token under which a model waits for a person; `number` is its version in the registry.

    No job may read it: whoever has a token can answer for that person.
    """
    return f"approvals/{number}.json"


def instance(number: int) -> str:
    """How SageMaker calls an instance of a job, counted from 1; in a round, the folder that it wrote of the routing.

    https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
    """
    return f"algo-{number}"


# Below a round's prefix: what was asked of people, and what came of it.
ROUTING_FOLDER: Final = "routing/"
TASKS_FOLDER: Final = "tasks/"
STATION_FOLDER: Final = "station/"
LABELING_JOBS_FOLDER: Final = "labeling-jobs/"
LABELING_JOBS: Final = "labeling-jobs.json"
WORKER_RESPONSES: Final = "annotations/worker-response/"

LABELERS: Final = "labelers"
EXPERTS: Final = "experts"
# The error that a station's people end a batch with: what is unanswered by then is not asked again in this round.
ABANDONED: Final = "Labeling.Abandoned"

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

# ---- Messages of devices ---------------------------------------------------------------------------------------------

# The kinds of records, most urgent first: each is a topic, and the first part of its items' names in the table.
RECORDS: Final = ("alert", "health", "summary")
ACK: Final = "ack"
# Attributes of the table of records: its key, and when DynamoDB may delete an item, in seconds since 1970.
THING: Final = "thing"
ITEM: Final = "item"
EXPIRES_AT: Final = "expires_at"


def topic(thing: str, name: str) -> str:
    """The MQTT topic of a kind of records from a device, or of the acknowledgements to it."""
    return f"{PROJECT}/{thing}/{name}"


# ---- Endpoints ------------------------------------------------------------------------------------------------------

# Of one endpoint test: its model, its endpoint configuration and its endpoint share a name that begins with it.
ENDPOINTS: Final = "reefloop-endpoint-"

# ---- Payload keys ---------------------------------------------------------------------------------------------------

ROUND: Final = "round"
OBJECTS: Final = "objects"
PAGE: Final = "page"
POOL: Final = "pool"
LISTED: Final = "listed"
PROCESSING_INPUTS: Final = "processing_inputs"
TEAM: Final = "team"
ATTEMPT: Final = "attempt"
TASKS: Final = "tasks"
CHUNK: Final = "chunk"
CHUNKS: Final = "chunks"
INDEX: Final = "index"
MANIFEST_URI: Final = "manifest_uri"
TEMPLATE_URI: Final = "template_uri"
CATEGORIES_URI: Final = "categories_uri"
ALGORITHMS: Final = "algorithms"
TOKEN: Final = "token"  # noqa: S105 (the name of a payload key)
DATASET_VERSION: Final = "dataset_version"
EXECUTION: Final = "execution"
PLAN: Final = "plan"
MODEL_VERSION: Final = "model_version"
INSTANCE_TYPE: Final = "instance_type"
SPOT: Final = "spot"
STOPPING_CONDITION: Final = "stopping_condition"
REDRIVES: Final = "redrives"
TRAINING_JOB: Final = "training_job"
EVALUATION: Final = "evaluation"
VERDICT: Final = "verdict"
APPROVAL: Final = "approval"
MODEL_PACKAGE_ARN: Final = "model_package_arn"
ACCEPTED: Final = "accepted"
REASONS: Final = "reasons"
TARGET: Final = "target"
TARGETS: Final = "targets"
OWN_TARGETS: Final = "own_targets"
NAME: Final = "name"
INPUT: Final = "input"
INPUT_CONFIG: Final = "input_config"
OUTPUT_CONFIG: Final = "output_config"
ARTIFACT_URI: Final = "artifact_uri"
FAILURE_REASON: Final = "failure_reason"
INFERENCE_IMAGE: Final = "inference_image"
RECORD: Final = "record"
GREENGRASS: Final = "greengrass"
RUNTIME: Final = "runtime"
REFUSAL: Final = "refusal"
POLL: Final = "poll"
SECONDS: Final = "seconds"
PAUSES: Final = "pauses"
PACKAGED: Final = "packaged"
PACKAGE: Final = "package"
PACKAGES: Final = "packages"
OUTCOME: Final = "outcome"
DELIVERY: Final = "delivery"
ENDPOINT: Final = "endpoint"
HOSTING: Final = "hosting"
CONTAINER: Final = "container"
VARIANTS: Final = "variants"
TRIAL: Final = "trial"
REASON: Final = "reason"
IMAGE: Final = "image"
MODEL: Final = "model"
KEY: Final = "key"
COMPONENT: Final = "component"
COMPONENT_ARN: Final = "component_arn"
COMPONENT_VERSION: Final = "component_version"
GROUP_ARN: Final = "group_arn"
FLEET_ARN: Final = "fleet_arn"
CANARY: Final = "canary"
FLEET: Final = "fleet"
HEALTH: Final = "health"
STATE: Final = "state"
DEADLINE: Final = "deadline"
DEPLOYMENT_ID: Final = "deployment_id"
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
