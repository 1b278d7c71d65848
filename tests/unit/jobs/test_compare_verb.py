"""The comparison job: a compiled model is asked what its source is asked, and whatever it does is written down."""

import hashlib
import json
import os
import re
import shutil
import signal
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from classifier.models import model

from jobs import manifest
from jobs.__main__ import main
from jobs.comparison import compare, dlr, isolated, measure
from jobs.comparison.isolated import Beat, Ended
from jobs.comparison.runtimes import Compiled, Unusable
from jobs.errors import JobError
from tests.unit.jobs.bench import ATTRIBUTE, BUCKET, ml_root, write_lines
from tests.unit.jobs.dlr_library import FakeLibrary
from tests.unit.jobs.hanging import hung
from tests.unit.jobs.packages import GAIN, PIXELS, brightest, coloured, package

LABELS = ["crab", "squid", "eel"]
WEIGHTS = GAIN * np.eye(3, dtype=np.float32)
FIGURES = {
    *("golden", "golden_agreement", "golden_deviation", "difference"),
    *("objects", "agreement", "accuracy", "source_accuracy"),
}
TIMES = {"p50_ms", "p99_ms", "source_p50_ms", "source_p99_ms"}
ALWAYS = {"package", "loads", "reason", "runtime", "instance_type", "compiled_bytes", "source_bytes"}


class Case:
    """One comparison job's files. Object n shows channel n mod 3; the last of ten is labeled as the next class."""

    def __init__(self, folder: Path, *, objects: int = 10) -> None:
        self.root = folder / "ml"
        self.inputs = self.root / "processing" / "input"
        package(folder / "package", LABELS)
        self.files = folder / "package" / "files"
        self.lines = []
        for number in range(objects):
            name = LABELS[(number % 3 + (number == objects - 1)) % 3]
            line = {"source-ref": f"{BUCKET}images/{number}.png", "content": f"c{number}"}
            self.lines.append(
                manifest.labeled(line, ATTRIBUTE, LABELS, name, by_human=True, confidence=1, job_name="j")
            )
            self.image(number).parent.mkdir(parents=True, exist_ok=True)
            self.image(number).write_bytes(coloured(number % 3, number))

    def image(self, number: int) -> Path:
        return self.inputs / "images" / "images" / f"{number}.png"

    @property
    def package(self) -> Path:
        return self.inputs / "package" / "linux-x86_64.zip"

    def compiled(self, content: onnx.ModelProto | bytes, name: str = "compiled.onnx") -> Path:
        """Give the package a file that a compiler wrote."""
        path = self.files / "compiled" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
        return path

    def run(self) -> int:
        write_lines(self.inputs / "dataset" / "test.manifest", self.lines)
        self.package.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(self.package, "w") as archive:
            for path in sorted(self.files.rglob("*")):
                archive.write(path, path.relative_to(self.files))
        with ml_root(self.root):
            return main(["compare", "--instance-type", "ml.m5.xlarge", "--label-attribute", ATTRIBUTE])

    def measure(self) -> dict[str, Any]:
        """What the process that the verb starts does, in this one."""
        write_lines(self.inputs / "dataset" / "test.manifest", self.lines)
        split = measure.Split(self.inputs / "dataset" / "test.manifest", self.inputs / "images", ATTRIBUTE)
        found = Compiled.find(self.files / "compiled", input_name="image", outputs=len(LABELS))
        return measure.compared(lambda: None, self.files, found, split)

    @property
    def found(self) -> dict[str, Any]:
        path = self.root / "processing" / "output" / "comparison" / "comparison.json"
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    @property
    def failure(self) -> str:
        return (self.root / "output" / "message").read_text()


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A few calls are enough where nobody reads the times."""
    monkeypatch.setattr(measure, "BLOCKS", 2)
    before = dict(os.environ)
    yield
    for name in measure.ONE_THREAD:
        os.environ.pop(name, None)
        if name in before:
            os.environ[name] = before[name]


@pytest.fixture(scope="module")
def faithful(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A comparison with a compiled model that is its source, in a process of its own; only to be read."""
    case = Case(tmp_path_factory.mktemp("faithful"))
    case.compiled(brightest(WEIGHTS))
    case.compiled(b'{"compiler": "tests"}', "compiler.json")
    assert case.run() == 0
    return case


def test_a_model_that_is_its_source_agrees_on_every_object(faithful: Case) -> None:
    found = faithful.found
    assert found["loads"] is True
    assert found["reason"] == ""
    assert found["runtime"].startswith("onnxruntime ")
    assert (found["golden"], found["golden_agreement"]) == (1, 1.0)
    assert (found["objects"], found["agreement"]) == (10, 1.0)
    assert found["accuracy"] == found["source_accuracy"] == 0.9
    assert found["difference"] == 0


def test_a_comparison_says_where_it_was_made_how_fast_both_are_and_how_large(faithful: Case) -> None:
    found = faithful.found
    assert set(found) == ALWAYS | FIGURES | TIMES
    assert found["package"] == hashlib.sha256(faithful.package.read_bytes()).hexdigest()
    assert found["instance_type"] == "ml.m5.xlarge"
    assert all(found[name] > 0 for name in TIMES)
    assert found["p50_ms"] <= found["p99_ms"]
    assert found["source_bytes"] == (faithful.files / "model.onnx").stat().st_size
    compiled = sum(path.stat().st_size for path in (faithful.files / "compiled").iterdir())
    assert found["compiled_bytes"] == compiled


def test_what_a_compiled_model_loses_is_counted(case: Case) -> None:
    # Squid and eels change places; the golden image is a crab.
    case.compiled(brightest(WEIGHTS[:, [0, 2, 1]]))
    found = case.measure()
    assert (found["golden_agreement"], found["objects"]) == (1.0, 10)
    assert found["agreement"] == 0.4
    assert found["source_accuracy"] == 0.9
    # Crabs are right but for the last, whose label is wrong: squid is what it now answers for the eel that it is not.
    assert found["accuracy"] == 0.3
    assert found["difference"] > 5


def test_a_golden_image_with_another_first_label_shows(case: Case) -> None:
    case.compiled(brightest(WEIGHTS[:, [1, 0, 2]]))
    assert case.measure()["golden_agreement"] == 0


def test_a_logit_that_a_device_would_not_accept_shows(case: Case) -> None:
    case.compiled(brightest(np.float32(1.01) * WEIGHTS))
    assert 0 < case.measure()["golden_deviation"] < 1
    case.compiled(brightest(np.float32(1.1) * WEIGHTS))
    found = case.measure()
    assert (found["golden_agreement"], found["agreement"]) == (1.0, 1.0)
    assert found["golden_deviation"] > 1


def test_without_the_dataset_the_golden_images_are_compared(case: Case) -> None:
    case.compiled(brightest(WEIGHTS))
    shutil.rmtree(case.inputs / "images")
    assert case.run() == 0
    assert (case.found["golden"], case.found["objects"]) == (1, 0)
    assert case.found["agreement"] is case.found["accuracy"] is case.found["source_accuracy"] is None


def test_images_that_nobody_can_read_are_left_out_of_both(case: Case) -> None:
    case.compiled(brightest(WEIGHTS))
    case.image(0).unlink()
    case.image(1).write_bytes(b"?")
    assert (case.measure()["objects"], case.measure()["agreement"]) == (8, 1.0)


def test_a_class_that_the_model_cannot_name_is_wrong_for_both(case: Case) -> None:
    case.compiled(brightest(WEIGHTS))
    case.lines[0]["species-metadata"]["class-name"] = "whale"
    found = case.measure()
    assert (found["accuracy"], found["source_accuracy"]) == (0.8, 0.8)


def without_numbers() -> onnx.ModelProto:
    return brightest(np.full((3, 3), np.nan, np.float32))


@pytest.mark.parametrize(
    ("compiled", "reason"),
    [
        (b"?", "the compiled model does not load: "),
        (without_numbers(), "the compiled model answers with values that are no numbers"),
        (brightest(GAIN * np.eye(3, 4, dtype=np.float32)), "the compiled model answers with 4 values for 3 classes"),
        (brightest(WEIGHTS, name="picture"), "the compiled model fails on an image: .*picture"),
    ],
    ids=["broken", "no numbers", "another number of classes", "another input"],
)
def test_a_compiled_model_that_cannot_be_asked_says_why(
    case: Case, compiled: onnx.ModelProto | bytes, reason: str
) -> None:
    case.compiled(compiled)
    with pytest.raises(Unusable, match=reason):
        case.measure()


def test_a_model_that_does_not_load_is_a_finding_and_the_job_succeeds(case: Case) -> None:
    case.compiled(b"not a graph")
    assert case.run() == 0
    assert set(case.found) == ALWAYS
    assert (case.found["loads"], case.found["runtime"]) == (False, "onnxruntime-compiled")
    assert case.found["reason"].startswith("the compiled model does not load: ")
    assert case.found["compiled_bytes"] == len("not a graph")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (["compiled.so", "compiled.params", "compiled_model.json"], "no runtime beside the model"),
        (["compiled.so", dlr.LIBRARY], "libdlr.so cannot be loaded: "),
    ],
    ids=["none", "of another machine"],
)
def test_a_model_without_a_runtime_for_this_machine_is_not_said_to_be_wrong(
    case: Case, files: list[str], reason: str
) -> None:
    for name in files:
        case.compiled(b"not of this machine", name)
    assert case.run() == 0
    assert set(case.found) == ALWAYS
    assert (case.found["loads"], case.found["runtime"]) == (False, "")
    assert case.found["reason"].startswith("nothing here runs the compiled model: ")
    assert reason in case.found["reason"]


def test_a_model_that_takes_its_process_down_is_a_finding(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.compiled(brightest(WEIGHTS))
    monkeypatch.setattr(measure, "compared", illegal)
    assert case.run() == 0
    assert case.found["loads"] is False
    assert case.found["reason"] == "the compiled model took its process down: it was ended by SIGILL"


def test_neos_own_runtime_goes_before_a_graph_as_on_a_device(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.compiled(brightest(WEIGHTS))
    case.compiled(b"", dlr.LIBRARY)
    monkeypatch.setattr(dlr, "CDLL", lambda path: FakeLibrary())
    found = case.measure()
    assert found["runtime"] == "dlr 1.10.0"
    assert (found["golden_agreement"], found["agreement"]) == (1.0, 1.0)
    assert found["difference"] < 1e-4


def test_a_model_that_its_runtime_does_not_load_is_a_finding(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.compiled(b"", dlr.LIBRARY)
    monkeypatch.setattr(dlr, "CDLL", lambda path: FakeLibrary(fails="CreateDLRModel"))
    with pytest.raises(Unusable, match=r"does not load: CreateDLRModel failed: Check failed: index < 1$"):
        case.measure()


def test_both_models_are_asked_as_often_and_by_turns(case: Case) -> None:
    asked = []
    inputs = [np.zeros((1, 3, PIXELS, PIXELS), np.float32)]

    def model(name: str, seconds: float) -> Any:
        def ask(image: np.ndarray) -> np.ndarray:
            asked.append(name)
            time.sleep(seconds)
            return np.zeros(3, np.float32)

        return ask

    slow, fast = measure._times(lambda: None, inputs, model("slow", 0.002), model("fast", 0))
    assert len(slow) == len(fast) == 2 * measure.BLOCK
    assert min(slow) >= 2 > np.median(fast)
    block = measure.BLOCK
    assert asked == ["slow", "fast", *(["slow"] * block + ["fast"] * block) * 2]


def test_a_slow_model_answers_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "ENOUGH_SECONDS", 0)
    [times] = measure._times(lambda: None, [np.zeros(1, np.float32)], lambda image: image)
    assert len(times) == measure.BLOCK


def broken_source(case: Case) -> None:
    case.compiled(brightest(WEIGHTS))
    (case.files / "model.onnx").write_bytes(b"?")


def without_source(case: Case) -> None:
    (case.files / "model.onnx").unlink()


def without_golden(case: Case) -> None:
    case.compiled(brightest(WEIGHTS))
    (case.files / "golden" / "golden.json").write_text("[]")


def without_labels(case: Case) -> None:
    card = json.loads((case.files / "model.json").read_text())
    del card["labels"]
    (case.files / "model.json").write_text(json.dumps(card))


def two_packages(case: Case) -> None:
    path = case.inputs / "package" / "another.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (broken_source, "the model of the package in .* cannot be opened: "),
        (without_source, "the package linux-x86_64.zip has no model.onnx"),
        (without_golden, "the package has no golden image"),
        (without_labels, "model.json has no usable 'labels': train the model again"),
        (two_packages, "must hold one package, a ZIP; it holds another.zip, linux-x86_64.zip"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_no_fault_of_the_compiled_model_fails_the_job(case: Case, fault: Any, message: str) -> None:
    fault(case)
    assert case.run() == 1
    assert re.search(message, case.failure)


def test_a_package_that_is_no_zip_fails_the_job(case: Case) -> None:
    (case.inputs / "package").mkdir(parents=True)
    (case.inputs / "package" / "p.zip").write_bytes(b"PK no")
    with ml_root(case.root):
        assert main(["compare", "--instance-type", "ml.m5.xlarge"]) == 1
    assert "the package p.zip cannot be unpacked" in case.failure


# ---- The process of its own: functions of this module, since a fresh process imports them ---------------------------


def doubled(beat: Beat, number: int) -> int:
    beat()
    return 2 * number


def refused(beat: Beat) -> None:
    raise JobError("no")


def refused_oddly(beat: Beat) -> None:
    raise Odd(1, 2)


def illegal(beat: Beat, *_: Any) -> None:
    os.kill(os.getpid(), signal.SIGILL)


def left(beat: Beat) -> None:
    os._exit(7)


class Odd(Exception):
    """An exception that cannot be made again from what it says."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def test_an_answer_comes_back_from_the_process() -> None:
    assert isolated.run(doubled, 21, silence_seconds=60) == 42


@pytest.mark.parametrize(
    ("work", "raised", "message"),
    [(refused, JobError, "no"), (refused_oddly, RuntimeError, "Odd: 1 and 2")],
    ids=["as it is", "as a text"],
)
def test_an_exception_comes_back_too(work: Any, raised: type[Exception], message: str) -> None:
    with pytest.raises(raised) as caught:
        isolated.run(work, silence_seconds=60)
    assert str(caught.value) == message
    [where] = caught.value.__notes__
    assert f"in {work.__name__}" in where


@pytest.mark.parametrize(
    ("work", "how"),
    [(illegal, "it was ended by SIGILL"), (left, "it exited with the code 7")],
    ids=["crash", "exit"],
)
def test_however_the_process_ends_it_is_told(work: Any, how: str) -> None:
    with pytest.raises(Ended, match=how):
        isolated.run(work, silence_seconds=60)


def test_a_process_that_hangs_is_ended_and_told(tmp_path: Path) -> None:
    hangs, silence = tmp_path / "hangs", 1
    while not hangs.exists():
        silence *= 2  # a slow machine may not even have begun
        with pytest.raises(Ended, match=f"it did nothing for {silence} seconds"):
            isolated.run(hung, hangs, silence_seconds=silence)


def test_the_verb_gives_a_model_time_to_load() -> None:
    assert compare.SILENCE_SECONDS >= 60


def test_the_comparison_allows_what_a_device_allows() -> None:
    assert (measure.ABSOLUTE_TOLERANCE, measure.RELATIVE_TOLERANCE) == (
        model.ABSOLUTE_TOLERANCE,
        model.RELATIVE_TOLERANCE,
    )
