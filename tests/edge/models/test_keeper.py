"""Models come, prove themselves and serve; the last good one is never lost, and what happened is said."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from classifier.models.package import Refused

from tests.edge import model_packages
from tests.edge.model_packages import SHUFFLED
from tests.edge.models.berth import Berth, serving, strike


@pytest.fixture
def berth(tmp_path: Path) -> Berth:
    return Berth(tmp_path)


def test_without_any_model_nothing_serves_and_nothing_is_said(berth: Berth) -> None:
    keeper = berth.keeper()
    assert (keeper.start(), keeper.poll(), keeper.serving) == (None, None, None)


def test_a_model_that_passed_is_told_of_once(berth: Berth) -> None:
    berth.deploy("m1", target="linux-arm64")
    keeper = berth.keeper()
    keeper.start()
    outcome = keeper.poll()
    assert outcome is not None
    assert outcome.model is keeper.serving
    assert (outcome.version, outcome.reason, keeper.serving.package.target) == ("m1", "", "linux-arm64")
    assert keeper.poll() is None


def test_a_model_that_fails_is_told_of_and_the_one_before_serves_on(berth: Berth) -> None:
    berth.deploy("m1")
    keeper = berth.started()
    berth.deploy("m2", portable=SHUFFLED)
    outcome = keeper.poll()
    assert outcome is not None
    assert (outcome.version, outcome.model) == ("m2", None)
    assert outcome.reason == "onnxruntime-portable: red.png is 'blue'; expected 'red'"
    assert serving(keeper) == "m1"
    assert keeper.poll() is None


def test_what_is_no_package_is_refused_and_leaves_nothing_behind(berth: Berth) -> None:
    berth.deploy("m1")
    keeper = berth.started()
    (berth.deploy("m2") / "model.onnx").write_bytes(b"not what the sums are of")
    outcome = keeper.poll()
    assert outcome is not None
    assert "model.onnx has the SHA-256" in outcome.reason
    assert serving(keeper) == "m1"
    assert len(berth.copies) == 1


def test_the_last_good_model_serves_on_when_the_model_component_is_removed(berth: Berth) -> None:
    berth.deploy("m1")
    keeper = berth.started()
    shutil.rmtree(berth.folder / "packages")
    berth.link.unlink()
    assert keeper.poll() is None
    assert serving(keeper) == "m1"
    assert serving(berth.started()) == "m1"


def test_a_restart_proves_nothing_anew_and_says_once_what_serves(berth: Berth) -> None:
    berth.deploy("m1")
    berth.started()
    proved = berth.proved
    keeper = berth.keeper()
    outcome = keeper.start()
    assert outcome is not None
    assert outcome.model is keeper.serving
    assert keeper.poll() is None
    assert berth.proved == proved


def test_after_an_update_of_the_machinery_the_model_is_proved_anew(
    berth: Berth, monkeypatch: pytest.MonkeyPatch
) -> None:
    berth.deploy("m1")
    berth.started()
    proved = berth.proved
    monkeypatch.setattr("classifier.models.keeper.MACHINERY", "another runtime")
    assert serving(berth.started()) == "m1"
    assert berth.proved == proved + 1
    assert serving(berth.started()) == "m1"
    assert berth.proved == proved + 1


def test_a_last_good_model_that_rotted_is_fetched_again(berth: Berth) -> None:
    berth.deploy("m1")
    berth.started()
    (berth.models / "good" / "model.onnx").write_bytes(b"rotten")
    keeper = berth.keeper()
    outcome = keeper.start()
    assert outcome is not None
    assert (outcome.version, outcome.model, keeper.serving) == ("m1", None, None)
    assert outcome.reason.startswith("the last good model no longer passes: model.onnx has the SHA-256")
    keeper.poll()
    assert serving(keeper) == "m1"


def test_a_model_on_trial_that_rotted_leaves_the_one_before_to_serve(berth: Berth) -> None:
    berth.deploy("m1")
    keeper = berth.started()
    berth.deploy("m2")
    keeper.poll()
    (berth.models / "good" / "model.onnx").write_bytes(b"rotten")
    berth.link.unlink()
    keeper = berth.keeper()
    outcome = keeper.start()
    assert outcome is not None
    assert (outcome.version, outcome.model) == ("m2", None)
    assert serving(keeper) == "m1"


def test_the_way_back_to_the_model_before_is_told_of_too(berth: Berth) -> None:
    before = berth.deploy("m1")
    keeper = berth.started()
    berth.deploy("m2", portable=SHUFFLED)
    keeper.poll()
    berth.point(before)
    outcome = keeper.poll()
    assert outcome is not None
    assert (outcome.version, outcome.model) == ("m1", keeper.serving)


def test_a_refused_model_that_is_unpacked_again_is_judged_again(berth: Berth) -> None:
    package = berth.deploy("m1", portable=SHUFFLED)
    keeper = berth.started()
    shutil.copyfile(package / "SHA256SUMS", package / "SHA256SUMS.new")
    (package / "SHA256SUMS.new").replace(package / "SHA256SUMS")
    assert berth.proved == 1
    assert keeper.poll() is not None
    assert berth.proved == 2


def test_two_models_shortly_after_one_another(berth: Berth) -> None:
    berth.deploy("m1")
    keeper = berth.started()
    for version in ("m2", "m3"):
        berth.deploy(version)
        keeper.poll()
        assert serving(keeper) == version
        # What has proved itself for longest stays to go back to.
        assert len(berth.copies) == 2
    shutil.rmtree(berth.folder / "packages")
    (berth.models / "good" / "model.onnx").write_bytes(b"rotten")
    assert serving(berth.started()) == "m1"


def test_off_probation_only_the_model_that_serves_takes_up_space(berth: Berth) -> None:
    berth.deploy("m1")
    keeper = berth.started()
    berth.deploy("m2")
    keeper.poll()
    berth.clock.advance(299)
    keeper.poll()
    assert len(berth.copies) == 2
    berth.clock.advance(1)
    keeper.poll()
    assert berth.copies == [(berth.models / "good").resolve().name]


def test_leftovers_of_a_copy_are_cleared_at_the_start(berth: Berth) -> None:
    (berth.models / "incoming").mkdir(parents=True)
    (berth.models / "incoming" / "half").write_bytes(bytes(1000))
    berth.keeper().start()
    assert berth.copies == []


def test_a_disk_that_takes_nothing_is_told_of_once_and_tried_again_after_a_while(berth: Berth) -> None:
    berth.deploy("m1")
    berth.models.write_text("in the way")
    keeper = berth.keeper()
    keeper.start()
    outcome = keeper.poll()
    assert outcome is not None
    assert outcome.reason.startswith("the disk does not take the model: ")
    berth.clock.advance(59)
    berth.models.unlink()
    assert keeper.poll() is None
    assert keeper.serving is None
    berth.clock.advance(1)
    keeper.poll()
    assert serving(keeper) == "m1"


def test_a_disk_without_room_is_not_even_begun_to_be_filled(berth: Berth, monkeypatch: pytest.MonkeyPatch) -> None:
    berth.deploy("m1")
    keeper = berth.keeper()
    keeper.start()
    full = shutil._ntuple_diskusage(1 << 30, 1 << 30, 0)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: full)
    monkeypatch.setattr(shutil, "copytree", lambda *_: pytest.fail("it was copied"))
    outcome = keeper.poll()
    assert outcome is not None
    assert "it needs 16 MiB with some to spare, and 0 are free" in outcome.reason


def test_another_model_is_not_kept_waiting_for_the_disk(berth: Berth) -> None:
    berth.deploy("m1")
    berth.models.write_text("in the way")
    keeper = berth.started()
    berth.models.unlink()
    berth.deploy("m2")
    keeper.poll()
    assert serving(keeper) == "m2"


def test_a_higher_budget_has_a_slow_model_judged_again(berth: Berth) -> None:
    berth.configuration = replace(berth.configuration, latency_budget_ms=1e-6)
    berth.deploy("m1")
    keeper = berth.keeper()
    outcome = keeper.poll()
    assert outcome is not None
    assert "ms for a golden image; latency_budget_ms is 1e-06" in outcome.reason
    assert keeper.poll() is None
    keeper.configure(replace(berth.configuration, latency_budget_ms=1000))
    keeper.poll()
    assert serving(keeper) == "m1"


def test_other_threads_load_the_model_anew_and_say_nothing(berth: Berth) -> None:
    berth.deploy("m1")
    keeper = berth.started()
    before = keeper.serving
    keeper.configure(replace(berth.configuration, inference_threads=2))
    keeper.poll()
    assert keeper.serving is not before
    assert serving(keeper) == "m1"
    assert keeper.poll() is None


def test_a_model_that_hangs_can_be_loaded_anew(berth: Berth) -> None:
    berth.deploy("m1")
    keeper = berth.started()
    before = keeper.serving
    keeper.reload()
    assert keeper.poll() is None
    assert keeper.serving is not before
    assert serving(keeper) == "m1"


def test_a_package_that_changes_while_it_is_copied_is_taken_when_it_is_whole(berth: Berth) -> None:
    package = berth.deploy("m1")

    def unpack_again(folder: Path, limits: object) -> object:
        raise AssertionError("a mixture was proved")

    keeper = berth.keeper(prove=unpack_again)
    with strike(0, lambda: model_packages.edit(package, "model.json", model_version="m2")):
        outcome = keeper.poll()
    assert outcome is not None
    assert "changed while it was copied" in outcome.reason
    assert serving(berth.started()) == "m2"


def test_frames_are_classified_by_one_model_or_the_other_while_models_change(berth: Berth) -> None:
    berth.deploy("m1")
    keeper = berth.started()
    seen, stop, wrong = set(), threading.Event(), []

    def classify() -> None:
        while not stop.is_set():
            try:
                seen.add(serving(keeper))
            except AssertionError as error:
                wrong.append(error)

    thread = threading.Thread(target=classify)
    thread.start()
    for number in range(2, 12):
        berth.deploy(f"m{number}")
        keeper.poll()
    stop.set()
    thread.join()
    assert not wrong
    assert "" not in seen
    assert len(seen) > 1


def test_a_refusal_that_says_much_is_cut_to_what_a_health_record_takes(berth: Berth) -> None:
    def refuse(folder: Path, limits: object) -> object:
        raise Refused("!" * 5000)

    berth.deploy("m1")
    outcome = berth.keeper(prove=refuse).poll()
    assert outcome is not None
    assert len(outcome.reason) == 400
