"""A labeling job: the crew answers, and everything that Ground Truth writes is written where it writes it.

https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from botocore.exceptions import ClientError

from offline.runners import Job, JobFailed, JobStopped, now, storage
from offline.state import Crew

# https://docs.aws.amazon.com/sagemaker/latest/dg/input-data-limits.html
MAX_OBJECTS: Final = 100_000
_TYPE: Final = "groundtruth/image-classification"
_DEFAULT_AVAILABILITY_SECONDS: Final = 30 * 24 * 3600

Answer = tuple[str, str, float]


@dataclass(frozen=True)
class Task:
    """What one object of the input manifest became: the answers, or why there are none."""

    line: dict[str, Any]
    answers: list[Answer]
    failure: str = ""


def work(job: Job) -> None:
    """Do what Ground Truth does with an image classification job.

    Raises:
        JobFailed: an input that Ground Truth would refuse, or nobody labeled anything in time.
        JobStopped: the job was told to stop; what was labeled by then is in the output manifest.
    """
    Labeling(job).run()


class Labeling:
    """One labeling job at work."""

    def __init__(self, job: Job) -> None:
        request = job.request
        self._job = job
        self._many = storage.Many(job.state.client("s3", **job.credentials))
        self._human: Mapping[str, Any] = request["HumanTaskConfig"]
        self._attribute: str = request["LabelAttributeName"]
        self._output = f"{request['OutputConfig']['S3OutputPath'].rstrip('/')}/{job.name}"
        self._counted: Counter[str] = Counter()
        self._started = now()
        self._stamp = self._started.strftime("%Y-%m-%d_%H:%M:%S")
        self._categories: list[str] = []
        self._team = ""

    def run(self) -> None:
        job = self._job
        self._check_task_type()
        lines = self._manifest()
        self._categories = self._label_categories()
        self._team = self._user_group()
        self._count(Unlabeled=len(lines))
        crew = job.state.crew
        if crew is None:
            self._wait_for_nobody(lines)
            return
        tasks = []
        for index, line in enumerate(lines):
            if job.stopping.is_set():
                break
            tasks.append(self._label(crew, index, line))
        self._write(tasks)
        job.check()
        if all(task.failure for task in tasks):
            raise JobFailed(f"ClientError: every object failed, the first because: {tasks[0].failure}")

    def _check_task_type(self) -> None:
        """Refuse task types whose work this account cannot do."""
        before = self._human.get("PreHumanTaskLambdaArn", "")
        after = self._human.get("AnnotationConsolidationConfig", {}).get("AnnotationConsolidationLambdaArn", "")
        if not before.endswith(":PRE-ImageMultiClass") or not after.endswith(":ACS-ImageMultiClass"):
            raise JobFailed(
                f"ClientError: this account has the built-in image classification alone (PRE-ImageMultiClass and "
                f"ACS-ImageMultiClass), not {before or 'no function'} and {after or 'no function'}"
            )
        for unsupported in ("LabelingJobAlgorithmsConfig", "StoppingConditions"):
            if unsupported in self._job.request:
                raise JobFailed(f"ClientError: this account does not honour {unsupported}: leave it out")
        template = self._human["UiConfig"].get("UiTemplateS3Uri", "")
        if b"<crowd-image-classifier" not in self._many.read(template):
            raise JobFailed(f"ClientError: the worker template {template} has no crowd-image-classifier")

    def _manifest(self) -> list[dict[str, Any]]:
        uri = self._job.request["InputConfig"]["DataSource"]["S3DataSource"]["ManifestS3Uri"]
        lines = []
        for number, text in enumerate(self._many.read(uri).decode().splitlines(), 1):
            try:
                line = json.loads(text)
                line["source-ref"].startswith("s3://")
            except (ValueError, TypeError, KeyError, AttributeError):
                raise JobFailed(f"ClientError: {uri} line {number} is not a JSON object with a source-ref") from None
            lines.append(line)
        if not 1 <= len(lines) <= MAX_OBJECTS:
            raise JobFailed(f"ClientError: {uri} has {len(lines)} objects; a job takes 1 to {MAX_OBJECTS}")
        return lines

    def _label_categories(self) -> list[str]:
        uri = self._job.request.get("LabelCategoryConfigS3Uri", "")
        try:
            labels = [label["label"] for label in json.loads(self._many.read(uri))["labels"]]
        except (ValueError, TypeError, KeyError):
            raise JobFailed(f"ClientError: {uri} is not a label category configuration") from None
        if len(set(labels)) < 2 or len(set(labels)) != len(labels):
            raise JobFailed(f"ClientError: {uri} must have at least two labels, each once; it has {labels}")
        return labels

    def _user_group(self) -> str:
        """The group of people behind the work team: whoever is in it may take the tasks."""
        name = self._human["WorkteamArn"].rpartition("/")[2]
        team = self._job.state.client("sagemaker").describe_workteam(WorkteamName=name)["Workteam"]
        member = team["MemberDefinitions"][0]
        group: str = member.get("CognitoMemberDefinition", {}).get("UserGroup", name)
        return group

    def _label(self, crew: Crew, index: int, line: dict[str, Any]) -> Task:
        """Have one object labeled."""
        workers = self._human["NumberOfHumanWorkersPerDataObject"]
        try:
            image = self._many.read(line["source-ref"])
        except ClientError as error:
            return self._failed(line, f"ClientError: {error.response['Error']['Message']} ({line['source-ref']})")
        answers = crew.answers(image, self._categories, workers, self._team)
        if not answers:
            return self._failed(line, f"ClientError: no worker knew what {line['source-ref']} shows")
        self._put(f"annotations/worker-response/iteration-1/{index}/{self._stamp}.json", self._responses(answers))
        self._count(TotalLabeled=1, HumanLabeled=1, Unlabeled=-1)
        return Task(line, answers)

    def _failed(self, line: dict[str, Any], reason: str) -> Task:
        self._count(FailedNonRetryableError=1, Unlabeled=-1)
        return Task(line, [], reason)

    def _responses(self, answers: list[Answer]) -> dict[str, Any]:
        return {
            "answers": [
                {
                    "acceptanceTime": _iso(self._started),
                    "submissionTime": _iso(self._started + timedelta(seconds=seconds)),
                    "timeSpentInSeconds": round(seconds, 3),
                    "answerContent": {"crowd-image-classifier": {"label": label}},
                    "workerId": worker,
                    "workerMetadata": {"identityData": {"identityProviderType": "Cognito", "sub": worker}},
                }
                for worker, label, seconds in answers
            ]
        }

    def _wait_for_nobody(self, lines: list[dict[str, Any]]) -> None:
        """The private workforce has no people: tasks stay open until they expire."""
        seconds = self._human.get("TaskAvailabilityLifetimeInSeconds", _DEFAULT_AVAILABILITY_SECONDS)
        if self._job.stopping.wait(seconds):
            self._write([])
            raise JobStopped
        self._write(
            [self._failed(line, "ClientError: Annotation tasks expired before a worker took them") for line in lines]
        )
        raise JobFailed(f"ClientError: Annotation tasks expired: nobody labeled an object within {seconds} s")

    def _write(self, tasks: list[Task]) -> None:
        """Consolidate and write the output manifest: one line per object, in the order of the input."""
        lines = [self._consolidated(task) for task in tasks]
        manifest = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        requests = [
            {
                "datasetObjectId": str(index),
                "dataObject": {"s3Uri": task.line["source-ref"]},
                "annotations": [
                    {
                        "workerId": worker,
                        "annotationData": {"content": json.dumps({"crowd-image-classifier": {"label": label}})},
                    }
                    for worker, label, _ in task.answers
                ],
            }
            for index, task in enumerate(tasks)
            if not task.failure
        ]
        responses = [
            {"datasetObjectId": one["datasetObjectId"], "consolidatedAnnotation": {"content": self._label_of(line)}}
            for one, line in zip(requests, (line for line in lines if self._attribute in line), strict=True)
        ]
        consolidated = "annotations/consolidated-annotation"
        self._put(f"{consolidated}/consolidation-request/iteration-1/{self._stamp}.json", requests)
        self._put(f"{consolidated}/consolidation-response/iteration-1/{self._stamp}.json", responses)
        self._put("manifests/intermediate/1/output.manifest", manifest)
        self._put("manifests/output/output.manifest", manifest)
        self._job.report(
            {"LabelingJobOutput": {"OutputDatasetS3Uri": f"{self._output}/manifests/output/output.manifest"}}
        )

    def _label_of(self, line: dict[str, Any]) -> dict[str, Any]:
        return {name: line[name] for name in (self._attribute, f"{self._attribute}-metadata")}

    def _consolidated(self, task: Task) -> dict[str, Any]:
        """The object's line with the majority's label; with one worker the confidence says nothing and is 0."""
        about = {
            "type": _TYPE,
            "job-name": f"labeling-job/{self._job.name}",
            "human-annotated": "yes",
            "creation-date": now().strftime("%Y-%m-%dT%H:%M:%S.%f"),
        }
        if task.failure:
            return {**task.line, f"{self._attribute}-metadata": {"failure-reason": task.failure, **about}}
        votes = Counter(label for _, label, _ in task.answers)
        # The category that comes first wins a tie, so that the same answers always give the same label.
        label = max(self._categories, key=lambda category: votes[category])
        share = votes[label] / len(task.answers) if len(task.answers) > 1 else 0.0
        metadata = {"class-name": label, "confidence": round(share, 2), **about}
        return {
            **task.line,
            self._attribute: self._categories.index(label),
            f"{self._attribute}-metadata": metadata,
        }

    def _put(self, key: str, body: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._many.write(f"{self._output}/{key}", data)

    def _count(self, **changes: int) -> None:
        self._counted.update(changes)
        names = ("TotalLabeled", "HumanLabeled", "MachineLabeled", "FailedNonRetryableError", "Unlabeled")
        self._job.report({"LabelCounters": {name: self._counted[name] for name in names}})


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
