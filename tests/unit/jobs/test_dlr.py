"""Neo's own runtime, called through its C API."""

from pathlib import Path

import numpy as np
import pytest

from jobs.comparison.dlr import CPU, DlrError, DlrModel, LibraryError
from tests.unit.jobs.dlr_library import FakeLibrary, brightness

FOLDER = Path("/models/compiled")
IMAGE = np.random.default_rng(1).random((1, 3, 4, 5), np.float32)


def loaded(library: FakeLibrary) -> DlrModel:
    return DlrModel(library, FOLDER, input_name="image")


def test_an_image_goes_in_by_name_and_shape_and_logits_come_out() -> None:
    library = FakeLibrary()
    model = loaded(library)
    np.testing.assert_array_equal(model(IMAGE), brightness(IMAGE))
    assert ("SetDLRInput", "image", 1, 3, 4, 5) in library.calls
    assert model.runtime == "dlr 1.10.0"


def test_an_image_that_is_a_view_of_other_memory_goes_in_as_it_looks() -> None:
    turned = IMAGE.transpose(0, 1, 3, 2)
    model = loaded(FakeLibrary(lambda image: image[0, 0].reshape(-1)))
    np.testing.assert_array_equal(model(turned), turned[0, 0].reshape(-1))


@pytest.mark.parametrize(("said", "device"), [(-1, CPU), (1, 1), (2, 2)])
def test_a_model_runs_on_the_kind_of_processor_that_it_was_compiled_for(said: int, device: int) -> None:
    library = FakeLibrary(device=said)
    loaded(library)
    assert ("CreateDLRModel", FOLDER, device, 0) in library.calls


@pytest.mark.parametrize(
    "function", ["GetDLRVersion", "CreateDLRModel", "SetDLRInput", "RunDLRModel", "GetDLROutputSizeDim", "GetDLROutput"]
)
def test_what_the_runtime_refuses_is_an_error_in_its_words_without_its_stack(function: str) -> None:
    with pytest.raises(DlrError, match=rf"^{function} failed: Check failed: index < 1$"):
        loaded(FakeLibrary(fails=function))(IMAGE)


def test_a_refusal_without_words_points_to_the_log_where_they_are() -> None:
    library = FakeLibrary(fails="CreateDLRModel")
    library.error = None
    with pytest.raises(DlrError, match="its reason is in the job's log"):
        loaded(library)


def test_an_answer_of_another_type_is_refused_before_it_is_read() -> None:
    library = FakeLibrary(kind="int64")
    with pytest.raises(DlrError, match="answers with int64 and must answer with float32"):
        loaded(library)(IMAGE)
    assert ("GetDLROutput",) not in library.calls


def test_an_answer_of_unknown_size_is_refused() -> None:
    with pytest.raises(DlrError, match="answers with 0 values"):
        loaded(FakeLibrary(lambda image: np.zeros(0, np.float32)))(IMAGE)


def test_a_model_is_given_back_once() -> None:
    library = FakeLibrary()
    model = loaded(library)
    model.close()
    model.close()
    assert library.calls.count(("DeleteDLRModel",)) == 1


def test_a_runtime_that_is_too_old_is_named() -> None:
    library = FakeLibrary()
    del library.GetDLRDeviceType
    with pytest.raises(LibraryError, match=r"has no function GetDLRDeviceType: it is older than version 1\.6$"):
        loaded(library)


@pytest.mark.parametrize("content", [b"", b"\x7fELF of another machine"])
def test_a_library_that_this_machine_cannot_load_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "libdlr.so").write_bytes(content)
    with pytest.raises(LibraryError, match=r"libdlr.so cannot be loaded: "):
        DlrModel.load(tmp_path / "libdlr.so", input_name="image")
