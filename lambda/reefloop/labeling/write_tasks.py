"""WriteTasks: the work of a round's people, cut into labeling jobs, and the page that they see."""

from dataclasses import dataclass
from importlib import resources
from itertools import chain, islice
from typing import Final

from reefloop import clients, contracts, environment, storage
from reefloop.labeling import inputs, rounds
from reefloop.payloads import Chunk, LabelingInput, Tasks

# Its values are filled in by Ground Truth, each escaped: categories and image addresses come from outside.
_TEMPLATE: Final = "worker_template.liquid.html"


@dataclass(frozen=True)
class Environment:
    data_bucket: str
    chunk_objects: int


def handler(event: LabelingInput, _context: object) -> Tasks:
    """Write rounds/<round>/tasks/<n>.manifest from human.manifest, and the worker template beside them.

    There are no chunks when the machine was sure of everything.

    Raises:
        ObjectMissing: when the round was not routed.
    """
    env = environment.read(Environment)
    round_ = event["round"]
    template_key = contracts.round_key(round_, "tasks/template.liquid.html")
    template = resources.files("reefloop.labeling").joinpath(_TEMPLATE).read_bytes()
    clients.s3().put_object(Bucket=env.data_bucket, Key=template_key, Body=template, ContentType="text/html")
    previous = rounds.previous_dataset(env.data_bucket, besides=round_)
    return Tasks(
        template_uri=storage.uri(env.data_bucket, template_key),
        chunks=_write_chunks(env.data_bucket, round_, chunk_objects=env.chunk_objects),
        processing_inputs=inputs.consolidate(env.data_bucket, round_=round_, previous_dataset=previous),
    )


def _write_chunks(bucket: str, round_: str, *, chunk_objects: int) -> list[Chunk]:
    chunks: list[Chunk] = []
    everything = storage.read_lines(bucket, contracts.round_key(round_, "human.manifest"))
    lines = (line for line in everything if line.strip())
    for first in lines:
        key = contracts.round_key(round_, f"tasks/{len(chunks)}.manifest")
        with storage.writing(bucket, key) as file:
            file.writelines(line + b"\n" for line in chain([first], islice(lines, chunk_objects - 1)))
        chunks.append(Chunk(manifest_uri=storage.uri(bucket, key)))
    return chunks
