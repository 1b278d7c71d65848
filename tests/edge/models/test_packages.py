"""A package is read as it was written, and a damaged one is refused with its reason."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from classifier.models import proof
from classifier.models.model import load
from classifier.models.package import MOST_TRIED, Golden, Refused, claimed_version, read, verify
from classifier.models.proof import Limits, Proof
from classifier.policy.sighting import LONGEST_LABEL

from tests.edge import model_packages
from tests.edge.model_packages import GOOD, SHUFFLED, edit
from tests.edge.models.berth import here

LIMITS = Limits(threads=1, latency_budget_ms=1000, memory_mib=1024)


def rewrite_golden(package: Path, change: Callable[[list[dict]], object]) -> None:
    path = package / "golden" / "golden.json"
    golden = json.loads(path.read_text())
    change(golden)
    path.write_text(json.dumps(golden))
    model_packages.seal(package)


def rewrite(package: Path, name: str, content: bytes) -> None:
    (package / name).write_bytes(content)
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
    "labels that are not JSON": (lambda p: rewrite(p, "labels.json", b"["), "labels.json cannot be read"),
    "labels that are nested without end": (lambda p: rewrite(p, "labels.json", b"[" * 99_999), "cannot be read"),
    "too few labels": (lambda p: rewrite(p, "labels.json", b'["red"]'), "3 logits for 1 labels"),
    "no golden image": (lambda p: rewrite_golden(p, lambda golden: golden.clear()), "names no image"),
    "a golden image that is not there": (
        lambda p: rewrite_golden(p, lambda golden: golden[0].update(image="gone.png")),
        "gone.png is missing",
    ),
    "a golden image that is no image": (lambda p: rewrite(p, "golden/red.png", b"?"), "red.png cannot be read"),
    "a logit that is off": (
        lambda p: rewrite_golden(p, lambda golden: golden[1].update(logits=[0, 10.5, 0])),
        "off by 0.5",
    ),
    "an expected logit that is no number": (
        lambda p: rewrite_golden(p, lambda golden: golden[1].update(logits=[float("nan"), 10, 0])),
        "off by nan|expected 'red'",
    ),
    "a model that is wrong": (lambda p: rewrite(p, "model.onnx", SHUFFLED), "expected 'red'"),
    "a model that does not load": (lambda p: rewrite(p, "model.onnx", b"?"), "does not load"),
    "another input": (
        lambda p: edit(p, "model.json", input={"name": "pixels", "shape": [1, 3, 8, 8]}),
        "fails on red.png",
    ),
    "a batch of two": (lambda p: edit(p, "model.json", input={"name": "image", "shape": [2, 3, 8, 8]}), "input shape"),
    "no temperature": (lambda p: edit(p, "model.json", temperature=0), "temperature is 0"),
    "a temperature without end": (lambda p: edit(p, "model.json", temperature=float("inf")), "temperature is inf"),
    "a threshold beyond 1": (lambda p: edit(p, "model.json", uncertain_below=1.5), "uncertain_below is 1.5"),
    "a threshold that is text": (lambda p: edit(p, "model.json", uncertain_below="high"), "malformed"),
    "an energy that is text": (lambda p: edit(p, "model.json", unknown_above_energy="high"), "malformed"),
    "an energy that is no number": (
        lambda p: edit(p, "model.json", unknown_above_energy=float("nan")),
        "unknown_above_energy is nan; it must be a number, or be left out",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_package_is_refused_with_its_reason(tmp_path: Path, name: str) -> None:
    damage, complaint = DAMAGE[name]
    package = model_packages.write(tmp_path / "package")
    damage(package)
    with pytest.raises(Refused, match=complaint):
        load(package, "onnxruntime-portable", threads=1)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("model.json", "model_version", "m" * 600),
        ("package.json", "target", "t" * 600),
        ("model.json", "model_version", "half a pair: \ud800"),
        ("model.json", "temperature", 10**400),
    ],
)
def test_what_no_message_could_say_of_a_model_refuses_it(tmp_path: Path, name: str, field: str, value: object) -> None:
    package = model_packages.write(tmp_path / "package")
    document = json.loads((package / name).read_bytes())
    rewrite(package, name, json.dumps(document | {field: value}).encode())
    with pytest.raises(Refused):
        read(package)
    assert len(claimed_version(package).encode()) <= LONGEST_LABEL


def test_every_single_flipped_byte_is_found(tmp_path: Path) -> None:
    package = model_packages.write(tmp_path / "package")
    for path in [path for path in package.rglob("*") if path.is_file()]:
        whole = path.read_bytes()
        flip_a_byte(path)
        with pytest.raises(Refused):
            verify(package)
        path.write_bytes(whole)
    verify(package)


@pytest.mark.parametrize(("written", "known"), [({}, None), ({"unknown_above_energy": -4.5}, -4.5)])
def test_the_bound_of_the_unknown_is_that_of_the_model_and_may_be_left_out(
    tmp_path: Path, written: dict[str, float], known: float | None
) -> None:
    package = model_packages.write(tmp_path / "package")
    edit(package, "model.json", **written)
    assert read(package).unknown_above_energy == known


def test_a_runtime_that_the_package_holds_nothing_for_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    package = model_packages.write(tmp_path / "package", compiled=GOOD)
    with pytest.raises(Refused, match="nothing for the runtime 'dlr'; it holds onnxruntime-compiled, onnxruntime-port"):
        load(package, "dlr", threads=1)


def test_of_many_golden_images_a_few_are_tried_which_are_spread_evenly(tmp_path: Path) -> None:
    package = read(model_packages.write(tmp_path / "package"))
    assert package.tried == package.golden
    many = replace(package, golden=tuple(Golden(Path(str(number)), ()) for number in range(1000)))
    numbers = [int(golden.image.name) for golden in many.tried]
    assert (len(numbers), numbers[0]) == (MOST_TRIED, 0)
    assert {after - before for before, after in zip(numbers, [*numbers[1:], 1000], strict=True)} == {31, 32}


def test_a_model_of_many_classes_takes_no_longer_to_prove_and_to_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = model_packages.write(tmp_path / "package")
    rewrite_golden(package, lambda golden: golden.extend(golden * 99))
    checked: list[Golden] = []
    for module in ("model", "prove"):
        monkeypatch.setattr(f"classifier.models.{module}.check", lambda run, package, golden: checked.append(golden))
    load(package, "onnxruntime-portable", threads=1)
    assert len(checked) == MOST_TRIED
    here(package, "onnxruntime-portable", LIMITS)
    assert len(checked) == 2 * MOST_TRIED


@pytest.mark.parametrize(("hangs", "given"), [(True, [300, 300]), (False, [300, 600])])
def test_a_way_to_run_it_that_hangs_takes_no_time_from_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hangs: bool, given: list[float]
) -> None:
    now, shares = [1000.0], list[float]()
    monkeypatch.setattr(proof, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def fail(folder: Path, runtime: str, limits: Limits) -> float:
        shares.append(limits.seconds)
        now[0] += limits.seconds if hangs else 0
        raise Refused("not done in time")

    with pytest.raises(Refused, match="not done in time"):
        proof.of(model_packages.write(tmp_path / "package", compiled=GOOD), LIMITS, judge=fail)
    assert shares == given


def proved(package: Path) -> Proof:
    return proof.of(package, LIMITS, judge=here)


def test_the_compiled_model_comes_before_the_portable_one(tmp_path: Path) -> None:
    found = proved(model_packages.write(tmp_path / "package", portable=SHUFFLED, compiled=GOOD))
    assert (found.runtime, found.notes) == ("onnxruntime-compiled", "")
    assert found.median_ms > 0


@pytest.mark.parametrize(("compiled", "reason"), [(SHUFFLED, "red.png is 'blue'"), (b"?", "does not load")])
def test_a_compiled_model_that_fails_leaves_the_portable_one_to_serve(
    tmp_path: Path, compiled: bytes, reason: str
) -> None:
    found = proved(model_packages.write(tmp_path / "package", compiled=compiled))
    assert found.runtime == "onnxruntime-portable"
    assert found.notes.startswith(f"onnxruntime-compiled: {reason}")


def test_a_neo_library_that_this_machine_cannot_load_leaves_the_portable_model_to_serve(tmp_path: Path) -> None:
    package = model_packages.write(tmp_path / "package")
    (package / "compiled").mkdir()
    (package / "compiled" / "libdlr.so").write_bytes(b"\x7fELF of another machine")
    (package / "compiled" / "compiled.so").write_bytes(b"\x7fELF")
    model_packages.seal(package)
    found = proved(package)
    assert found.runtime == "onnxruntime-portable"
    assert found.notes.startswith("dlr: does not load: libdlr.so cannot be loaded")


def test_when_nothing_passes_every_reason_is_told(tmp_path: Path) -> None:
    package = model_packages.write(tmp_path / "package", portable=b"?", compiled=SHUFFLED)
    with pytest.raises(Refused, match=r"^onnxruntime-compiled: red.png is .*; onnxruntime-portable: does not load"):
        proved(package)
