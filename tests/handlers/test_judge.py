"""Judge: a compiled model that is worse than its source, or cannot be shown not to be, does not ship."""

import io
import json
import re
import zipfile
from typing import Any

import pytest

from reefloop.compilation import judge
from reefloop.compilation.judge import MeasurementError
from reefloop.compilation.targets import TARGETS
from reefloop.payloads import CompilationTarget, Package, Packaged, Parity
from tests.any import any_model_files, any_model_version, any_package, tar_gz
from tests.handlers.account import ARTIFACTS, Account

DIGEST = 64 * "a"
PARITY = Parity(
    runtime="onnxruntime 1.32.0",
    instance_type="ml.m5.xlarge",
    golden=2,
    golden_agreement=1.0,
    golden_deviation=1e-5,
    difference=1e-6,
    objects=100,
    agreement=0.99,
    accuracy=0.93,
    source_accuracy=0.93,
    p50_ms=0.2,
    p99_ms=0.3,
    source_p50_ms=0.25,
    source_p99_ms=0.4,
    compiled_bytes=900,
    source_bytes=1000,
)


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_ACCURACY_LOSS", "0.01")


def judged(
    account: Account,
    found: dict[str, Any] | None,
    *,
    target: str = "linux-x86_64",
    error: MeasurementError | None = None,
) -> tuple[Package, Package]:
    """What was packaged, and what is after a comparison found this."""
    version = any_model_version()
    account.put(f"models/{version}/model.tar.gz", tar_gz(any_model_files(version)))
    if found is not None:
        account.put_json(f"models/{version}/comparisons/{target}/comparison.json", found)
    before = any_package(target, key=f"models/{version}/packages/{DIGEST[:16]}/{target}.zip")
    event = judge.Event(
        model_version=version,
        target=CompilationTarget(
            name=target,
            record=TARGETS[target].record(),
            delivery=TARGETS[target].delivery,
            refusal="",
            input_config={},
            output_config={},
            instance_type="ml.m5.xlarge",
        ),
        packaged=Packaged(package=before, processing_inputs=[]),
        error=error,
    )
    return before, judge.handler(event, None)


def loaded(**figures: object) -> dict[str, Any]:
    return {"package": DIGEST, **PARITY, "loads": True, "reason": "", **figures}


def unloaded(*, runtime: str, reason: str, package: str = DIGEST) -> dict[str, Any]:
    return {"package": package, "loads": False, "runtime": runtime, "reason": reason}


def test_a_model_as_good_as_its_source_ships_with_its_figures(account: Account) -> None:
    before, after = judged(account, loaded())
    assert after == {**before, "parity": PARITY}


def test_a_loss_within_the_limit_ships(account: Account) -> None:
    # 0.93 - 0.92 is 0.010000000000000009.
    before, after = judged(account, loaded(accuracy=0.92))
    assert after["key"] == before["key"]
    assert after["parity"] == {**PARITY, "accuracy": 0.92}


def test_without_a_test_split_the_golden_images_decide(account: Account) -> None:
    figures = {"objects": 0, "agreement": None, "accuracy": None, "source_accuracy": None}
    _, after = judged(account, loaded(**figures))
    assert after["outcome"] == "compiled"
    assert after["parity"] == {**PARITY, **figures}
    _, worse = judged(account, loaded(**figures, golden_agreement=0.5))
    assert worse["outcome"] == "portable"


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (loaded(accuracy=0.91), "right on 91.00% of 100 test objects and its source on 93.00%; .* lose 1.00%"),
        (loaded(golden_agreement=0.5, difference=12.345), "1 of 2 golden images another label .* differs by 12.3"),
        (loaded(golden_deviation=1.5), "a golden image is 1.5 times as far off as devices allow"),
        (
            unloaded(runtime="dlr", reason="the compiled model does not load: CreateDLRModel failed"),
            "the compiled model does not load: CreateDLRModel failed",
        ),
        (loaded(package="1" * 64), r"could not be measured on ml\.m5\.xlarge: .* is about another package"),
        (unloaded(package="1" * 64, runtime="", reason="no runtime"), "is about another package"),
        (None, r"could not be measured on ml\.m5\.xlarge: .*comparison\.json"),
    ],
    ids=[
        "loses",
        "golden",
        "too far off",
        "does not load",
        "another's figures",
        "another's finding",
        "nothing was written",
    ],
)
def test_a_model_that_fails_is_packaged_again_without_its_compiled_files(
    account: Account, found: dict[str, Any] | None, reason: str
) -> None:
    before, after = judged(account, found)
    assert after["outcome"] == "portable"
    assert after["key"] != before["key"]
    assert (after["artifact_uri"], after["runtime"]) == ("", "onnxruntime")
    assert after["failure"]
    assert after["failure"]["kind"] == "parity"
    assert re.search(reason, after["failure"]["reason"])
    with zipfile.ZipFile(io.BytesIO(account.get(f"s3://{ARTIFACTS}/{after['key']}"))) as archive:
        assert not [name for name in archive.namelist() if name.startswith("compiled/")]


def test_the_figures_of_a_model_that_lost_too_much_are_kept_for_the_report(account: Account) -> None:
    _, after = judged(account, loaded(accuracy=0.5))
    assert after["parity"] == {**PARITY, "accuracy": 0.5}


def test_a_target_without_a_portable_model_is_refused(account: Account) -> None:
    _, after = judged(account, loaded(accuracy=0.5), target="ml_c5")
    assert (after["outcome"], after["key"], after["inference_image"]) == ("refused", "", "")
    assert after["failure"]
    assert after["failure"]["kind"] == "parity"


def test_what_came_without_a_runtime_ships_unmeasured(account: Account) -> None:
    found = unloaded(runtime="", reason="the compiler wrote no runtime beside the model")
    before, after = judged(account, found)
    assert after == before
    assert after["parity"] is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            {
                "Error": "States.TaskFailed",
                "Cause": json.dumps({"ProcessingJobStatus": "Failed", "ExitMessage": "the package has no model.onnx"}),
            },
            r"could not be measured on ml\.m5\.xlarge: the package has no model\.onnx",
        ),
        (
            {"Error": "States.TaskFailed", "Cause": json.dumps({"FailureReason": "CapacityError"})},
            "CapacityError",
        ),
        ({"Error": "States.TaskFailed", "Cause": json.dumps({"ProcessingJobStatus": "Stopped"})}, "the job is Stopped"),
        ({"Error": "SageMaker.ResourceLimitExceededException", "Cause": "quota 0"}, "LimitExceeded.*: quota 0"),
        ({"Error": "States.Timeout", "Cause": ""}, "States.Timeout:"),
    ],
    ids=["the container's words", "SageMaker's words", "stopped", "no instance", "timeout"],
)
def test_a_measurement_that_failed_says_why_and_old_figures_do_not_count(
    account: Account, error: MeasurementError, reason: str
) -> None:
    _, after = judged(account, loaded(), error=error)
    assert (after["outcome"], after["parity"]) == ("portable", None)
    assert after["failure"]
    assert after["failure"]["kind"] == "parity"
    assert re.search(reason, after["failure"]["reason"])
