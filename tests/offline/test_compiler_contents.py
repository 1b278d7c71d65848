"""Tarballs that Neo refuses, and those that it takes, for every framework."""

import gzip
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from offline.compiler import tarball as tarballs
from tests.offline.models import GOOD, LINUX, onnx_model, refusal, request, tarball, torchscript

TRANSLATED = ("ONNX", "PYTORCH", "MXNET")
UNTAR = "ClientError: InputConfiguration: Unable to untar input model. Please confirm the model is a tar.gz file"


def said(folder: Path, framework: str, files: dict[str, Any], **options: Any) -> str:
    return refusal(folder, request(framework, **options), tarball(files))


@pytest.mark.parametrize("framework", sorted(GOOD.keys() - {*TRANSLATED, "SKLEARN"}))
def test_a_right_tarball_of_a_framework_that_is_not_translated_gets_one_honest_sentence(
    tmp_path: Path, framework: str
) -> None:
    assert said(tmp_path, framework, GOOD[framework]) == (
        "ClientError: CompilationError: Unable to compile model for LINUX_X86_64: the tarball is right, but this "
        f"offline account's compiler translates ONNX, PYTORCH, MXNET models and not {framework}; Neo translates it"
    )


@pytest.mark.parametrize(
    ("framework", "files", "reason"),
    [
        ("TENSORFLOW", {"notes.txt": b"x"}, "No valid TensorFlow model found in input files."),
        ("TENSORFLOW", {"a.pb": b"\x0a", "b.pbtxt": b"node"}, "Exactly one .pb or .pbtxt file is allowed"),
        ("TENSORFLOW", {"checkpoint": b"", "model.pb": b"\x0a"}, "TF Checkpoints are not supported."),
        ("TENSORFLOW", {"model.pb": b"not a graph"}, "Framework cannot load TensorFlow model."),
        ("TENSORFLOW", {"model.pbtxt": b"hello"}, "it is neither a GraphDef nor a SavedModel"),
        ("KERAS", {"model.json": b"{}"}, "No h5 file provided in ['model.json']."),
        ("KERAS", {"a.h5": b"", "b.h5": b""}, "Multiple h5 files provided, ['a.h5', 'b.h5'], when only one is allowed"),
        ("KERAS", {"model.h5": b"PK\x03\x04"}, "it is not an HDF5 file"),
        ("KERAS", {"weights.h5": b"\x89HDF\r\n\x1a\n" + bytes(64)}, "it holds weights alone"),
        ("MXNET", {"tiny-0000.params": b""}, "No symbol file found for MXNet model."),
        ("MXNET", {"tiny-symbol.json": b"{}"}, "No parameter file found for MXNet model."),
        ("MXNET", {**GOOD["MXNET"], "b.params": b""}, "Only one parameter file is allowed for MXNet model."),
        ("MXNET", {**GOOD["MXNET"], "b.json": b""}, "Only one symbol file is allowed for MXNet model."),
        ("MXNET", {**GOOD["MXNET"], "tiny-symbol.json": b"]"}, "it is not JSON"),
        ("MXNET", {**GOOD["MXNET"], "tiny-symbol.json": b"[]"}, "it has no nodes, arg_nodes and heads"),
        ("MXNET", {**GOOD["MXNET"], "tiny-0000.params": b"PK"}, "Invalid NDArray file format"),
        ("ONNX", {"model.pt": b"weights"}, "No .onnx file found for ONNX model."),
        ("ONNX", {"a.onnx": b"", "b.onnx": b""}, "Exactly one .onnx file is allowed for ONNX models."),
        ("PYTORCH", {"model.onnx": b""}, "No pth file found for PyTorch model."),
        ("PYTORCH", {"a.pth": b"", "b.pt": b""}, "Exactly one .pth or .pt file is allowed for PyTorch models."),
        ("PYTORCH", {"model.pth": b"\x80\x02."}, "it is not a TorchScript archive"),
        (
            "PYTORCH",
            {"model.pth": torchscript().replace(b"constants", b"Constants")},
            "it holds tensors and no program",
        ),
        ("PYTORCH", {"model.pth": torchscript(version=b"10")}, "the maximum supported version for reading is 5"),
        ("XGBOOST", {"a.model": b"", "b.model": b""}, "only one XGBoost model file is allowed."),
        ("XGBOOST", {"a.model": b"nothing"}, "it is not an XGBoost model"),
        ("TFLITE", {"model.onnx": b""}, "No valid TFLite model found in input file."),
        ("TFLITE", {"a.tflite": b"", "b.tflite": b""}, "Exactly one .tflite file is allowed for TFLite models."),
        ("TFLITE", {"a.tflite": b"\x1c\x00\x00\x00TFL2"}, "it has not TFLite's file identifier TFL3"),
        ("DARKNET", {"net.weights": b""}, "No .cfg file found for DarkNet model."),
        ("DARKNET", {"net.cfg": b"[net]"}, "No .weights file found for DarkNet model."),
        ("DARKNET", {**GOOD["DARKNET"], "b.cfg": b""}, "Exactly one .cfg file is allowed for DarkNet models."),
        ("DARKNET", {**GOOD["DARKNET"], "b.weights": b""}, "Exactly one .weights file is allowed for DarkNet models."),
        ("DARKNET", {**GOOD["DARKNET"], "net.cfg": b"[net"}, "its first section must be [net] or [network]"),
        ("DARKNET", {**GOOD["DARKNET"], "net.weights": b"\xff" * 24}, "the version of Darknet's weights"),
    ],
)
def test_a_tarball_without_its_framework_s_model_is_refused_in_neo_s_words(
    tmp_path: Path, framework: str, files: dict[str, bytes], reason: str
) -> None:
    refused = said(tmp_path, framework, files)

    assert refused.startswith("ClientError: InputConfiguration: ")
    assert reason in refused


@pytest.mark.parametrize("framework", sorted(GOOD.keys() - {"SKLEARN", "XGBOOST"}))
def test_a_file_that_belongs_to_nothing_is_refused_and_named(tmp_path: Path, framework: str) -> None:
    refused = said(tmp_path, framework, {**GOOD[framework], "docs/readme.txt": b"hello"})

    assert refused.startswith("ClientError: InputConfiguration: ")
    assert refused.endswith("docs/readme.txt") or "'docs/readme.txt'" in refused


def test_hidden_files_are_overlooked_as_neo_overlooks_them(tmp_path: Path) -> None:
    assert said(tmp_path, "ONNX", {**GOOD["ONNX"], "._model.onnx": b"what macOS adds"}) == ""


def test_a_saved_model_brings_its_variables_along(tmp_path: Path) -> None:
    files = {
        "export/saved_model.pb": b"\x08\x01\x12\x04",
        "export/variables/variables.index": b"i",
        "export/variables/variables.data-00000-of-00001": b"d",
    }

    assert "the tarball is right" in said(tmp_path, "TENSORFLOW", files)


@pytest.mark.parametrize(
    "body",
    [
        b"no tarball",
        tarball(GOOD["ONNX"])[:-40],
        gzip.compress(b"not a tar"),
        tarball({"../model.onnx": b"x"}),
        tarball({"/tmp/model.onnx": b"x"}),
    ],
    ids=["garbage", "truncated", "no tar inside", "beside the folder", "absolute"],
)
def test_a_tarball_that_cannot_be_unpacked_safely_is_refused(tmp_path: Path, body: bytes) -> None:
    assert refusal(tmp_path, request(), body).startswith(UNTAR)
    assert not (tmp_path.parent / "model.onnx").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("model.onnx")
    member.type, member.linkname = kind, "/etc/passwd"

    refused = refusal(tmp_path, request(), tarball({"model.onnx": member}))

    assert refused.startswith(UNTAR)
    assert "'model.onnx' is neither a file nor a folder" in refused


def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    member = tarfile.TarInfo("model.onnx")
    member.size = 10 * 1024**4
    packed = gzip.compress(member.tobuf())

    assert f"more than {tarballs.MAX_FILES} files" in refusal(tmp_path, request(), packed)


def test_a_tarball_of_many_files_is_not_unpacked_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarballs, "MAX_FILES", 3)

    assert "more than 3 files" in said(tmp_path, "ONNX", {f"{n}.onnx": b"x" for n in range(5)})


def test_an_empty_tarball_is_refused(tmp_path: Path) -> None:
    assert said(tmp_path, "ONNX", {}) == "ClientError: InputConfiguration: No model file found."


# ---- What targets want beside the model ------------------------------------------------------------------------------

CONFIG = {"inputs": {"image": {"shape": "1,3,8,8", "filepath": "calib_data/"}}}
AMBARELLA = {"output": {"TargetDevice": "amba_cv25"}}


def calibrated(config: Any = CONFIG, **files: bytes) -> dict[str, bytes]:
    return {
        "model.onnx": onnx_model(),
        "amba_config.json": json.dumps(config).encode(),
        **(files or {"calib_data/0.png": b"png"}),
    }


def test_ambarella_takes_a_configuration_and_images(tmp_path: Path) -> None:
    assert said(tmp_path, "ONNX", calibrated(), **AMBARELLA) == ""


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (GOOD["ONNX"], "exactly one *config.json file in the tarball, found 0"),
        ({**calibrated(), "b_config.json": b"{}"}, "found 2"),
        (calibrated({"inputs": []}), "amba_config.json of Ambarella is not right"),
        (calibrated({"inputs": {"image": {"filepath": "calib_data"}}}), "must have the shape and the filepath"),
        (calibrated({"inputs": {}}), "names no folder with calibration images"),
        (calibrated(**{"elsewhere/0.png": b"png"}), "names no folder with calibration images"),
        ({**calibrated(), "notes.txt": b""}, "Found beside: notes.txt"),
    ],
)
def test_ambarella_without_them_is_refused(tmp_path: Path, files: dict[str, bytes], reason: str) -> None:
    assert reason in said(tmp_path, "ONNX", files, **AMBARELLA)


def test_only_ambarella_takes_them(tmp_path: Path) -> None:
    assert "Found beside: amba_config.json, calib_data/0.png" in said(tmp_path, "ONNX", calibrated(), output=LINUX)


def test_class_labels_are_a_file_of_the_tarball(tmp_path: Path) -> None:
    options = {"TargetDevice": "coreml", "CompilerOptions": '{"class_labels": "labels.txt"}'}

    without = said(tmp_path, "TENSORFLOW", GOOD["TENSORFLOW"], output=options)
    with_them = said(tmp_path, "TENSORFLOW", {**GOOD["TENSORFLOW"], "labels.txt": b"a\nb"}, output=options)

    assert "class_labels file 'labels.txt' of CompilerOptions is not in the input tar.gz file" in without
    assert "the tarball is right" in with_them
