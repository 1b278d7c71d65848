"""The report of a round, from documents as the jobs write them."""

import json
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from console.commands.report import Round, human_level, tables
from console.errors import Refusal
from offline.account import Account

EXPERTS = {
    "who": "team of experts",
    "kind": "team",
    "members": ["a", "b", "c"],
    "error": 0.01,
    "low": 0.004,
    "high": 0.021,
    "gold_objects": 600,
    "gold_answers": 600,
    "gold_errors": 6,
}
NOVICE = EXPERTS | {"who": "worker [b]d[/b]", "kind": "worker", "members": ["d"], "error": 0.05, "gold_errors": 30}
WHY = "the lowest upper bound of 2 candidates"
LEVEL = EXPERTS | {"supported": 0.022, "reason": WHY, "candidates": [NOVICE, EXPERTS]}
ROUTING = {"model_version": "1-ab", "machine": 60, "human": 40, "audit": 3, "honeypots": 4, "reason": "0 errors in 150"}
JOB = {
    "job": "reefloop-labeling-1",
    "team": "experts",
    "attempt": 0,
    "status": "Failed",
    "counters": {"TotalLabeled": 7, "FailedNonRetryableError": 2, "Unlabeled": 1},
    "failure_reason": "tasks expired",
}
WORKER = {
    "worker": "d",
    "tier": "labelers",
    "answers": 90,
    "skill": 0.31,
    "skill_low": 0.2,
    "skill_high": 0.4,
    "gold_errors": 30,
    "gold_objects": 40,
    "median_seconds": None,
    "dropped": True,
}


def shown(*found: Table) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        for table in found:
            console.print(table)
    return capture.get()


def any_round(**changes: Any) -> Round:
    whole = {"name": "1", "routing": [ROUTING], "jobs": [JOB], "workers": [WORKER], "human_level": LEVEL, "card": {}}
    return Round(**(whole | changes))


def test_the_lowest_supported_error_is_marked_as_the_proxy_for_the_bayes_error() -> None:
    lines = shown(human_level(LEVEL)).splitlines()
    (best,) = [line for line in lines if "Bayes" in line]
    assert "team of experts" in best
    assert "1.0%" in best
    assert "0.4% to 2.1%" in best
    assert lines[-1].strip() == WHY


def test_names_of_workers_are_shown_as_they_are() -> None:
    assert "worker [b]d[/b]" in shown(human_level(LEVEL))


def test_instances_of_the_scoring_job_are_added_up() -> None:
    text = shown(*tables(any_round(routing=[ROUTING, ROUTING | {"machine": 61}])))
    assert "121" in text


def test_gold_that_proves_nothing_because_nobody_can_read_it_is_told_once() -> None:
    one = {"source-ref": "s3://b/gold/images/1.png", "reason": "more than 8 bits per channel (I;16)"}
    routing = ROUTING | {"unreadable_known": [one, one | {"source-ref": "s3://b/gold/images/2.png"}]}
    (line,) = [
        line for line in shown(*tables(any_round(routing=[routing, routing]))).splitlines() if "gold and" in line
    ]
    assert "2: s3://b/gold/images/1.png: more than 8 bits per channel" in line
    assert "unreadable" not in shown(*tables(any_round(routing=[ROUTING | {"unreadable_known": []}])))


def test_a_job_says_what_it_could_not_label_and_why() -> None:
    (line,) = [line for line in shown(*tables(any_round())).splitlines() if "reefloop-labeling-1" in line]
    assert [part.strip() for part in line.split("│")][3:] == ["7", "3", "tasks expired"]


def test_a_worker_who_was_left_out_is_told_apart() -> None:
    assert "left out: too many errors on gold" in shown(*tables(any_round()))


def test_what_a_round_does_not_have_has_no_table() -> None:
    assert not list(tables(any_round(routing=[], jobs=[], workers=[], human_level={"candidates": []})))


def test_a_round_is_read_from_the_bucket_and_one_that_is_not_there_is_refused(account: Account) -> None:
    s3 = account.client("s3")
    s3.create_bucket(Bucket="any-report")
    for host in ("algo-1", "algo-2", "algo-3"):
        body = json.dumps({**ROUTING, "hosts": 2})
        s3.put_object(Bucket="any-report", Key=f"rounds/1/routing/{host}/routing.json", Body=body)
    found = Round.read(account.client, "any-report", "1")
    assert len(found.routing) == 2
    assert found.card == {}
    with pytest.raises(Refusal, match="round '2' has neither been routed"):
        Round.read(account.client, "any-report", "2")
