"""What came of the labeling jobs of a round: rounds/<round>/labeling-jobs.json, and which objects have answers."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from reefloop import contracts, storage
from reefloop.labeling import manifest, station
from reefloop.payloads import Chunk, JobEnd, LabelingJob, Team

_REASON_CHARACTERS: Final = 1000


def recorded(bucket: str, round_: str) -> list[LabelingJob]:
    """The jobs of a round so far, the oldest first."""
    key = contracts.round_key(round_, contracts.LABELING_JOBS)
    if storage.find(bucket, key) is None:
        return []
    jobs: list[LabelingJob] = storage.read_json(bucket, key)
    return jobs


def record(bucket: str, round_: str, jobs: Iterable[LabelingJob]) -> list[LabelingJob]:
    """Add jobs to the round's list, each once however often it is told; the list as it is then."""
    known = {(job["team"], job["tasks"], job["job"]): job for job in recorded(bucket, round_)}
    known |= {(job["team"], job["tasks"], job["job"]): job for job in jobs}
    storage.write_json(bucket, contracts.round_key(round_, contracts.LABELING_JOBS), list(known.values()))
    return list(known.values())


def ended(team: Team, attempt: int, chunk: Chunk, end: JobEnd, *, at_station: bool) -> LabelingJob:
    """One job's end as an entry of the list.

    Of a job that Ground Truth ended, Step Functions gives the whole description as the cause; of a job that the
    service refused to make there is no name, and the cause is a sentence.
    https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
    """
    failed = "Error" in end
    about: dict[str, Any] = _description(end.get("Cause", "")) if failed else dict(end)
    counters = about.get("LabelCounters")
    output = about.get("LabelingJobOutput", about)
    reason = ""
    if failed:
        reason = about.get("FailureReason") or end.get("Cause") or end["Error"]
        if end["Error"] == "States.Timeout":
            reason = "nobody finished the batch before its deadline"
    return LabelingJob(
        job=station.job_name(team, chunk["tasks"]) if at_station else about.get("LabelingJobName", ""),
        team=team,
        attempt=attempt,
        tasks=chunk["tasks"],
        status="Failed" if failed else "Completed",
        counters=counters if isinstance(counters, dict) else {},
        failure_reason=reason[:_REASON_CHARACTERS],
        output_uri=output.get("OutputDatasetS3Uri", ""),
        active_learning_model_arn=output.get("FinalActiveLearningModelArn", ""),
    )


def _description(cause: str) -> dict[str, Any]:
    try:
        found = json.loads(cause)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def answers(bucket: str, round_: str, jobs: Iterable[LabelingJob]) -> dict[str, set[int]]:
    """By key of tasks, the lines that have an answer of anybody: a person's, or automated labeling's."""
    found: dict[str, set[int]] = {}
    for job in jobs:
        lines = found.setdefault(job["tasks"], set())
        if job["job"]:
            folder = contracts.round_key(round_, f"{contracts.LABELING_JOBS_FOLDER}{job['team']}/{job['job']}/")
            lines.update(_people_answered(bucket, f"{folder}{contracts.WORKER_RESPONSES}"))
        if job["counters"].get("MachineLabeled"):
            lines.update(_machine_answered(bucket, contracts.round_key(round_, job["tasks"]), job["output_uri"]))
    return found


def _people_answered(bucket: str, prefix: str) -> Iterator[int]:
    """The lines of worker responses: iteration-<n>/<line>/<time>.json below the prefix.

    https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
    """
    for stored in storage.list_objects(bucket, prefix):
        # Whoever labels at the station can write any key below the prefix.
        _, _, rest = stored.key.removeprefix(prefix).partition("/")
        line, inside, _ = rest.partition("/")
        if inside and line.isdecimal():
            yield int(line)


def _machine_answered(bucket: str, tasks_key: str, output_uri: str) -> Iterator[int]:
    """The lines of the tasks that no person labeled.

    By what they are about: nothing says that the output of a job that was stopped has the lines of the tasks.
    """
    owner, key = storage.split_uri(output_uri)
    if owner != bucket:
        return
    labeled = set()
    for line in storage.read_lines(bucket, key):
        fields = json.loads(line)
        metadata = fields.get(f"{contracts.LABEL_ATTRIBUTE}-metadata", {})
        if metadata.get("human-annotated") == "no" and "failure-reason" not in metadata:
            labeled.add(fields[manifest.SOURCE])
    for number, line in enumerate(storage.read_lines(bucket, tasks_key)):
        if json.loads(line)[manifest.SOURCE] in labeled:
            yield number


def unanswered(bucket: str, round_: str, answered: Mapping[str, set[int]]) -> Iterator[bytes]:
    """The lines of the tasks that nobody answered, streamed."""
    for tasks, lines in answered.items():
        for number, line in enumerate(storage.read_lines(bucket, contracts.round_key(round_, tasks))):
            if number not in lines:
                yield line


def answered_objects(bucket: str, round_: str, team: Team) -> set[str]:
    """The source-refs that the team has answered in an earlier execution of the round."""
    jobs = [job for job in recorded(bucket, round_) if job["team"] == team]
    return {
        json.loads(line)[manifest.SOURCE]
        for tasks, lines in answers(bucket, round_, jobs).items()
        if lines
        for number, line in enumerate(storage.read_lines(bucket, contracts.round_key(round_, tasks)))
        if number in lines
    }


def latest_model(bucket: str) -> str:
    """The model that automated labeling made last, of any round; "" when there is none."""
    listed = [
        (stored.modified, round_)
        for round_ in storage.list_folders(bucket, contracts.ROUNDS)
        if (stored := storage.find(bucket, contracts.round_key(round_, contracts.LABELING_JOBS)))
    ]
    for _, round_ in sorted(listed, reverse=True):
        for job in reversed(recorded(bucket, round_)):
            if job["active_learning_model_arn"]:
                return job["active_learning_model_arn"]
    return ""
