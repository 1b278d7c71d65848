"""`label`: a page on this machine on which one person labels what a round asks of people."""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from console.clients import Clients, clients, load_settings
from console.errors import Failure, Refusal
from console.executions import check_round
from console.label.answers import Worker, check_worker
from console.label.batch import Batch, find_batches, list_keys, station_prefix
from console.label.release import abandon
from console.label.server import PageServer
from console.label.serving import open_page, serving
from console.label.station import Station
from console.project import Project
from reefloop.contracts import EXPERTS, LABELERS, ROUNDS, round_key
from settings import Settings

_LAST_SAVES_SECONDS: Final = 20.0
_LOOK_UP_SECONDS: Final = 1.0
_FAREWELL_SECONDS: Final = 0.5  # the last report is on its way to the page
_SERVICES: Final = ("s3", "stepfunctions", "sts")


def run(options: argparse.Namespace) -> int:
    round_ = check_round(options.round_)
    worker = check_worker(options.worker)
    settings = load_settings(options.stage)
    account = clients(settings.region)
    bucket = Project.find(account, stack="storage").data_bucket
    for service in _SERVICES:
        account(service)  # made here, since threads share them: only making a client is not safe in several
    if options.abandon:
        return _abandon(account, _batches(account, bucket, options, settings), options)
    station = Station(account, bucket, round_, options.team, who(account, worker), tell=_tell, waits=options.wait)
    _batches(account, bucket, options, settings)
    station.refresh()
    if not options.wait and not _anything(station):
        return 0
    return _serve(station, options)


def who(account: Clients, name: str) -> Worker:
    """The person, with what AWS says of the credentials: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html"""
    caller = account("sts").get_caller_identity()
    identity = {
        "identityProviderType": "AWS",
        "issuer": caller["Account"],
        "sub": caller["UserId"],
        "arn": caller["Arn"],
    }
    return Worker(name, identity)


def _batches(account: Clients, bucket: str, options: argparse.Namespace, settings: Settings) -> Sequence[Batch]:
    """What is published for the team; nothing only with --wait.

    Raises:
        Refusal: nothing is, with the most likely reason.
    """
    round_, team = options.round_, options.team
    if batches := find_batches(account, bucket, round_, team):
        return batches
    if settings.labeling.provider != "station":
        raise Refusal(
            f"stage {settings.stage} labels with provider {settings.labeling.provider!r}: nothing is published for the "
            "labeling station; set labeling.provider to 'station' in cdk.json and deploy, or name another --stage"
        )
    if options.wait and not options.abandon:
        return ()
    other = EXPERTS if team == LABELERS else LABELERS
    if not any(list_keys(account, bucket, round_key(round_))):
        raise Refusal(f"there is no round {round_}: {_rounds(account, bucket)}")
    if any(list_keys(account, bucket, station_prefix(round_, other))):
        raise Refusal(f"round {round_} has published nothing for the {team}, but for the {other}: add --team {other}")
    raise Refusal(
        f"round {round_} has published nothing for the {team} yet: `python -m console watch --round {round_}` shows "
        "how far it is, and --wait waits for it"
    )


def _rounds(account: Clients, bucket: str) -> str:
    pages = account("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=ROUNDS, Delimiter="/")
    names = [p["Prefix"].removeprefix(ROUNDS).rstrip("/") for page in pages for p in page.get("CommonPrefixes", [])]
    return f"there are {', '.join(names)}" if names else "none was ever started"


def _anything(station: Station) -> bool:
    """Whether this person can do something; what became of the batches was told already."""
    if station.next([]) is not None:
        return True
    if station.open:
        lacking = sum(desk.votes.needed - desk.votes.answered for desk in station.open)
        _tell(
            f"nothing is left for {station.worker.name}: others have {lacking} answers to give; --wait stays for more"
        )
    return False


def _serve(station: Station, options: argparse.Namespace) -> int:
    """Serve the page until everything is done or somebody interrupts."""
    try:
        server = PageServer(station, options.port)
    except (OSError, OverflowError) as error:
        raise Refusal(f"port {options.port} cannot be had: {error}; leave --port out for a free one") from error
    with serving(server):
        with suppress(KeyboardInterrupt):
            print(f"the page of {station.worker.name}: {server.url}", flush=True)
            print("the address is for you alone; Ctrl-C ends, answers are kept", flush=True)
            if not options.no_browser:
                open_page(server.url)
            # A signal that arrives right before an endless wait begins is not seen until the wait ends.
            while not station.ended.wait(_LOOK_UP_SECONDS):
                pass
            time.sleep(_FAREWELL_SECONDS)
        _wait_for_saves(station)
    mine = sum(len(desk.mine) for desk in station.desks)
    print(f"{mine} {'answer' if mine == 1 else 'answers'} of {station.worker.name} in the bucket")
    return 0


def _wait_for_saves(station: Station) -> None:
    """An answer that is on its way gets there; what S3 did not take is said."""
    deadline = time.monotonic() + _LAST_SAVES_SECONDS
    while station.saving and time.monotonic() < deadline:
        time.sleep(0.05)
    if lost := len(station.unsaved | station.saving):
        print(f"{lost} answers could not be saved: those objects will be asked again", file=sys.stderr)


def _abandon(account: Clients, batches: Sequence[Batch], options: argparse.Namespace) -> int:
    """End every batch that the round waits for, once a person has typed the round's name."""
    names = ", ".join(batch.job for batch in batches)
    if not options.yes:
        if not sys.stdin.isatty():
            raise Refusal(f"this would end {names} without the answers that they lack: add --yes if you mean it")
        print(f"This ends {names}. What is unanswered is not asked again in this round; answers are kept.")
        if input("Type the round's name to go on: ").strip() != options.round_:
            raise Refusal("that is not the round's name: nothing was abandoned")
    cause = f"abandoned by {options.worker} ({account('sts').get_caller_identity()['Arn']})"
    ended = [batch.job for batch in batches if abandon(account, batch, cause)]
    if not ended:
        raise Failure(f"the round does not wait for {names} any more: nothing was abandoned")
    print(f"abandoned: {', '.join(ended)}; the round goes on with the answers that are there")
    return 0


def _tell(sentence: str) -> None:
    print(sentence, flush=True)
