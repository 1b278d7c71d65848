"""A labeling round in the account, as the jobs before and between the functions leave it."""

import json
from collections.abc import Sequence
from typing import Any

from reefloop import payloads
from reefloop.labeling import collect_labels, write_tasks
from reefloop.payloads import JobEnd, Tasks, Team
from tests.any import any_round
from tests.handlers.account import DATA, Account

Lines = list[dict[str, Any]]


def objects(*names: str) -> Lines:
    return [{"source-ref": f"s3://{DATA}/images/{name}.jpg", "content": name} for name in names]


def routed(account: Account, *parts: Sequence[str]) -> str:
    """A round whose scoring job gave these objects to people, one part per instance."""
    round_ = any_round()
    for number, names in enumerate(parts, start=1):
        account.put_lines(f"rounds/{round_}/routing/algo-{number}/human.manifest", objects(*names))
        account.put_json(f"rounds/{round_}/routing/algo-{number}/routing.json", {"hosts": len(parts)})
    return round_


def write(round_: str, team: Team = "labelers") -> Tasks:
    return write_tasks.handler({"round": round_, "team": team}, None)


def asked(account: Account, answer: Tasks) -> list[list[str]]:
    """The contents of each chunk."""
    return [
        [json.loads(line)["content"] for line in account.get(chunk["manifest_uri"]).splitlines()]
        for chunk in answer["chunks"]
    ]


def answered(account: Account, round_: str, job: str, *lines: int, team: str = "labelers") -> JobEnd:
    """A job that ended well, with answers to some lines of its tasks."""
    for line in lines:
        key = f"rounds/{round_}/labeling-jobs/{team}/{job}/annotations/worker-response/iteration-1/{line}/now.json"
        account.put_json(key, {"answers": []})
    return {
        "LabelingJobName": job,
        "LabelCounters": {"TotalLabeled": len(lines), "HumanLabeled": len(lines)},
        "LabelingJobOutput": {"OutputDatasetS3Uri": f"s3://{DATA}/output.manifest"},
    }


def failed(reason: str, *, job: str = "j", status: str = "Failed") -> JobEnd:
    """A job that Ground Truth ended, as Step Functions tells it."""
    description = {"LabelingJobName": job, "LabelingJobStatus": status, "FailureReason": reason}
    return {"Error": "States.TaskFailed", "Cause": json.dumps(description | {"LabelCounters": {"Unlabeled": 1}})}


def collect(round_: str, tasks: Tasks, *ends: JobEnd, team: Team = "labelers") -> Tasks:
    event = payloads.CollectLabelsInput(
        round=round_, team=team, attempt=tasks["attempt"], chunks=tasks["chunks"], jobs=list(ends)
    )
    return collect_labels.handler(event, None)
