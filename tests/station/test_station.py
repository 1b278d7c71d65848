"""The station without its page: whose turn it is, which answers count, and what the command says."""

import json
import os
import signal
import threading
from collections.abc import Callable
from typing import Any, Final
from urllib.request import Request, urlopen

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.cli import main
from console.label.desk import _WINDOW, _order
from console.label.pictures import Unreadable
from console.label.votes import voter_of
from offline.account import Account
from reefloop.contracts import ABANDONED
from settings import Settings
from tests.station.batches import Publish, Serve, Serving

NAMES: Final = st.text(min_size=1, max_size=20)
Label = Callable[..., int]
Visit = Callable[[Callable[[str], None]], None]


def post(url: str, given: Any) -> None:
    request = Request(url, json.dumps(given).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def state(url: str) -> dict[str, Any]:
    with urlopen(url + "state", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def save(serving: Serving, index: int, label: str = "crab") -> None:
    serving.station.save((0, index), {"answer": label, "accepted": 0, "submitted": 1000, "seconds": 1})


@settings(max_examples=30)
@given(objects=st.integers(0, 500), name=NAMES)
def test_everybody_comes_to_every_object_once_and_to_valuable_ones_first(objects: int, name: str) -> None:
    order = list(_order(objects, voter_of(name)))
    assert sorted(order) == list(range(objects))
    assert all(abs(turn - index) < _WINDOW for turn, index in enumerate(order))


def test_people_who_start_together_start_elsewhere() -> None:
    firsts = {next(_order(500, voter_of(f"person {number}"))) for number in range(5)}
    assert len(firsts) >= 4


def test_objects_with_enough_answers_are_asked_of_nobody_else(publish: Publish, serve: Serve) -> None:
    batch = publish(3, votes=1)
    ana, ben = serve(batch, "ana"), serve(batch, "ben")
    save(ana, 1)
    # Ben's station has not looked since; it does before it shows an object.
    asked = {ben.station.next([]), ben.station.next([(0, 0)]), ben.station.next([(0, 2)])}
    assert asked <= {(0, 0), (0, 2)}
    assert ben.station.next([(0, 0), (0, 2)]) is None


def test_more_answers_than_needed_complete_nothing_else(publish: Publish, serve: Serve) -> None:
    batch = publish(2, votes=2)
    stations = [serve(batch, name) for name in ("ana", "ben", "eve")]
    for serving in stations:
        save(serving, 0)
    serving = stations[0]
    serving.station.refresh()
    report = serving.station.report()
    assert (report["answered"], report["needed"], report["open"]) == (2, 4, True)
    save(stations[1], 1)
    save(stations[2], 1)
    serving.station.refresh()
    assert serving.station.report()["complete"]
    assert batch.outcome()["status"] == "SUCCEEDED"


def test_an_answer_given_again_replaces_the_first(publish: Publish, serve: Serve) -> None:
    batch = publish(1, votes=2)
    serving = serve(batch)
    save(serving, 0, "crab")
    save(serving, 0, "squid")
    save(serve(batch), 0, "turtle")
    assert batch.labels() == {0: ["turtle"]}


def test_a_batch_that_is_complete_is_let_go_by_whoever_looks_next(publish: Publish, serve: Serve) -> None:
    batch = publish(2, votes=1)
    ana = serve(batch, "ana")
    for index in range(2):
        key = f"{batch.responses}{index}/2026-11-22_10:00:00.000000-{voter_of('ben')}.json"
        batch.put(key, '{"answers": []}')
    ana.station.refresh()
    assert batch.outcome()["status"] == "SUCCEEDED"
    late = serve(batch, "eve")
    assert "The round does not wait for it any more: another station let it go on" in late.told[-1]
    assert late.station.next([]) is None


def test_a_round_that_asks_for_other_objects_gets_a_desk_of_its_own(publish: Publish, serve: Serve) -> None:
    batch = publish(2, votes=2)
    serving = serve(batch)
    batch.job = "station-labelers-0-0-other"
    batch.publish()
    serving.station.refresh()
    assert [desk.state for desk in serving.station.desks] == ["ended", "open"]
    assert serving.station.next([]) in {(1, 0), (1, 1)}


def test_lines_without_an_image_keep_nobody_waiting(publish: Publish, serve: Serve) -> None:
    lines = ["", "no JSON", "[]", '{"content": "x"}']
    batch = publish(len(lines), votes=1)
    batch.put(f"rounds/{batch.round_}/tasks/labelers/0-0.manifest", "".join(f"{line}\n" for line in lines))
    station = serve(batch).station
    for index in range(len(lines)):
        with pytest.raises(Unreadable, match="names no image"):
            station.picture((0, index))
    station.refresh()
    assert batch.output()["LabelCounters"]["FailedNonRetryableError"] == len(lines)


# ---- The command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def label(account: Account, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Label:
    """Runs `label` in this process against the account, as a deployment of the station."""
    settings = Settings.model_validate({"stage": "laptop", "labeling": {"provider": "station"}})
    monkeypatch.setattr("console.commands.label.load_settings", lambda _: settings)
    monkeypatch.setattr("console.commands.label.clients", lambda _: account.client)

    def run(round_: str, *options: str, worker: str = "ana", browser: bool = False) -> int:
        quiet = () if browser else ("--no-browser",)
        return main(["label", "--stage", "laptop", "--round", round_, "--worker", worker, *quiet, *options])

    return run


@pytest.fixture
def visit(monkeypatch: pytest.MonkeyPatch) -> Visit:
    """Has somebody visit the page when the command opens it, beside the command."""

    def prepare(visitor: Callable[[str], None]) -> None:
        def come(url: str) -> None:
            threading.Thread(target=visitor, args=(url,), daemon=True).start()

        monkeypatch.setattr("console.commands.label.open_page", come)

    return prepare


def test_a_name_that_is_none_is_refused(label: Label, capsys: pytest.CaptureFixture[str]) -> None:
    assert label("1", worker="<b>ana") == 2
    assert "worker '<b>ana' is not a name" in capsys.readouterr().err


def test_a_round_that_nobody_started_is_said(
    publish: Publish, label: Label, capsys: pytest.CaptureFixture[str]
) -> None:
    there = publish(1).round_
    assert label("never") == 2
    said = capsys.readouterr().err
    assert "there is no round never: there are " in said
    assert there in said


def test_a_round_that_published_nothing_yet_is_said(
    publish: Publish, label: Label, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = publish(1)
    batch.put("rounds/early/pool.manifest", "")
    assert label("early") == 2
    assert "round early has published nothing for the labelers yet: `python -m console watch" in capsys.readouterr().err
    assert label(batch.round_, "--team", "experts") == 2
    assert "nothing for the experts, but for the labelers: add --team labelers" in capsys.readouterr().err


def test_another_provider_is_said(
    label: Label, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = Settings.model_validate({"stage": "sandbox", "labeling": {"provider": "import"}})
    monkeypatch.setattr("console.commands.label.load_settings", lambda _: elsewhere)
    assert label("1", "--wait") == 2
    assert "stage sandbox labels with provider 'import'" in capsys.readouterr().err


def test_who_has_answered_everything_is_told_so(
    publish: Publish, serve: Serve, label: Label, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = publish(1, votes=2)
    save(serve(batch, "ana"), 0)
    assert label(batch.round_) == 0
    assert "nothing is left for ana: others have 1 answers to give; --wait stays for more" in capsys.readouterr().out


def test_a_port_that_is_taken_is_said(
    publish: Publish, serve: Serve, label: Label, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = publish(1)
    assert label(batch.round_, "--port", str(serve(batch).server.server_port)) == 2
    assert "leave --port out for a free one" in capsys.readouterr().err


def test_a_batch_is_abandoned_by_whoever_means_it(
    publish: Publish, label: Label, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = publish(2)
    assert label(batch.round_, "--abandon") == 2
    assert "without the answers that they lack: add --yes if you mean it" in capsys.readouterr().err
    assert label(batch.round_, "--abandon", "--yes") == 0
    execution = batch.outcome()
    assert (execution["status"], execution["error"]) == ("FAILED", ABANDONED)
    assert execution["cause"].startswith("abandoned by ana (arn:aws:")
    capsys.readouterr()
    assert label(batch.round_, "--abandon", "--yes") == 1
    assert "the round does not wait for station-labelers-0-0 any more" in capsys.readouterr().err


def test_it_can_be_interrupted_before_the_page_is_there(
    publish: Publish, label: Label, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_url: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("console.commands.label.open_page", interrupt)
    assert label(publish(1).round_, browser=True) == 0
    assert "0 answers of ana in the bucket" in capsys.readouterr().out


def test_it_can_be_interrupted_and_serves_until_the_work_is_done(
    publish: Publish, label: Label, visit: Visit, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = publish(2)
    given = {"answer": "crab", "accepted": 0, "submitted": 1000, "seconds": 1}

    def answer_one(url: str) -> None:
        post(url + "answer", {"ref": [0, 0], **given})
        os.kill(os.getpid(), signal.SIGINT)

    def answer_the_other(url: str) -> None:
        post(url + "answer", {"ref": [0, 1], **given})
        while state(url)["open"]:  # as the page does
            pass

    visit(answer_one)
    assert label(batch.round_, browser=True) == 0
    assert "1 answer of ana in the bucket" in capsys.readouterr().out
    visit(answer_the_other)
    assert label(batch.round_, browser=True) == 0
    said = capsys.readouterr().out
    assert "the round goes on" in said
    assert "2 answers of ana in the bucket" in said
    assert batch.outcome()["status"] == "SUCCEEDED"
