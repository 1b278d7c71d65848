"""Models come, prove themselves and serve; one that does not never sees a frame."""

import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from classifier.models.model import load
from classifier.models.package import Refused, verify

from tests.edge import model_packages
from tests.edge.conftest import THING, Cloud, Device
from tests.edge.model_packages import SHUFFLED, edit, image


def rewrite_golden(package: Path, change: Callable[[list[dict]], object]) -> None:
    path = package / "golden" / "golden.json"
    golden = json.loads(path.read_text())
    change(golden)
    path.write_text(json.dumps(golden))
    model_packages.seal(package)


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit in the model": (lambda p: flip_a_byte(p / "model.onnx"), "model.onnx has the SHA-256"),
    "no sums": (lambda p: (p / "SHA256SUMS").unlink(), "SHA256SUMS cannot be read"),
    "sums that are no sums": (lambda p: (p / "SHA256SUMS").write_text("hello"), "has the line"),
    "sums that lead outside": (
        lambda p: (p / "SHA256SUMS").write_text("0" * 64 + "  ../../etc/passwd\n"),
        "has the line",
    ),
    "a missing file": (lambda p: (p / "golden" / "red.png").unlink(), "golden/red.png is missing"),
    "a file that is not listed": (lambda p: (p / "extra").write_text("?"), "extra is not listed"),
    "no labels": (lambda p: ((p / "labels.json").unlink(), model_packages.seal(p)), "labels.json is missing"),
    "labels that are not JSON": (
        lambda p: ((p / "labels.json").write_text("["), model_packages.seal(p)),
        "labels.json cannot be read",
    ),
    "too few labels": (
        lambda p: ((p / "labels.json").write_text('["red"]'), model_packages.seal(p)),
        "3 logits for 1 labels",
    ),
    "no golden image": (lambda p: rewrite_golden(p, lambda golden: golden.clear()), "names no image"),
    "a golden image that is not there": (
        lambda p: rewrite_golden(p, lambda golden: golden[0].update(image="gone.png")),
        "gone.png is missing",
    ),
    "a golden image that is no image": (
        lambda p: ((p / "golden" / "red.png").write_bytes(b"?"), model_packages.seal(p)),
        "red.png cannot be read",
    ),
    "a logit that is off": (
        lambda p: rewrite_golden(p, lambda golden: golden[1].update(logits=[0, 10.5, 0])),
        "off by 0.5",
    ),
    "a model that is wrong": (
        lambda p: ((p / "model.onnx").write_bytes(SHUFFLED), model_packages.seal(p)),
        "expected 'red'",
    ),
    "a model that does not load": (
        lambda p: ((p / "model.onnx").write_bytes(b"?"), model_packages.seal(p)),
        "does not load",
    ),
    "another input": (
        lambda p: edit(p, "model.json", input={"name": "pixels", "shape": [1, 3, 8, 8]}),
        "fails on red.png",
    ),
    "a batch of two": (lambda p: edit(p, "model.json", input={"name": "image", "shape": [2, 3, 8, 8]}), "input shape"),
    "no temperature": (lambda p: edit(p, "model.json", temperature=0), "temperature is 0"),
    "a threshold beyond 1": (lambda p: edit(p, "model.json", uncertain_below=1.5), "uncertain_below is 1.5"),
    "a threshold that is text": (lambda p: edit(p, "model.json", uncertain_below="high"), "malformed"),
}


def test_a_good_package_passes(tmp_path: Path) -> None:
    model = load(model_packages.write(tmp_path / "package"), threads=1)
    assert model.classify(image("blue")).label == "blue"
    assert (model.runtime, model.notes) == ("onnxruntime-portable", "")


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_package_is_refused_with_its_reason(tmp_path: Path, name: str) -> None:
    damage, complaint = DAMAGE[name]
    package = model_packages.write(tmp_path / "package")
    damage(package)
    with pytest.raises(Refused, match=complaint.replace("[", r"\[")):
        load(package, threads=1)


def test_every_single_flipped_byte_is_found(tmp_path: Path) -> None:
    package = model_packages.write(tmp_path / "package")
    for path in [path for path in package.rglob("*") if path.is_file()]:
        whole = path.read_bytes()
        flip_a_byte(path)
        with pytest.raises(Refused):
            verify(package)
        path.write_bytes(whole)
    verify(package)


def test_the_compiled_model_serves_before_the_portable_one(tmp_path: Path) -> None:
    package = model_packages.write(tmp_path / "package", portable=SHUFFLED, compiled=model_packages.GOOD)
    assert load(package, threads=1).runtime == "onnxruntime-compiled"


def test_a_compiled_model_that_fails_its_self_test_leaves_the_portable_one_to_serve(tmp_path: Path) -> None:
    model = load(model_packages.write(tmp_path / "package", compiled=SHUFFLED), threads=1)
    assert model.runtime == "onnxruntime-portable"
    assert "onnxruntime-compiled: red.png is" in model.notes


def test_a_neo_library_without_its_runtime_leaves_the_portable_model_to_serve(tmp_path: Path) -> None:
    package = model_packages.write(tmp_path / "package")
    (package / "compiled").mkdir()
    (package / "compiled" / "compiled.so").write_bytes(b"\x7fELF")
    model_packages.seal(package)
    assert load(package, threads=1).runtime == "onnxruntime-portable"


STUB_OF_DLR = {
    "__init__.py": """
import numpy
from dlr.counter.phone_home import PhoneHome
class DLRModel:
    def __init__(self, folder, device, number):
        assert PhoneHome.disabled, "it would report its use"
    def run(self, inputs):
        return [GAIN * inputs["image"].mean(axis=(2, 3))]
""",
    "counter/__init__.py": "",
    "counter/phone_home.py": """
class PhoneHome:
    disabled = False
    @classmethod
    def disable_feature(cls):
        cls.disabled = True
""",
}


@pytest.fixture
def dlr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Installs a stub of DLR whose every model multiplies by the gain given."""

    def install(gain: int) -> None:
        for name, source in STUB_OF_DLR.items():
            path = tmp_path / "site" / "dlr" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source.replace("GAIN", str(gain)))
        monkeypatch.syspath_prepend(tmp_path / "site")

    yield install
    for name in [name for name in sys.modules if name.partition(".")[0] == "dlr"]:
        del sys.modules[name]


@pytest.mark.parametrize(("gain", "runtime"), [(10, "dlr"), (11, "onnxruntime-portable")])
def test_a_neo_library_serves_where_its_runtime_is_and_passes_the_self_test(
    tmp_path: Path, dlr: Callable[[int], None], gain: int, runtime: str
) -> None:
    dlr(gain)
    package = model_packages.write(tmp_path / "package")
    (package / "compiled").mkdir()
    (package / "compiled" / "compiled.so").write_bytes(b"\x7fELF")
    model_packages.seal(package)
    assert load(package, threads=1).runtime == runtime


def test_a_device_reports_the_model_that_passed(device: Device, cloud: Cloud) -> None:
    device.deploy("m1", target="linux-arm64")
    device.once()
    status = cloud.status
    assert status.pop("reported_at").endswith("Z")
    assert status == {
        "thing": THING,
        "model_version": "m1",
        "target": "linux-arm64",
        "runtime": "onnxruntime-portable",
        "self_test": "passed",
    }


def test_a_model_that_fails_is_reported_and_the_old_one_serves_on(device: Device, cloud: Cloud) -> None:
    device.deploy("m1")
    device.once()
    device.deploy("m2", portable=SHUFFLED)
    device.see("a.png", image("red"))
    device.once()
    assert (cloud.status["model_version"], cloud.status["self_test"]) == ("m2", "failed")
    assert "expected 'red'" in cloud.status["reason"]
    assert [(line["label"], line["model_version"]) for line in device.results] == [("red", "m1")]


def test_the_last_good_model_survives_the_loss_of_its_package(device: Device, cloud: Cloud) -> None:
    package = device.deploy("m1")
    device.once()
    shutil.rmtree(package)
    device.see("a.png", image("green"))
    device.once()
    assert [line["model_version"] for line in device.results] == ["m1"]


def test_a_last_good_model_that_rotted_does_not_serve(device: Device, cloud: Cloud) -> None:
    package = device.deploy("m1")
    device.once()
    shutil.rmtree(package)
    flip_a_byte((device.work / "models" / "good").resolve() / "model.onnx")
    device.see("a.png", image("green"))
    device.once()
    assert device.results == []
    assert cloud.status["self_test"] == "failed"


def test_the_way_back_to_the_old_model_is_reported_too(device: Device, cloud: Cloud) -> None:
    old = device.deploy("m1")
    device.once()
    device.deploy("m2", portable=SHUFFLED)
    device.once()
    device.point(old)
    device.once()
    assert (cloud.status["model_version"], cloud.status["self_test"]) == ("m1", "passed")


def test_a_model_that_is_deployed_again_is_judged_and_reported_again(device: Device, cloud: Cloud) -> None:
    package = device.deploy("m1", portable=SHUFFLED)
    pipeline = device.pipeline()
    pipeline.once()
    first = cloud.status["reported_at"]
    time.sleep(0.01)
    model_packages.seal(package)  # unpacked again: the same files, written later
    pipeline.once()
    assert cloud.status["reported_at"] > first


def test_a_disk_without_room_is_reported_once_and_the_model_taken_when_there_is(device: Device, cloud: Cloud) -> None:
    device.deploy("m1")
    blocked = device.work / "models"
    pipeline = device.pipeline()
    blocked.write_text("in the way")
    pipeline.once()
    assert "cannot be copied" in cloud.status["reason"]
    cloud.objects.clear()
    pipeline.once()
    assert cloud.objects == {}
    blocked.unlink()
    pipeline.once()
    assert (cloud.status["model_version"], cloud.status["self_test"]) == ("m1", "passed")


def test_only_the_last_good_model_takes_up_space(device: Device) -> None:
    for version in ("m1", "m2", "m3"):
        device.deploy(version)
        device.once()
    copies = [path for path in (device.work / "models").iterdir() if not path.is_symlink()]
    assert copies == [(device.work / "models" / "good").resolve()]


def test_a_running_component_takes_up_a_new_model_between_two_frames(device: Device, cloud: Cloud) -> None:
    device.deploy("m1")
    stop = threading.Event()
    thread = threading.Thread(target=device.pipeline(stop).run)
    thread.start()
    try:
        device.see("a.png", image("red"))
        _eventually(lambda: len(device.results) == 1)
        device.deploy("m2")
        _eventually(lambda: cloud.status["model_version"] == "m2")
        device.see("b.png", image("blue"))
        _eventually(lambda: len(device.results) == 2)
    finally:
        stop.set()
        thread.join()
    assert [line["model_version"] for line in device.results] == ["m1", "m2"]


def _eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
