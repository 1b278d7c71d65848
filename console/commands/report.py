"""`report`: what a round's labels are worth, and who gave them."""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError
from rich.markup import escape
from rich.table import Table

from console.clients import Clients, clients, load_settings
from console.errors import Refusal
from console.executions import check_round
from console.project import Project
from console.screen import Screen
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
    found = Round.read(account, Project.find(account).data_bucket, check_round(options.round_))
    screen = Screen()
    for table in tables(found):
        screen.print(table)
    return 0


def tables(found: Round) -> Iterator[Table]:
    """The round as tables; those without a row are left out."""
    for table in (_routing(found), _jobs(found), _dataset(found), human_level(found.human_level), _workers(found)):
        if table.row_count:
            yield table


def human_level(level: Document) -> Table:
    """Everybody who was measured on gold; the lowest error that the evidence supports is marked."""
    table = _table("human level", "gold objects", "errors in answers", "error", "95 % interval")
    for one in level.get("candidates", []):
        best = one["who"] == level["who"]
        name = f"{one['who']} (the proxy for the Bayes error)" if best else one["who"]
        errors = (
            f"{one['gold_errors']} of {one['gold_answers']} answers" if one["kind"] == "tier" else one["gold_errors"]
        )
        row = (name, one["gold_objects"], errors, _share(one["error"]), _interval(one))
        table.add_row(*(escape(str(value)) for value in row), style="bold" if best else "")
    table.caption = escape(str(level.get("reason", "")))
    table.caption_justify = "left"
    return table


def _routing(found: Round) -> Table:
    table = _table("routing", "")
    if not found.routing:
        return table
    for name in ("machine", "human", "audit", "honeypots"):
        table.add_row(name, str(sum(part.get(name, 0) for part in found.routing)))
    first = found.routing[0]
    table.add_row("model", escape(str(first["model_version"] or "none yet")))
    table.add_row("why", escape(first["reason"]))
    return table


def _jobs(found: Round) -> Table:
    table = _table("labeling job", "team", "status", "labeled", "not labeled", "reason")
    for job in found.jobs:
        counters = job["counters"]
        not_labeled = counters.get("Unlabeled", 0) + counters.get("FailedNonRetryableError", 0)
        told = (job["job"], job["team"], job["status"], counters.get("TotalLabeled", "-"), not_labeled)
        table.add_row(*(escape(str(value)) for value in told), escape(job["failure_reason"]))
    return table


def _dataset(found: Round) -> Table:
    table = _table("dataset", "")
    if not (card := found.card):
        return table
    fates = ", ".join(f"{card['round'][name]} {name}" for name in _FATES if card["round"].get(name))
    table.add_row("this round", fates)
    table.add_row("all objects", ", ".join(f"{value} {name}" for name, value in card["splits"].items()))
    table.add_row("labeled by", ", ".join(f"{value} {name}" for name, value in card["sources"].items() if value))
    for source, estimate in card["label_error"].items():
        if estimate and estimate["error"] is not None:
            text = f"{_share(estimate['error'])} ({_interval(estimate)}), from {estimate['from']}"
            table.add_row(f"label error, {source}", escape(text))
    if card["round"].get("audit", {}).get("withdrawn"):
        table.add_row("withdrawn", "the audit contradicts the budget: no label of the machine was used")
    return table


def _workers(found: Round) -> Table:
    table = _table("worker", "tier", "answers", "skill", "95 % interval", "gold errors", "median seconds", "")
    for one in found.workers:
        verdict = "left out: too many errors on gold" if one["dropped"] else ""
        skill = (_share(one["skill"]), _interval(one, "skill_low", "skill_high"))
        gold = f"{one['gold_errors']} of {one['gold_objects']}"
        row = (one["worker"], one["tier"], one["answers"], *skill, gold, one["median_seconds"] or "-", verdict)
        table.add_row(*(escape(str(value)) for value in row), style="red" if one["dropped"] else "")
    return table


def _table(*columns: str) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _interval(one: Document, low: str = "low", high: str = "high") -> str:
    return f"{one[low]:.1%} to {one[high]:.1%}"
