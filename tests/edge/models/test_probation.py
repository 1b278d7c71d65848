"""A new model that keeps failing, or under which the component keeps ending, goes: the one before it comes back."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from classifier.models.keeper import Keeper
from classifier.models.outcome import Outcome
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.edge.models.berth import Berth, serving

WENT = (
    "on probation it failed 2 times: it hung, failed on every frame, or the component ended; "
    "the model before it serves again"
)


@pytest.fixture
def berth(tmp_path: Path) -> Berth:
    """m1 has served for long, and the link leads to m2."""
    berth = Berth(tmp_path)
    berth.deploy("m1")
    berth.started()
    berth.deploy("m2")
    return berth


def gone(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.model is None and (outcome.version, outcome.reason) == ("m2", WENT)


def test_after_two_unclean_ends_the_model_before_serves_again(berth: Berth) -> None:
    assert not gone(berth.crash())
    assert not gone(berth.crash())
    keeper = berth.keeper()
    assert gone(keeper.start())
    assert serving(keeper) == "m1"
    # Said once, though the link still leads there.
    assert keeper.poll() is None


def test_one_unclean_end_is_borne(berth: Berth) -> None:
    berth.crash()
    keeper = berth.started()
    berth.clock.advance(300)
    keeper.poll()
    for _ in range(3):
        berth.crash()
    assert serving(berth.started()) == "m2"


def given_up(keeper: Keeper) -> Outcome | None:
    """It hung or failed on every frame; what was said of that."""
    keeper.reload()
    return keeper.poll()


def test_a_model_that_is_given_up_twice_makes_way_at_once_for_the_one_before(berth: Berth) -> None:
    keeper = berth.started()
    assert given_up(keeper) is None
    assert serving(keeper) == "m2"
    assert gone(given_up(keeper))
    assert serving(keeper) == "m1"
    assert len(berth.copies) == 1
    assert keeper.poll() is None, "said once, though the link still leads there"
    assert serving(berth.started()) == "m1"


def test_probation_begins_anew_with_a_model_that_is_given_up(berth: Berth) -> None:
    keeper = berth.started()
    for _ in range(2):
        berth.clock.advance(299)
        assert keeper.poll() is None
        outcome = given_up(keeper)
    assert gone(outcome)
    assert serving(keeper) == "m1"


def test_a_model_that_is_given_up_once_may_stay(berth: Berth) -> None:
    keeper = berth.started()
    berth.clock.advance(299)
    given_up(keeper)
    berth.clock.advance(300)
    keeper.poll()
    for _ in range(3):
        assert given_up(keeper) is None
    assert serving(keeper) == "m2"


def test_two_hangs_of_a_model_with_much_time_for_a_frame_are_within_probation(berth: Berth) -> None:
    berth.configuration = replace(berth.configuration, latency_budget_ms=60_000)
    keeper = berth.started()
    frame_seconds = 600
    for _ in range(2):
        berth.clock.advance(frame_seconds + 1)
        keeper.poll()
        outcome = given_up(keeper)
    assert gone(outcome)


def test_an_unclean_end_and_a_model_that_is_given_up_are_two_failures(berth: Berth) -> None:
    berth.crash()
    assert gone(given_up(berth.started()))


def test_that_a_model_was_given_up_outlives_a_clean_end(berth: Berth) -> None:
    keeper = berth.started()
    given_up(keeper)
    keeper.ended_cleanly()
    berth.crash()
    assert gone(berth.keeper().start())


def test_the_first_model_of_all_is_loaded_anew_however_often_it_is_given_up(tmp_path: Path) -> None:
    berth = Berth(tmp_path)
    berth.deploy("m1")
    keeper = berth.started()
    for _ in range(5):
        assert given_up(keeper) is None
    assert serving(keeper) == "m1"


def test_other_threads_are_no_failure(berth: Berth) -> None:
    keeper = berth.started()
    for threads in (2, 3, 4):
        keeper.configure(replace(berth.configuration, inference_threads=threads))
        assert not gone(keeper.poll())
    assert serving(keeper) == "m2"


def test_a_model_that_fails_serves_no_more_even_where_the_one_before_has_rotted(berth: Berth) -> None:
    (before,) = berth.copies
    keeper = berth.started()
    (berth.models / before / "model.onnx").write_bytes(b"rotten")
    given_up(keeper)
    assert gone(given_up(keeper))
    assert serving(keeper) == ""


def test_a_disk_that_takes_nothing_keeps_no_failing_model(berth: Berth, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    keeper = berth.started()
    monkeypatch.setattr(os, "fsync", full)
    given_up(keeper)
    assert gone(given_up(keeper))
    assert serving(keeper) == "m1"


def test_a_model_that_went_is_not_tried_again_and_told_of_at_every_start(berth: Berth) -> None:
    for _ in range(3):
        berth.crash()
    keeper = berth.keeper()
    started = keeper.start()
    assert started is not None
    assert started.version == "m1"
    assert gone(keeper.poll())
    assert serving(keeper) == "m1"
    assert len(berth.copies) == 1


def test_a_model_that_went_is_tried_again_once_the_link_has_led_elsewhere(berth: Berth) -> None:
    for _ in range(3):
        berth.crash()
    keeper = berth.started()
    went = berth.link.readlink()
    berth.deploy("m3")
    keeper.poll()
    assert serving(keeper) == "m3"
    berth.point(went)
    keeper.poll()
    assert serving(keeper) == "m2"


def test_clean_ends_do_not_count(berth: Berth) -> None:
    for _ in range(5):
        berth.started().ended_cleanly()
    assert serving(berth.started()) == "m2"


def test_a_clean_end_takes_back_no_unclean_one(berth: Berth) -> None:
    berth.crash()
    berth.started().ended_cleanly()
    berth.crash()
    assert gone(berth.keeper().start())


def test_a_clean_end_counts_once(berth: Berth) -> None:
    berth.crash()
    keeper = berth.started()
    keeper.ended_cleanly()
    keeper.ended_cleanly()
    berth.crash()
    assert gone(berth.keeper().start())


def test_the_clean_end_of_a_process_that_does_not_serve_the_model_on_trial_is_none_of_its(berth: Berth) -> None:
    keeper = berth.keeper()
    keeper.start()
    keeper.ended_cleanly()
    berth.crash()
    berth.crash()
    assert gone(berth.keeper().start())


def test_keepers_that_follow_each_other_in_one_process_count_once(berth: Berth) -> None:
    for _ in range(5):
        assert serving(berth.started(process="one")) == "m2"
    berth.started(process="one").ended_cleanly()
    berth.crash()
    assert serving(berth.started(process="another")) == "m2"
    assert gone(berth.keeper().start())


def test_the_first_model_of_all_serves_on_however_often_it_ends(tmp_path: Path) -> None:
    berth = Berth(tmp_path)
    berth.deploy("m1")
    for _ in range(5):
        berth.crash()
    assert serving(berth.started()) == "m1"


def test_a_model_that_ends_the_process_while_it_is_loaded_is_not_loaded_for_ever(
    berth: Berth, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        pass

    def crash(*_: object, **__: object) -> None:
        raise Crash

    for _ in range(2):
        keeper = berth.keeper()
        keeper.start()
        assert serving(keeper) == "m1"
        with monkeypatch.context() as patch:
            patch.setattr("classifier.models.keeper.load", crash)
            with pytest.raises(Crash):
                keeper.poll()
    keeper = berth.keeper()
    keeper.start()
    keeper.poll()
    assert serving(keeper) == "m1"


def test_a_model_that_follows_one_on_trial_goes_back_to_the_one_before_both(berth: Berth) -> None:
    keeper = berth.started()
    berth.deploy("m3")
    keeper.poll()
    berth.crash()
    keeper = berth.keeper()
    outcome = keeper.start()
    assert outcome is not None
    assert (outcome.version, outcome.model) == ("m3", None)
    assert serving(keeper) == "m1"


def test_a_model_that_fails_its_self_test_does_not_end_the_trial_of_the_one_that_serves(berth: Berth) -> None:
    keeper = berth.started()
    (berth.deploy("m3") / "labels.json").write_text("?")
    keeper.poll()
    berth.crash()
    keeper = berth.keeper()
    keeper.start()
    assert serving(keeper) == "m1"


def test_the_way_back_to_the_model_before_is_no_trial(berth: Berth) -> None:
    before = berth.folder / "packages" / "m1"
    keeper = berth.started()
    berth.point(before)
    keeper.poll()
    for _ in range(3):
        berth.crash()
    assert serving(berth.started()) == "m1"


def test_a_trial_that_cannot_be_counted_is_not_begun(berth: Berth, monkeypatch: pytest.MonkeyPatch) -> None:
    berth.crash()

    def read_only(*_: object) -> None:
        raise OSError("read-only file system")

    monkeypatch.setattr(os, "fsync", read_only)
    keeper = berth.keeper()
    outcome = keeper.start()
    assert outcome is not None
    assert "its probation cannot be recorded, so the model before it serves" in outcome.reason
    assert serving(keeper) == "m1"
    keeper.ended_cleanly()  # nothing to take back, and nothing raised


def test_a_model_that_went_stays_away_when_the_disk_does_not_remember_it(
    berth: Berth, monkeypatch: pytest.MonkeyPatch
) -> None:
    berth.crash()
    berth.crash()

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    keeper = berth.keeper()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert gone(keeper.start())
        assert keeper.poll() is None
    keeper.poll()
    assert serving(keeper) == "m1"


GARBAGE = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"{}",
    b"\xff\xfe",
    b"[" * 100_000,
    json.dumps({"trial": 1, "refusal": None, "proofs": {}, "proved_with": ""}).encode(),
    json.dumps({"trial": None, "refusal": None, "proofs": [], "proved_with": ""}).encode(),
    json.dumps({"trial": None, "refusal": None, "proofs": {"x": 1}, "proved_with": ""}).encode(),
    json.dumps(
        {
            "trial": {"model": "../..", "before": "/etc", "begun": 9, "process": ""},
            "refusal": None,
            "proofs": {},
            "proved_with": "",
        }
    ).encode(),
]


@pytest.mark.parametrize("content", GARBAGE, ids=range(len(GARBAGE)))
def test_a_state_that_makes_no_sense_is_forgotten(berth: Berth, content: bytes) -> None:
    (berth.models / "state.json").write_bytes(content)
    keeper = berth.keeper()
    keeper.start()
    assert serving(keeper) == "m1"
    keeper.poll()
    assert serving(keeper) == "m2"


@settings(max_examples=25)
@given(st.data())
def test_whatever_the_state_says_a_model_serves(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    berth = Berth(tmp_path_factory.mktemp("device"))
    berth.deploy("m1")
    berth.started()
    names = [*berth.copies, "", "0" * 32, "../../.."]
    name = st.sampled_from(names)
    trial = st.none() | st.fixed_dictionaries(
        {"model": name, "before": name, "begun": st.integers(-1, 5), "process": st.just("")}
    )
    refusal = st.none() | st.fixed_dictionaries({"model": name.filter(lambda one: len(one) != 32), "reason": st.text()})
    state = {"trial": data.draw(trial), "refusal": data.draw(refusal), "proofs": {}, "proved_with": ""}
    (berth.models / "state.json").write_text(json.dumps(state))
    keeper = berth.keeper()
    keeper.start()
    keeper.poll()
    assert serving(keeper) == "m1"
