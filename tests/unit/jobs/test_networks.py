"""Networks by name. timm itself is not installed here: a stand-in shows what is asked of it."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jobs.errors import JobError
from jobs.training import networks
from jobs.training.networks import timm_networks
from jobs.training.networks.reef import Standardize

MEAN, DEVIATION = (0.4, 0.5, 0.6), (0.1, 0.2, 0.5)


def own(**changes: Any) -> nn.Module:
    torch.manual_seed(1)
    options: dict[str, Any] = {"classes": 5, "pixels": 64, "normalization": "batch", "pretrained": False}
    return networks.build("reef", **options | changes)


@pytest.mark.parametrize("normalization", ["batch", "group"])
@pytest.mark.parametrize("pixels", [32, 64, 96, 224, 288])
def test_our_own_network_takes_pictures_of_any_size(normalization: str, pixels: int) -> None:
    network = own(pixels=pixels, normalization=normalization)
    assert network(torch.rand(2, 3, pixels, pixels)).shape == (2, 5)


@pytest.mark.parametrize("pixels", range(32, 1025, 32))
def test_pictures_grow_while_our_own_network_learns(pixels: int) -> None:
    sizes = [networks.view_pixels("reef", pixels, done) for done in (0.01, 0.4, 0.41, 0.75, 0.76, 1)]
    assert sizes == sorted(sizes)
    assert 32 <= sizes[0] <= max(32, 2 / 3 * pixels)
    assert sizes[-2:] == [pixels, pixels]
    if pixels in (64, 288):
        network = own(pixels=pixels)
        assert {network(torch.rand(2, 3, size, size)).shape for size in sizes} == {(2, 5)}


def test_a_network_of_timm_sees_pictures_of_one_size() -> None:
    assert {networks.view_pixels("vit_tiny", 224, done) for done in (0.01, 0.5, 1)} == {224}


def test_light_and_colour_cast_change_nothing() -> None:
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    tinted = images * torch.tensor([0.9, 0.5, 0.7]).view(3, 1, 1) + 0.1
    first_layer = Standardize()
    assert torch.allclose(first_layer(images), first_layer(tinted), atol=0.06)
    assert isinstance(own().get_submodule("0"), Standardize)


def test_with_group_normalization_an_image_is_judged_alone() -> None:
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    for normalization, alone in (("group", True), ("batch", False)):
        network = own(normalization=normalization).train()
        assert torch.allclose(network(images)[:2], network(images[:2]), atol=1e-5) is alone


class FakeNetwork(nn.Module):
    """As a network of timm: a description, and logits of what it is given."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.default_cfg = {"mean": MEAN, "std": DEVIATION}
        self.head = nn.Linear(3, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(images.mean((2, 3)))
        return logits


class FakeTimm(ModuleType):
    """What is asked of timm, with its answers: https://huggingface.co/docs/timm/reference/models"""

    __version__ = "1.0"

    def __init__(self) -> None:
        super().__init__("timm")
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.fused: bool | None = None
        self.layers = SimpleNamespace(set_fused_attn=lambda enable: setattr(self, "fused", enable))

    def get_pretrained_cfg(self, name: str, *, allow_unregistered: bool) -> Any:
        if name.partition(".")[0] not in ("resnet18", "vit_tiny"):
            raise RuntimeError(f"Model architecture ({name}) has no pretrained cfg registered.")
        return SimpleNamespace(fixed_input_size=name == "vit_tiny", has_weights=name != "resnet18.none")

    def list_models(self, pattern: str, *, pretrained: bool) -> list[str]:
        return ["resnet18.a1_in1k"] if pattern == "*resnet*" else []

    def create_model(self, name: str, **options: Any) -> FakeNetwork:
        self.asked.append((name, options))
        if options.get("img_size", 16) % 16:
            raise AssertionError("the image does not divide into patches")
        return FakeNetwork(options.get("num_classes", 1000))


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> FakeTimm:
    fake = FakeTimm()
    monkeypatch.setitem(sys.modules, "timm", fake)
    return fake


def of_timm(name: str, **changes: Any) -> nn.Module:
    options: dict[str, Any] = {"classes": 5, "pixels": 64, "normalization": "batch", "pretrained": False}
    return networks.build(name, **options | changes)


def test_a_network_of_timm_gets_its_own_normalization_in_the_graph(timm: FakeTimm) -> None:
    network = of_timm("resnet18")
    assert timm.asked == [("resnet18", {"num_classes": 5, "exportable": True})]
    assert timm.fused is False
    images = torch.rand(2, 3, 64, 64)
    normalized = (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(DEVIATION).view(3, 1, 1)
    assert torch.allclose(network(images), network.get_submodule("network")(normalized))


def test_a_network_of_one_size_is_built_for_ours(timm: FakeTimm) -> None:
    of_timm("vit_tiny")
    assert timm.asked[0][1]["img_size"] == 64
    with pytest.raises(JobError, match="'vit_tiny' cannot be built at 40 pixels: the image does not divide"):
        of_timm("vit_tiny", pixels=40)


def test_pretrained_weights_come_from_the_container(
    timm: FakeTimm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(timm_networks.WEIGHTS, str(tmp_path))
    with pytest.raises(JobError, match=r"no pretrained weights of 'resnet18' .*: add it to jobs\.pretrained"):
        of_timm("resnet18", pretrained=True)
    timm_networks.bake(["resnet18"], tmp_path)
    assert timm.asked == [("resnet18", {"pretrained": True})]
    of_timm("resnet18", pretrained=True)
    options = timm.asked[-1][1]
    assert options["pretrained"]
    path = Path(options["pretrained_cfg_overlay"]["file"])
    assert torch.load(path, weights_only=True).keys() == {"head.weight", "head.bias"}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resnet19", "timm 1.0 has no network 'resnet19'; it has none like it"),
        ("resnet_19", "timm 1.0 has no network 'resnet_19'; it has resnet18.a1_in1k"),
    ],
)
def test_a_network_that_nobody_knows_is_refused(timm: FakeTimm, name: str, sentence: str) -> None:
    with pytest.raises(JobError) as refusal:
        of_timm(name)
    assert sentence in str(refusal.value)


def test_weights_that_were_never_published_cannot_be_baked(timm: FakeTimm, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"no pretrained weights for 'resnet18\.none': remove it from jobs\.pretrained"):
        timm_networks.bake(["resnet18.none"], tmp_path)


def test_without_timm_the_sentence_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(JobError, match=r"'resnet18', a network of timm.*run the training in the job container"):
        of_timm("resnet18")


def test_our_own_network_does_without_timm() -> None:
    own()
    assert "timm" not in sys.modules
