"""One attempt's work, cut into labeling jobs: manifests, the page that people see, what they choose from."""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import chain, islice
from pathlib import Path
from typing import Final

from reefloop import clients, contracts, storage
from reefloop.labeling import categories, ground_truth, inputs, outcomes, rounds, station
from reefloop.payloads import Chunk, Tasks, Team

# A state's payload has 256 KiB, and a failed job comes back with up to 4 KiB of description:
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
MOST_CHUNKS: Final = 40


class TooManyChunks(Exception):
    """The work does not fit the labeling jobs of one attempt."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the functions that write tasks are told by the stack.

    The tasks are names of ground_truth.KINDS; `algorithm_arn` is that of automated labeling, "" without it.
    """

    data_bucket: str
    chunk_objects: int
    labelers_task: str
    experts_task: str
    algorithm_arn: str = ""

    def kind_name(self, team: Team) -> str:
        return self.labelers_task if team == contracts.LABELERS else self.experts_task

    def kind(self, team: Team) -> ground_truth.TaskKind:
        return ground_truth.KINDS[self.kind_name(team)]


def write(settings: Settings, round_: str, team: Team, *, attempt: int, lines: Iterable[bytes]) -> Tasks:
    """Write tasks/<team>/<attempt>-<n>-<digest>.manifest, and beside them the page and its categories.

    The digest is of the content: other work never takes the place of what people have answered already, and the same
    work keeps its name.

    Raises:
        TooManyChunks: naming the setting to change.
    """
    bucket, kind = settings.data_bucket, settings.kind(team)
    station.close(bucket, round_, team)
    folder = f"{contracts.TASKS_FOLDER}{team}/"
    template_key = contracts.round_key(round_, f"{folder}template.liquid.html")
    page = resources.files("reefloop.labeling").joinpath("pages", f"{settings.kind_name(team)}.liquid.html")
    clients.s3().put_object(Bucket=bucket, Key=template_key, Body=page.read_bytes(), ContentType="text/html")
    categories_key = contracts.LABEL_CATEGORIES
    if kind.answers:
        categories_key = contracts.round_key(round_, f"{folder}label-categories.json")
        storage.write_json(bucket, categories_key, categories.config(kind.answers))
    chunks, objects = [], 0
    for number, part in enumerate(_cut(lines, settings.chunk_objects)):
        if number == MOST_CHUNKS:
            raise TooManyChunks(
                f"round {round_!r} asks the {team} about more than {MOST_CHUNKS} x {settings.chunk_objects} objects: "
                "raise labeling.chunk_objects (100,000 at most), or bring fewer images in one round"
            )
        chunk, count = _write_chunk(settings, round_, f"{folder}{attempt}-{number}", part)
        if team == contracts.LABELERS and settings.algorithm_arn and count >= ground_truth.AUTOMATED_LEAST_OBJECTS:
            chunk["algorithms"] = _algorithms(bucket, settings.algorithm_arn, attempt=attempt)
        chunks.append(chunk)
        objects += count
    return Tasks(
        template_uri=storage.uri(bucket, template_key),
        categories_uri=storage.uri(bucket, categories_key),
        attempt=attempt,
        objects=objects,
        chunks=chunks,
        processing_inputs=inputs.after_scoring(
            bucket, round_=round_, previous_dataset=rounds.previous_dataset(bucket, besides=round_)
        ),
    )


def _cut(lines: Iterable[bytes], size: int) -> Iterator[Iterator[bytes]]:
    """The lines in parts of `size`; each must be used up before the next is asked for."""
    rest = iter(lines)
    for first in rest:
        yield chain([first], islice(rest, size - 1))


def _write_chunk(settings: Settings, round_: str, name: str, lines: Iterable[bytes]) -> tuple[Chunk, int]:
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tasks")
        with path.open("wb") as file:
            for count, line in enumerate(lines, start=1):  # noqa: B007 - the count outlives the loop
                file.write(line + b"\n")
        key = f"{name}-{storage.digest(path)}.manifest"
        storage.put_once(settings.data_bucket, contracts.round_key(round_, key), path)
    uri = storage.uri(settings.data_bucket, contracts.round_key(round_, key))
    return Chunk(manifest_uri=uri, tasks=key), count


def _algorithms(bucket: str, algorithm_arn: str, *, attempt: int) -> dict[str, str]:
    """What an earlier job has learned is where automated labeling starts from, in the first attempt: a model that is
    gone, or of other categories, must not fail each job of each round.

    https://docs.aws.amazon.com/sagemaker/latest/dg/sms-automated-labeling.html
    """
    config = {"LabelingJobAlgorithmSpecificationArn": algorithm_arn}
    if attempt == 0 and (model := outcomes.latest_model(bucket)):
        config["InitialActiveLearningModelArn"] = model
    return config
