"""Where Ground Truth writes what a labeling job finds out, and how it counts.

https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
"""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from offline.runners import Job, now, storage
from offline.runners.labeling.labels import Task, answer_content, metadata

COUNTERS: Final = ("TotalLabeled", "HumanLabeled", "MachineLabeled", "FailedNonRetryableError", "Unlabeled")


class Output:
    """The output folder of one job."""

    def __init__(self, job: Job, many: storage.Many) -> None:
        self._job, self._many = job, many
        self.uri = f"{job.request['OutputConfig']['S3OutputPath'].rstrip('/')}/{job.name}"
        self._started = now()
        self._stamp = self._started.strftime("%Y-%m-%d_%H:%M:%S")
        self._counted: Counter[str] = Counter()
        self._reported: dict[str, str] = {}

    def count(self, **changes: int) -> None:
        """Change LabelCounters, which the job's description shows at once."""
        self._counted.update(changes)
        self._job.report({"LabelCounters": {name: self._counted[name] for name in COUNTERS}})

    def put(self, key: str, body: Any) -> str:
        """Write one file, anything but bytes as JSON; returns its URI."""
        uri = f"{self.uri}/{key}"
        self._many.write(uri, body if isinstance(body, bytes) else json.dumps(body).encode())
        return uri

    def put_responses(self, task: Task, field: str, issuer: str) -> None:
        """Keep what each worker said about one object."""
        answers = [
            {
                "acceptanceTime": _iso(self._started),
                "submissionTime": _iso(self._started + timedelta(seconds=answer.seconds)),
                "timeSpentInSeconds": round(answer.seconds, 3),
                "answerContent": answer_content(task, answer, field),
                "workerId": answer.worker,
                "workerMetadata": {
                    "identityData": {"identityProviderType": "Cognito", "issuer": issuer, "sub": answer.worker}
                },
            }
            for answer in task.answers
        ]
        key = f"annotations/worker-response/iteration-{task.iteration}/{task.index}/{self._stamp}.json"
        self.put(key, {"answers": answers})

    def put_request(self, tasks: list[Task], field: str, batch: str) -> str:
        """Write what the consolidation function reads: every answer about a batch of objects."""
        body = [
            {
                "datasetObjectId": str(task.index),
                "dataObject": {"s3Uri": task.line["source-ref"]},
                "annotations": [
                    {
                        "workerId": answer.worker,
                        "annotationData": {"content": json.dumps(answer_content(task, answer, field))},
                    }
                    for answer in task.answers
                ],
            }
            for task in tasks
        ]
        return self.put(self._batch_key("request", tasks[0].iteration, batch), body)

    def put_response(self, tasks: list[Task], batch: str) -> None:
        """Keep what the consolidation function made of a batch."""
        body = [
            {"datasetObjectId": str(task.index), "consolidatedAnnotation": {"content": task.label}}
            for task in tasks
            if task.label
        ]
        self.put(self._batch_key("response", tasks[0].iteration, batch), body)

    def put_manifest(self, tasks: Iterable[Task], kind_type: str) -> None:
        """Write the output manifest: a line per object that was labeled or failed, in the order of the input."""
        attribute = self._job.request["LabelAttributeName"]
        lines = []
        for task in tasks:
            if task.failure:
                reason = {"failure-reason": task.failure}
                task.label = {f"{attribute}-metadata": metadata(kind_type, self._job.name, **reason)}
            lines.append(json.dumps({**task.line, **task.label}) + "\n")
        manifest = "".join(lines).encode()
        self.put("manifests/intermediate/1/output.manifest", manifest)
        uri = self.put("manifests/output/output.manifest", manifest)
        self.report(OutputDatasetS3Uri=uri)

    def report(self, **fields: str) -> None:
        """Add to the description's LabelingJobOutput."""
        self._reported |= fields
        self._job.report({"LabelingJobOutput": self._reported})

    def _batch_key(self, what: str, iteration: int, batch: str) -> str:
        folder = f"annotations/consolidated-annotation/consolidation-{what}/iteration-{iteration}"
        return f"{folder}/{self._stamp}{batch}.json"


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
