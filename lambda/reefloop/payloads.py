"""What the payloads of the state machines hold: one type per stage, per function and per document that they share."""

from typing import Literal, NotRequired, TypedDict

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


class ListedPool(Pool):
    """`listed` is when the round's pool was listed, in ISO 8601: the date of the machine's labels, the same however
    often the round is scored."""

    listed: str


Team = Literal["labelers", "experts"]


class Chunk(TypedDict):
    """What one labeling job asks: the manifest, its key below the round's prefix, and, where the job may label by
    itself, CreateLabelingJob's LabelingJobAlgorithmsConfig."""

    manifest_uri: str
    tasks: str
    algorithms: NotRequired[dict[str, str]]


class Tasks(TypedDict):
    """What the labeling jobs of a team need; `objects` counts the lines of all chunks, and there are none when
    there is nothing (more) to ask. `processing_inputs` are those of the processing jobs that come after."""

    template_uri: str
    categories_uri: str
    attempt: int
    objects: int
    chunks: list[Chunk]
    processing_inputs: list[dict[str, object]]


class WriteTasksInput(TypedDict):
    round: str
    team: Team


class JobEnd(TypedDict, total=False):
    """How one labeling job ended: what its state selects of the finished job (of Ground Truth with LabelingJobOutput,
    of the station with its two fields alone), or the error that was caught."""

    LabelingJobName: str
    LabelCounters: dict[str, int]
    LabelingJobOutput: dict[str, str]
    OutputDatasetS3Uri: str
    FinalActiveLearningModelArn: str
    Error: str
    Cause: str


class CollectLabelsInput(TypedDict):
    """`jobs` are the ends of the jobs of `chunks`, in the same order."""

    round: str
    team: Team
    attempt: int
    chunks: list[Chunk]
    jobs: list[JobEnd]


class PublishBatchInput(TypedDict):
    """`token` is what the people's answer is awaited under."""

    round: str
    team: Team
    chunk: Chunk
    template_uri: str
    token: str


class Batch(TypedDict):
    """rounds/<round>/station/<team>/<attempt>-<n>.json: work that waits for people at the labeling station.

    `job` names the folder of the votes: labeling-jobs/<team>/<job>/annotations/worker-response/iteration-1/<line of
    the tasks>/<UTC stamp>-<worker hash>.json, one answer each, as Ground Truth writes them. It is made of what is
    asked: the same work published again has the same name and keeps its votes. `tasks` and `template` are keys below
    the round's prefix. `votes` is how many different people answer an object. Whoever finishes reads `token` anew: a
    batch that was published again waits under another one.
    """

    round: str
    job: str
    team: Team
    tasks: str
    template: str
    task: Literal["classification", "detection"]
    question: str
    categories: list[str]
    votes: int
    token: str
    published_at: str
    deadline: str


class LabelingJob(TypedDict):
    """One entry of rounds/<round>/labeling-jobs.json. `job` is "" when the service refused to make one."""

    job: str
    team: Team
    attempt: int
    tasks: str
    status: Literal["Completed", "Failed"]
    counters: dict[str, int]
    failure_reason: str
    output_uri: str
    active_learning_model_arn: str


class Attempt(TypedDict):
    """One way to get instances for the training; `stopping_condition` is CreateTrainingJob's, in its own words."""

    instance_type: str
    spot: bool
    stopping_condition: dict[str, int]


class TrainingPlan(TypedDict):
    """`attempt` is the one to make now, `remaining` are those after it, `refusals` says why each earlier one failed.
    `redrives` is how often the execution had been redriven when the plan was made."""

    model_version: str
    attempt: Attempt
    remaining: list[Attempt]
    refusals: list[str]
    redrives: int


class TrainingJobEnd(TypedDict, total=False):
    """How one training job ended: what its state selects of the job, or the error that was caught."""

    TrainingJobName: str
    TrainingJobStatus: str
    SecondaryStatus: str
    Error: str
    Cause: str


class NextAttemptInput(TypedDict):
    plan: TrainingPlan
    job: TrainingJobEnd
    redrives: int


class EvaluationPlan(TypedDict):
    """`processing_inputs` are the ProcessingInputs of the evaluation: they differ with and without a champion."""

    processing_inputs: list[dict[str, object]]


Approval = Literal["Approved", "Rejected", "PendingManualApproval"]


class Verdict(TypedDict):
    """What the gate says, and with `approval` what the model registry says."""

    accepted: bool
    reasons: list[str]
    approval: Approval
    model_package_arn: str


class AwaitApprovalInput(TypedDict):
    """What approvals/<number>.json holds as well: the gate's verdict, and what the person's answer is awaited under."""

    verdict: Verdict
    token: str


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
