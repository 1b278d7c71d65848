"""Neo's own runtime, called through its C API, from the library in the artifact."""

import gc
import os
from pathlib import Path

import numpy as np
import pytest
from classifier.models import dlr, proof
from classifier.models.dlr import CPU, DlrError, DlrModel
from classifier.models.model import load
from classifier.models.package import Refused

from tests.edge import model_packages
from tests.edge.models.berth import frame, here
from tests.edge.models.test_packages import LIMITS
from tests.unit.jobs.dlr_library import FakeLibrary, brightness

FOLDER = Path("/models/compiled")
SHAPE = (1, 3, 4, 5)
IMAGE = np.random.default_rng(1).random(SHAPE, np.float32)


def loaded(library: FakeLibrary) -> DlrModel:
    return DlrModel(library, FOLDER, input_name="image", shape=SHAPE)


def test_an_image_goes_in_by_name_and_shape_and_logits_come_out() -> None:
    library = FakeLibrary()
    model = loaded(library)
    for _ in range(3):
        np.testing.assert_array_equal(model(IMAGE), brightness(IMAGE))
    assert ("SetDLRInput", "image", 1, 3, 4, 5) in library.calls


def test_an_answer_is_no_view_of_memory_that_the_next_one_is_written_to() -> None:
    model = loaded(FakeLibrary())
    first = model(IMAGE)
    model(np.zeros(SHAPE, np.float32))
    np.testing.assert_array_equal(first, brightness(IMAGE))


def test_an_image_that_is_a_view_of_other_memory_goes_in_as_it_looks() -> None:
    turned = np.random.default_rng(1).random((1, 3, 5, 4), np.float32).transpose(0, 1, 3, 2)
    model = loaded(FakeLibrary(lambda image: image[0, 0].reshape(-1)))
    np.testing.assert_array_equal(model(turned), turned[0, 0].reshape(-1))


@pytest.mark.parametrize(("said", "device"), [(-1, CPU), (1, 1), (2, 2)])
def test_a_model_runs_on_the_kind_of_processor_that_the_artifact_says(said: int, device: int) -> None:
    library = FakeLibrary(device=said)
    loaded(library)
    assert ("CreateDLRModel", FOLDER, device, 0) in library.calls


@pytest.mark.parametrize(
    "function", ["CreateDLRModel", "SetDLRInput", "RunDLRModel", "GetDLROutputSizeDim", "GetDLROutput"]
)
def test_what_the_runtime_refuses_is_an_error_in_its_words_without_its_stack(function: str) -> None:
    with pytest.raises(DlrError, match=rf"^{function} failed: Check failed: index < 1$"):
        loaded(FakeLibrary(fails=function))(IMAGE)


def test_a_refusal_without_words_points_to_the_log_where_they_are() -> None:
    library = FakeLibrary(fails="CreateDLRModel")
    library.error = None
    with pytest.raises(DlrError, match="its reason is in the component's log"):
        loaded(library)


def test_an_answer_of_another_type_is_refused_before_it_is_read() -> None:
    library = FakeLibrary(kind="int64")
    with pytest.raises(DlrError, match="answers with int64 and must answer with float32"):
        loaded(library)(IMAGE)
    assert ("GetDLROutput",) not in library.calls


def test_an_answer_of_unknown_size_is_refused() -> None:
    with pytest.raises(DlrError, match="answers with 0 values"):
        loaded(FakeLibrary(lambda image: np.zeros(0, np.float32)))(IMAGE)


def test_a_model_that_is_not_used_any_more_is_given_back_once() -> None:
    library = FakeLibrary()
    model = loaded(library)
    del model
    gc.collect()
    assert library.calls.count(("DeleteDLRModel",)) == 1


def test_a_model_that_was_not_created_is_not_given_back() -> None:
    library = FakeLibrary(fails="CreateDLRModel")
    with pytest.raises(DlrError):
        loaded(library)
    gc.collect()
    assert ("DeleteDLRModel",) not in library.calls


def test_a_runtime_that_is_too_old_is_named() -> None:
    library = FakeLibrary()
    del library.GetDLRDeviceType
    with pytest.raises(DlrError, match=r"has no function GetDLRDeviceType: it is older than version 1\.6$"):
        loaded(library)


@pytest.mark.parametrize("content", [b"", b"\x7fELF of another machine"])
def test_a_library_that_this_machine_cannot_load_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "libdlr.so").write_bytes(content)
    with pytest.raises(DlrError, match=r"libdlr.so cannot be loaded: "):
        DlrModel.load(tmp_path / "libdlr.so", input_name="image", shape=SHAPE, threads=1)


@pytest.fixture
def neo(tmp_path: Path) -> Path:
    """A package that Neo compiled."""
    package = model_packages.write(tmp_path / "package")
    folder = package / "compiled" / "neo"
    folder.mkdir(parents=True)
    for name in ("libdlr.so", "compiled.so", "compiled.params", "compiled_model.json", "compiled.meta"):
        (folder / name).write_bytes(b"?")
    model_packages.seal(package)
    return package


@pytest.mark.parametrize(("gain", "runtime"), [(10, "dlr"), (11, "onnxruntime-portable")])
def test_a_neo_model_serves_when_its_own_library_gives_the_expected_answers(
    neo: Path, monkeypatch: pytest.MonkeyPatch, gain: int, runtime: str
) -> None:
    library = FakeLibrary(lambda image: (gain * image.mean((0, 2, 3))).astype(np.float32))
    asked: list[str] = []
    monkeypatch.setattr(dlr, "CDLL", lambda path: asked.append(path) or library)
    found = proof.of(neo, LIMITS, judge=here)
    assert found.runtime == runtime
    assert asked == [str(neo.resolve() / "compiled" / "neo" / "libdlr.so")]
    assert ("CreateDLRModel", neo.resolve() / "compiled" / "neo", CPU, 0) in library.calls
    assert load(neo, found.runtime, threads=1).classify(frame("green")).label == "green"


def test_it_takes_as_many_threads_as_configured(neo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlr, "CDLL", lambda path: FakeLibrary(lambda image: 10 * image.mean((0, 2, 3))))
    load(neo, "dlr", threads=3)
    assert [os.environ[name] for name in dlr.THREADS] == ["3", "3"]


def test_a_neo_model_without_a_library_of_its_own_is_not_run_by_another(neo: Path) -> None:
    (neo / "compiled" / "neo" / "libdlr.so").unlink()
    model_packages.seal(neo)
    with pytest.raises(Refused, match="nothing for the runtime 'dlr'"):
        load(neo, "dlr", threads=1)
