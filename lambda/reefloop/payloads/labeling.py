"""Payloads of labeling: its input and output, what its functions return, and the documents of a round."""

from typing import Literal, NotRequired, TypedDict


class LabelingInput(TypedDict):
    round: str


class LabelingOutput(TypedDict):
    """`objects` is how many new images the round considered; with 0 there is no new dataset version ("")."""

    round: str
    objects: int
    dataset_version: str


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
