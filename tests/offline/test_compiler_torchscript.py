"""TorchScript to ONNX, each in PyTorch's own process, which takes two seconds: few tests, with much in each."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from tests.offline.models import compiled, refusal, request, tarball, torchscript

SHAPE = (1, 3, 8, 8)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.norm, self.last = nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.Linear(4, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = torch.nn.functional.hardtanh(self.norm(self.first(image)))
        logits: torch.Tensor = self.last(features.mean((2, 3)))
        return logits


def traced(module: nn.Module, folder: Path) -> bytes:
    """The module as a program, as PyTorch's own documentation saves one."""
    program = torch.jit.trace(module.eval(), torch.zeros(SHAPE))
    program.save(str(folder / "model.pth"))
    return tarball({"model.pth": (folder / "model.pth").read_bytes()})


def test_a_traced_program_computes_the_same_after_compilation(tmp_path: Path) -> None:
    module = Small().eval()
    (folder := tmp_path / "made").mkdir()
    body = traced(module, folder)

    model, about = compiled(tmp_path, request("PYTORCH", output={"TargetDevice": "coreml"}), body)

    image = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    (answer,) = onnxruntime.InferenceSession(model).run(None, {"input0": image})
    with torch.inference_mode():
        assert np.abs(answer - module(torch.from_numpy(image)).numpy()).max() < 1e-5
    assert (about["framework"], about["target"]) == ("PYTORCH", "coreml")


def test_a_program_that_does_not_take_the_inputs_is_refused_in_neo_s_words(tmp_path: Path) -> None:
    (folder := tmp_path / "made").mkdir()
    body = traced(Small(), folder)
    (again := tmp_path / "again").mkdir()

    said = refusal(again, request("PYTORCH", DataInputConfig='{"input0": [1, 3, 1, 1]}'), body)

    assert said.startswith(
        "ClientError: InputConfiguration: TVM cannot convert the PyTorch model. Invalid model or input-shape mismatch. "
        "Make sure that inputs are lexically ordered and of the correct dimensionality. "
    )
    assert "\n" not in said


def test_an_operator_without_a_counterpart_is_named(tmp_path: Path) -> None:
    class Special(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.special.i0(image)

    (folder := tmp_path / "made").mkdir()
    body = traced(Special(), folder)
    (again := tmp_path / "again").mkdir()

    said = refusal(again, request("PYTORCH"), body)

    assert "TVM cannot convert PyTorch model." in said
    assert "The following operators are not implemented: {'i0'}" in said or "{'special_i0'}" in said


def test_a_program_whose_inputs_are_not_told_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, request("PYTORCH", DataInputConfig=None))

    assert "We are unable to extract DataInputConfig from the model due to the traced program" in said


@pytest.mark.parametrize("version", [b"new", b""])
def test_an_archive_whose_version_is_no_number_is_refused(tmp_path: Path, version: bytes) -> None:
    body = tarball({"model.pth": torchscript(version=version)})

    assert "Framework cannot load PyTorch model." in refusal(tmp_path, request("PYTORCH"), body)


@pytest.mark.parametrize(("version", "newest"), [("", 5), ("1.8", 5), ("1.13", 10), ("2.0.1", 10)])
def test_an_archive_too_new_for_the_version_asked_for_is_refused(tmp_path: Path, version: str, newest: int) -> None:
    body = tarball({"model.pth": torchscript(version=b"11")})

    said = refusal(tmp_path, request("PYTORCH", FrameworkVersion=version or None), body)

    assert f"with version 11, but the maximum supported version for reading is {newest}." in said
