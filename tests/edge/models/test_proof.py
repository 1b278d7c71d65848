"""The self-test in a process of its own: whatever becomes of it, this process only hears about it."""

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from classifier.models import proof
from classifier.models.package import Refused
from classifier.models.proof import Limits, in_own_process, judged
from onnx import TensorProto, helper, numpy_helper

from tests.edge import model_packages
from tests.edge.model_packages import SHUFFLED, edit

LIMITS = Limits(threads=1, latency_budget_ms=1000, memory_mib=512)
PORTABLE = "onnxruntime-portable"


def does(code: str, *, seconds: float = 30.0) -> float:
    return judged([sys.executable, "-S", "-c", f"import os, signal, sys, time\n{code}"], seconds=seconds)


ENDS = {
    "a crash": ("os.kill(os.getpid(), signal.SIGSEGV)", "its self-test was ended by SIGSEGV"),
    "an abort with words": (
        "print('bad allocation', file=sys.stderr, flush=True); os.kill(os.getpid(), signal.SIGABRT)",
        "its self-test was ended by SIGABRT: bad allocation",
    ),
    "a kill": ("os.kill(os.getpid(), signal.SIGKILL)", "its self-test was ended by SIGKILL"),
    "a real-time signal": ("os.kill(os.getpid(), 40)", "its self-test was ended by signal 40"),
    "another exit": ("sys.exit(3)", "its self-test exited with the code 3"),
    "an error": ("raise ValueError('of its own')", "exited with the code 1: ValueError: of its own"),
    "silence": ("pass", "its self-test answered with b'', which is no answer"),
    "garbage": ("print('0xdeadbeef')", "its self-test answered with"),
    "half an answer": ("print('{\"passed\": tr')", "which is no answer"),
    "an answer to something else": ("print('[]')", "which is no answer"),
    "an answer that is neither": ('print(\'{"passed": "perhaps", "median_ms": 1}\')', "which is no answer"),
    "a time that is none": ('print(\'{"passed": true, "median_ms": "1"}\')', "which is no answer"),
    "no reason": ("print('{\"passed\": false}')", "which is no answer"),
    "a reason": ('print(\'{"passed": false, "reason": "wrong"}\')', "^wrong$"),
}


@pytest.mark.parametrize("name", ENDS)
def test_however_it_ends_the_model_is_refused_and_the_reason_told(name: str) -> None:
    code, reason = ENDS[name]
    with pytest.raises(Refused, match=reason):
        does(code)


def test_an_answer_is_taken() -> None:
    assert does('print(\'{"passed": true, "median_ms": 1.5}\')') == 1.5


@pytest.mark.parametrize("hang", ["while True: pass", "os.close(1); os.close(2); time.sleep(99)"])
def test_a_hang_is_ended(hang: str) -> None:
    with pytest.raises(Refused, match=r"its self-test was not done after 0\.3 seconds and was stopped"):
        does(f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{hang}", seconds=0.3)


def test_a_process_that_it_leaves_behind_is_ended_too(tmp_path: Path) -> None:
    pipe = tmp_path / "held"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    code = f"if not os.fork(): os.write(os.open({str(pipe)!r}, os.O_WRONLY), b'!'); time.sleep(99)"
    begun = b""
    for seconds in (0.5, 5, 50):  # in which Python has to start and to fork
        with pytest.raises(Refused, match="was not done"):
            does(code, seconds=seconds)
        with contextlib.suppress(BlockingIOError):
            begun = os.read(reader, 1)
        if begun:
            break
    assert begun
    deadline, held = time.monotonic() + 60, True
    while held:
        assert time.monotonic() < deadline, "it lives on"
        with contextlib.suppress(BlockingIOError):
            # Nothing to read is the end: nobody holds it open any more.
            held = bool(os.read(reader, 10))
        time.sleep(0.01)
    os.close(reader)


def test_output_without_end_fills_no_memory() -> None:
    with pytest.raises(Refused, match="was not done"):
        does("while True: os.write(1, bytes(100_000)); os.write(2, bytes(100_000))", seconds=0.5)


def test_a_good_package_passes(tmp_path: Path) -> None:
    package = model_packages.write(tmp_path / "package")
    assert 0 < in_own_process(package, PORTABLE, LIMITS) < 1000


def test_no_budget_lets_a_proof_take_longer_than_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    monkeypatch.setattr(proof, "judged", lambda _, *, seconds: given.append(seconds) or 1.0)
    slow = replace(LIMITS, latency_budget_ms=600_000)
    in_own_process(model_packages.write(tmp_path / "package"), PORTABLE, slow)
    assert given == [proof.SECONDS]


def test_what_the_process_found_is_what_is_told(tmp_path: Path) -> None:
    package = model_packages.write(tmp_path / "package", portable=SHUFFLED)
    with pytest.raises(Refused, match=r"^red\.png is 'blue'; expected 'red'$"):
        in_own_process(package, PORTABLE, LIMITS)


def graph(*nodes: onnx.NodeProto, constants: dict[str, np.ndarray]) -> bytes:
    """A model of these nodes, from `image` to `logits`."""
    whole = helper.make_graph(
        list(nodes),
        "harm",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return bytes(
        helper.make_model(whole, opset_imports=[helper.make_opsetid("", 11)], ir_version=7).SerializeToString()
    )


def test_a_model_that_takes_more_memory_than_the_component_may_is_refused(tmp_path: Path) -> None:
    bomb = graph(
        helper.make_node("Expand", ["image", "size"], ["big"]),
        helper.make_node("ReduceMean", ["big"], ["logits"], axes=[0, 3, 4], keepdims=0),
        constants={"size": np.asarray([2_000_000, 1, 3, 8, 8], np.int64)},
    )
    package = model_packages.write(tmp_path / "package", portable=bomb)
    with pytest.raises(Refused, match=r"fails on red\.png: .*([Ff]ailed to allocate|bad_alloc)"):
        in_own_process(package, PORTABLE, LIMITS)


def test_a_model_that_never_answers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Sin", ["value"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, [1, 3, 8, 8]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [1, 3, 8, 8]),
        ],
    )
    endless = graph(
        helper.make_node("Loop", ["", "go", "image"], ["last"], body=body),
        helper.make_node("ReduceMean", ["last"], ["logits"], axes=[2, 3], keepdims=0),
        constants={"go": np.asarray(True)},
    )
    package = model_packages.write(tmp_path / "package", portable=endless)
    monkeypatch.setattr(proof, "START_SECONDS", 2.0)
    limits = Limits(threads=1, latency_budget_ms=1, memory_mib=512)
    with pytest.raises(Refused, match=r"its self-test was not done after 2\.01\d seconds and was stopped"):
        in_own_process(package, PORTABLE, limits)


def test_it_says_one_line_of_json_to_whoever_asks_by_hand(tmp_path: Path) -> None:
    package = model_packages.write(tmp_path / "package")
    edit(package, "model.json", temperature=-1)
    options = ["--runtime", PORTABLE, "--threads", "1", "--latency-budget-ms", "50"]
    root = str(Path(proof.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-m", "classifier.models.prove", str(package), *options],
        capture_output=True,
        env={"PYTHONPATH": root, "PATH": ""},
        check=True,
    )
    assert json.loads(done.stdout) == {"passed": False, "reason": "temperature is -1.0; it must be above 0"}
