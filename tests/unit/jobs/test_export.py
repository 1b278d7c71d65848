"""The export: a model package that is right, or none at all."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from jobs import images
from jobs.errors import JobError
from jobs.training import export as exporting
from jobs.training.export import export, try_export

PIXELS = 32
LABELS = ["red", "green", "blue"]


@dataclass(frozen=True)
class Split:
    """Pictures of one colour each, a colour for each class."""

    targets: Tensor
    brightness: tuple[int, ...] = (200,) * 10

    def images(self, indices: ArrayLike) -> Tensor:
        chosen = torch.from_numpy(np.asarray(indices))
        brightness = torch.tensor(self.brightness, dtype=torch.uint8)[chosen]
        colours = torch.eye(3, dtype=torch.uint8)[self.targets[chosen]] * brightness[:, None]
        return colours[:, :, None, None].expand(-1, -1, PIXELS, PIXELS).contiguous()


@dataclass(frozen=True)
class Dataset:
    splits: dict[str, Split]
    labels: list[str]


def dataset(*, train: list[int] = [0, 1, 2], validation: list[int] = [2, 1, 0]) -> Any:  # noqa: B006 (never changed)
    """The test split is missing, as it is in a training."""
    return Dataset({"train": Split(torch.tensor(train)), "validation": Split(torch.tensor(validation))}, LABELS)


class Brightest(nn.Module):
    """Tells colours apart, after `spoil` has done something to its logits."""

    def __init__(self, spoil: Callable[[Tensor], Tensor] = lambda logits: logits) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        nn.init.eye_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)
        self.spoil = spoil

    def forward(self, pictures: Tensor) -> Tensor:
        return self.spoil(self.layer(pictures.mean((2, 3))))


def exported(folder: Path, network: nn.Module | None = None, data: Any = None, **description: Any) -> Path:
    export(
        network or Brightest(), data or dataset(), name="reef", pixels=PIXELS, folder=folder, description=description
    )
    return folder


def golden(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "golden" / "golden.json").read_text())
    return found


def test_the_package_is_complete_and_its_graph_one_that_compilers_take(tmp_path: Path) -> None:
    folder = exported(tmp_path / "model", model_version="v1-1")
    assert {path.name for path in folder.iterdir()} == {
        "model.onnx",
        "model.pth",
        "labels.json",
        "model.json",
        "golden",
    }
    graph = onnx.load(str(folder / "model.onnx"))
    onnx.checker.check_model(graph, full_check=True)
    assert [one.version for one in graph.opset_import] == [11]
    assert graph.ir_version <= 7
    (given,), (answer,) = graph.graph.input, graph.graph.output
    assert [one.dim_value for one in given.type.tensor_type.shape.dim] == [1, 3, PIXELS, PIXELS]
    assert [one.dim_value for one in answer.type.tensor_type.shape.dim] == [1, 3]
    assert json.loads((folder / "labels.json").read_text()) == LABELS
    model = json.loads((folder / "model.json").read_text())
    assert model == {"model_version": "v1-1", "input": {"name": "image", "shape": [1, 3, 32, 32]}, "output": "logits"}


def test_every_class_has_a_golden_image_with_the_logits_that_the_graph_gives(tmp_path: Path) -> None:
    folder = exported(tmp_path / "model")
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    assert [one["label"] for one in golden(folder)] == LABELS
    for one in golden(folder):
        (logits,) = session.run(None, {"image": images.as_input(images.load(folder / "golden" / one["image"], PIXELS))})
        np.testing.assert_allclose(logits[0], one["logits"], atol=1e-4)


def test_the_golden_image_of_a_class_is_the_one_that_the_network_is_surest_of(tmp_path: Path) -> None:
    data = dataset()
    data.splits["validation"] = Split(torch.tensor([0, 0, 0, 1, 2]), (120, 250, 180, 200, 200))
    folder = exported(tmp_path / "model", data=data)
    assert images.load(folder / "golden" / "000.png", PIXELS).max() == 250


def test_one_that_it_gets_right_goes_before_one_that_it_is_surely_wrong_about(tmp_path: Path) -> None:
    def swapped_when_bright(logits: Tensor) -> Tensor:
        return torch.where(logits.amax(1, keepdim=True) > 240 / 255, logits.roll(1, 1), logits)

    data = dataset()
    data.splits["validation"] = Split(torch.tensor([0, 0, 1, 2]), (250, 90, 200, 200))
    folder = exported(tmp_path / "model", Brightest(swapped_when_bright), data)
    assert images.load(folder / "golden" / "000.png", PIXELS).max() == 90


def test_a_class_that_validation_lacks_gets_its_golden_image_from_train(tmp_path: Path) -> None:
    folder = exported(tmp_path / "model", data=dataset(validation=[0, 0, 1]))
    assert [one["label"] for one in golden(folder)] == LABELS


def test_a_class_without_any_image_is_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = exported(tmp_path / "model", data=dataset(train=[0, 1, 1], validation=[0, 1]))
    assert [one["label"] for one in golden(folder)] == ["red", "green"]
    assert "no image of 'blue' in validation or train" in capsys.readouterr().out


def test_what_an_attempt_before_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "model" / "golden").mkdir(parents=True)
    (tmp_path / "model" / "golden" / "old.png").write_bytes(b"old")
    folder = exported(tmp_path / "model")
    assert not (folder / "golden" / "old.png").exists()
    assert len(golden(folder)) == 3


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = Brightest()
    first, second = (
        {path.name: path.read_bytes() for path in exported(tmp_path / name, network).rglob("*") if path.is_file()}
        for name in ("first", "second")
    )
    # TorchScript numbers the classes that a process has traced so far.
    assert first.pop("model.pth")
    assert second.pop("model.pth")
    assert first == second


class Normalized(Brightest):
    """Has constants that are no weights, as networks of timm have here."""

    middle: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("middle", torch.tensor(0.5), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        return super().forward((pictures - self.middle) / self.middle)


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated")
def test_torchscript_gives_the_same_logits(tmp_path: Path) -> None:
    folder = exported(tmp_path / "model", Normalized())
    network = torch.jit.load(str(folder / "model.pth"))  # type: ignore[no-untyped-call]
    for one in golden(folder):
        given = images.as_input(images.load(folder / "golden" / one["image"], PIXELS))
        np.testing.assert_allclose(network(torch.from_numpy(given))[0].detach(), one["logits"], atol=1e-4)


def test_torchscript_is_of_a_format_that_neos_pytorch_reads(tmp_path: Path) -> None:
    with zipfile.ZipFile(exported(tmp_path / "model") / "model.pth") as archive:
        assert int(archive.read("model/version")) <= 5


class Gelu(Brightest):
    def forward(self, pictures: Tensor) -> Tensor:
        return torch.nn.functional.gelu(super().forward(pictures))


def test_a_network_too_new_for_torchscripts_readers_goes_without_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = exported(tmp_path / "model", Gelu())
    assert not (folder / "model.pth").exists()
    assert (folder / "model.onnx").exists()
    assert "network 'reef' in TorchScript has format 10 and may have 5: nothing is" in capsys.readouterr().out


def test_a_network_that_cannot_be_traced_goes_without_torchscript(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_given: object, **_options: object) -> None:
        raise RuntimeError("Tracer cannot infer type\nof this")

    monkeypatch.setattr(torch.jit, "trace", refuse)
    folder = exported(tmp_path / "model")
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "labels.json", "model.json", "golden"}
    assert "in TorchScript cannot be written: Tracer cannot infer type: nothing" in capsys.readouterr().out


def loses_precision(logits: Tensor) -> Tensor:
    """Exact in PyTorch; tracing freezes what it saw of its first picture, which was black."""
    return logits + float(logits.detach().abs().sum())


def test_other_numbers_than_pytorchs_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"ONNX and PyTorch differ by .* on an image of 'red'; at most 0.0001 is right"):
        exported(tmp_path / "model", Brightest(loses_precision))
    assert not (tmp_path / "model").exists()


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    network = Brightest()
    nn.init.constant_(network.layer.bias, torch.nan)
    with pytest.raises(JobError, match=r"ONNX and PyTorch differ by nan .* lower training.learning_rate"):
        exported(tmp_path / "model", network)
    assert not (tmp_path / "model").exists()


def test_a_graph_newer_than_compilers_take_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "HIGHEST_IR", 3)
    with pytest.raises(JobError, match=r"network 'reef' cannot be exported .*: the graph has IR \d+ and opsets \[11\]"):
        exported(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def later_operator(logits: Tensor) -> Tensor:
    return torch.nn.functional.grid_sample(
        logits[:, None, None].expand(-1, 3, 4, 3), torch.zeros(1, 2, 2, 2), align_corners=False
    ).mean((2, 3))


def test_an_untrained_network_is_tried_before_it_is_trained() -> None:
    torch.manual_seed(1)
    network = Brightest().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    try_export(network, name="reef", pixels=PIXELS)
    assert network.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_network_with_an_operator_of_a_later_opset_is_refused_before_it_is_trained() -> None:
    with pytest.raises(JobError) as refused:
        try_export(Brightest(later_operator), name="tiny_vit", pixels=PIXELS)
    message = str(refused.value)
    assert message.startswith("network 'tiny_vit' cannot be exported to ONNX opset 11, where the compilers for devices")
    assert "grid_sampler" in message
    assert message.endswith("choose another training.network")
    assert "\n" not in message


def test_a_network_that_does_not_answer_with_a_number_per_class_is_refused() -> None:
    with pytest.raises(JobError, match=r"network 'reef' answers with shape \(1, 3, 1\)"):
        try_export(Brightest(lambda logits: logits[..., None]), name="reef", pixels=PIXELS)
