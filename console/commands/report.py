"""`report`: what a round's labels are worth and who gave them; what every target got of a model; what devices saw."""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError
from rich.table import Table

from console import field, outcomes
from console.clients import Clients, clients, load_settings
from console.devices import DeviceReader
from console.errors import Refusal
from console.executions import check_round
from console.field import Frames
from console.fleet import Report
from console.project import Project
from console.screen import Screen
from console.tables import PlainTable, interval, plain, share
from reefloop import contracts as c

Document = Mapping[str, Any]

_FATES: Final = (
    "human",
    "machine",
    "uncertain",
    "unanswered",
    "withdrawn",
    "unreadable",
    "gold",
    "duplicate",
)


@dataclass(frozen=True)
class Round:
    """What a round left in the data bucket; empty where it has not come so far, or labels were imported."""

    name: str
    routing: Sequence[Document]
    jobs: Sequence[Document]
    workers: Sequence[Document]
    human_level: Document
    card: Document

    @classmethod
    def read(cls, clients: Clients, bucket: str, name: str) -> "Round":
        """
        Raises:
            Refusal: there is no such round.
        """
        documents = _Documents(clients, bucket)
        first: Document = documents.read(_routing_key(name, 1), {})
        # Other folders are of an earlier try with more instances.
        others = [documents.read(_routing_key(name, number), {}) for number in range(2, first.get("hosts", 1) + 1)]
        found = cls(
            name=name,
            routing=[first, *others] if first else [],
            jobs=documents.read(c.round_key(name, c.LABELING_JOBS), []),
            workers=documents.read(c.round_key(name, "workers.json"), []),
            human_level=documents.read(c.round_key(name, "human-level.json"), {}),
            card=documents.read(c.dataset_key(name, "card.json"), {}),
        )
        if not (found.routing or found.card):
            raise Refusal(f"round {name!r} has neither been routed nor become a dataset: nothing to report yet")
        return found


@dataclass(frozen=True)
class _Documents:
    clients: Clients
    bucket: str

    def read(self, key: str, otherwise: Any) -> Any:
        try:
            return json.loads(self.clients("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"NoSuchKey", "404"}:
                raise
            return otherwise


def _routing_key(round_: str, instance: int) -> str:
    return c.round_key(round_, f"{c.ROUTING_FOLDER}{c.instance(instance)}/routing.json")


def run(options: argparse.Namespace) -> int:
    account = clients(load_settings(options.stage).region)
    project = Project.find(account)
    bucket = project.data_bucket
    screen = Screen()
    if options.devices:
        _show_devices(screen, account, project, days=options.days)
        return 0
    if options.model:
        _show_targets(screen, options.model, outcomes.read(account, bucket, options.model))
        return 0
    name = check_round(options.round_)
    for table in tables(Round.read(account, bucket, name)):
        screen.print(table)
    if frames := Frames(account, bucket).audited([name]):
        screen.print(field.table(frames))
    for model in outcomes.models_of(account, bucket, name):
        if packages := outcomes.read(account, bucket, model):
            _show_targets(screen, model, packages)
    return 0


def _show_devices(screen: Screen, account: Clients, project: Project, *, days: float) -> None:
    """What devices saw and sent in the last days, and how often they are right, by all rounds that there were."""
    for table in Report.read(DeviceReader(account, project), days=days).tables():
        if table.row_count:
            screen.print(table)
    frames = Frames(account, project.data_bucket)
    screen.print(field.table(frames.audited(frames.rounds())))


def _show_targets(screen: Screen, model: str, packages: Sequence[Document]) -> None:
    if not packages:
        raise Refusal(
            f"nothing is known of a compilation of {model!r}: it has not ended, or there is no such model "
            f"(`python -m console watch` follows one that runs)"
        )
    screen.say(f"model {model}")
    outcomes.show(screen, packages)


def tables(found: Round) -> Iterator[Table]:
    """The round as tables; those without a row are left out."""
    for table in (_routing(found), _jobs(found), _dataset(found), human_level(found.human_level), _workers(found)):
        if table.row_count:
            yield table


def human_level(level: Document) -> Table:
    """Everybody who was measured on gold; the lowest error that the evidence supports is marked."""
    table = PlainTable("human level", "gold objects", "errors in answers", "error", "95 % interval")
    for one in level.get("candidates", []):
        best = one["who"] == level["who"]
        name = f"{one['who']} (the proxy for the Bayes error)" if best else one["who"]
        errors = (
            f"{one['gold_errors']} of {one['gold_answers']} answers" if one["kind"] == "tier" else one["gold_errors"]
        )
        row = (name, one["gold_objects"], errors, share(one["error"]), interval(one))
        table.add(*row, style="bold" if best else "")
    table.caption = plain(level.get("reason", ""))
    table.caption_justify = "left"
    return table


def _routing(found: Round) -> Table:
    table = PlainTable("routing", "")
    if not found.routing:
        return table
    for name in ("machine", "human", "audit", "honeypots"):
        table.add(name, sum(part.get(name, 0) for part in found.routing))
    first = found.routing[0]
    table.add("model", first["model_version"] or "none yet")
    table.add("why", first["reason"])
    # Every instance tries all of what is known, so the first one's list is the whole.
    if unreadable := first.get("unreadable_known", []):
        example = unreadable[0]
        table.add("gold and audit, unreadable", f"{len(unreadable)}: {example['source-ref']}: {example['reason']}")
    return table


def _jobs(found: Round) -> Table:
    table = PlainTable("labeling job", "team", "status", "labeled", "not labeled", "reason")
    for job in found.jobs:
        counters = job["counters"]
        not_labeled = counters.get("Unlabeled", 0) + counters.get("FailedNonRetryableError", 0)
        labeled = counters.get("TotalLabeled", "-")
        table.add(job["job"], job["team"], job["status"], labeled, not_labeled, job["failure_reason"])
    return table


def _dataset(found: Round) -> Table:
    table = PlainTable("dataset", "")
    if not (card := found.card):
        return table
    fates = ", ".join(f"{card['round'][name]} {name}" for name in _FATES if card["round"].get(name))
    table.add("this round", fates)
    table.add("all objects", ", ".join(f"{value} {name}" for name, value in card["splits"].items()))
    table.add("labeled by", ", ".join(f"{value} {name}" for name, value in card["sources"].items() if value))
    for source, estimate in card["label_error"].items():
        if estimate and estimate["error"] is not None:
            text = f"{share(estimate['error'])} ({interval(estimate)}), from {estimate['from']}"
            table.add(f"label error, {source}", text)
    if card["round"].get("audit", {}).get("withdrawn"):
        table.add("withdrawn", "the audit contradicts the budget: no label of the machine was used")
    return table


def _workers(found: Round) -> Table:
    table = PlainTable("worker", "tier", "answers", "skill", "95 % interval", "gold errors", "median seconds", "")
    for one in found.workers:
        verdict = "left out: too many errors on gold" if one["dropped"] else ""
        skill = (share(one["skill"]), interval(one, "skill_low", "skill_high"))
        gold = f"{one['gold_errors']} of {one['gold_objects']}"
        row = (one["worker"], one["tier"], one["answers"], *skill, gold, one["median_seconds"] or "-", verdict)
        table.add(*row, style="red" if one["dropped"] else "")
    return table
