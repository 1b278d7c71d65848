"""Neo's documentation was read twice: for the product, and for the compiler that stands in for Neo. They agree.

The tables are compared in test_compiler_facts.py; here it is what each says about the same request and tarball.
"""

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.compiler.errors import CompileError
from offline.compiler.facts import FRAMEWORKS
from offline.compiler.request import read, refusal
from reefloop.compilation import failures, neo, rules
from reefloop.compilation.targets import TARGETS, Target, TargetInvalid
from tests.offline.models import GOOD, INPUTS, onnx_model, request, tarball
from tests.offline.models import refusal as said_by_compiler

OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "gpu-code": st.sampled_from(["sm_53", "sm_72", "sm_100", "72", 72]),
    "trt-ver": st.sampled_from(["5.1.6", "8.2.1", "8", 8.2]),
    "cuda-ver": st.sampled_from(["10.0", "11.4", "11.4.1", 10]),
    "ANDROID_PLATFORM": st.sampled_from([20, 21, 29, 30, "29", True]),
    "mattr": st.sampled_from([["+neon"], ["-vfp4"], ["neon"], "+neon", []]),
    "mcpu": st.sampled_from(["skylake-avx512", ""]),
    "dtype": st.sampled_from(["float32", "int64", "float16"]),
    "class_labels": st.just("labels.txt"),
    "JETPACK_VERSION": st.just("4.6"),
    "gpu_code": st.just("sm_72"),
}
SIZES = st.sampled_from([1, 3, 4, 8, 64, 0, -1, None, True, "1..4", 2.0])
SHAPES = st.one_of(st.lists(SIZES, max_size=5), st.just("1,3,8,8"), st.integers())
CORE_ML = st.fixed_dictionaries(
    {},
    optional={
        "shape": st.one_of(SHAPES, st.lists(SHAPES, min_size=1, max_size=2)),
        "default_shape": SHAPES,
        "type": st.sampled_from(["Image", "Tensor", "Picture"]),
        "bias": st.just([-1, -1, -1]),
        "scale": st.just(0.0078),
    },
)
INPUT = st.one_of(SHAPES, CORE_ML)
INPUT_CONFIGS = st.one_of(
    st.dictionaries(st.sampled_from(["data", "input0"]), INPUT, max_size=2).map(json.dumps),
    st.lists(INPUT, max_size=2).map(json.dumps),
    st.sampled_from(["", "{", "3", "null", "[" * 5000]),
)


def output_of(target: Target) -> dict[str, Any]:
    where = {"TargetDevice": target.device} if target.device else {"TargetPlatform": dict(target.platform)}
    options = json.dumps(dict(target.compiler_options), default=list) if target.compiler_options else ""
    return {**where, **({"CompilerOptions": options} if options else {})}


def taken(asked: dict[str, Any], region: str = "us-east-1") -> bool:
    """Whether the compiler's side has nothing against a request."""
    try:
        read(asked)
    except CompileError:
        return False
    return not refusal(asked, region)


def let_through(check: Any, *arguments: Any) -> bool:
    try:
        check(*arguments)
    except TargetInvalid:
        return False
    return True


@pytest.mark.parametrize("name", TARGETS)
def test_every_ready_made_target_is_one_that_the_compiler_takes(name: str) -> None:
    target = TARGETS[name]
    frameworks = [framework for framework in FRAMEWORKS if rules.verdict(framework, target).supported]

    assert frameworks
    for framework in frameworks:
        assert taken(request(framework, output=output_of(target))), framework


@given(st.data(), st.sampled_from(sorted(TARGETS)))
def test_options_that_the_rules_let_through_the_compiler_takes(data: st.DataObject, name: str) -> None:
    chosen = data.draw(st.lists(st.sampled_from(sorted(OPTIONS)), unique=True, max_size=4))
    options = {key: data.draw(OPTIONS[key]) for key in chosen}
    target = Target("any", device=TARGETS[name].device, platform=TARGETS[name].platform, compiler_options=options)
    asked = request("PYTORCH", output=output_of(target))

    if let_through(rules.check_options, target) and rules.verdict("PYTORCH", target).supported:
        assert taken(asked)
    else:
        taken(asked)  # whatever it says, it says it in its own words


@given(
    st.sampled_from(sorted(FRAMEWORKS.keys() - {"SKLEARN"})),
    st.sampled_from(["ios", "ml_c5", "linux-arm64"]),
    INPUT_CONFIGS,
)
def test_inputs_that_the_rules_let_through_the_compiler_takes(framework: str, name: str, inputs: str) -> None:
    target = TARGETS[name]
    if not rules.verdict(framework, target).supported:
        return
    asked = request(framework, output=output_of(target), DataInputConfig=inputs)

    assert taken(asked) or not let_through(rules.check_input, framework, target, inputs)


@given(
    st.sampled_from(["MXNET", "PYTORCH", "TENSORFLOW", "TFLITE"]),
    st.from_regex(r"[0-3]\.[0-9]{1,2}(\.[0-9])?", fullmatch=True),
)
def test_versions_that_the_rules_let_through_the_compiler_takes(framework: str, version: str) -> None:
    for name in ("linux-arm64", "ml_c5", "qcs605"):
        target = TARGETS[name]
        if rules.verdict(framework, target, version=version).supported:
            sent = rules.sent_version(framework, target, version)
            assert taken(request(framework, output=output_of(target), FrameworkVersion=sent or None))


@pytest.mark.parametrize("framework", sorted(GOOD.keys() - {"SKLEARN"}))
def test_both_look_for_the_same_files(framework: str) -> None:
    for part in neo.FRAMEWORKS[framework].contents:
        found = [name for name in GOOD[framework] if any(fnmatch(name, pattern) for pattern in part.patterns)]
        assert len(found) >= part.least, part


@pytest.mark.parametrize(
    ("files", "asked", "kind"),
    [
        ({"notes.txt": b""}, {}, "source"),
        ({**GOOD["ONNX"], "notes.txt": b""}, {}, "source"),
        ({"model.onnx": b"no model"}, {}, "source"),
        ({"model.onnx": onnx_model(opset=17, ir_version=8)}, {}, "source"),
        ({"model.onnx": onnx_model(operator="Mish")}, {}, "operator"),
        (GOOD["ONNX"], {"DataInputConfig": '{"image": [1, 8, 8, 3]}'}, "input"),
        (GOOD["ONNX"], {"DataInputConfig": '{"pixels": [1, 3, 8, 8]}'}, "input"),
        (GOOD["ONNX"], {"DataInputConfig": "{'image': [1, 3, 8, 8]}"}, "input"),
        (GOOD["ONNX"], {"output": {"TargetDevice": "deeplens"}}, "options"),
        (GOOD["ONNX"], {"output": {"TargetDevice": "rasp4b", "CompilerOptions": "{'mattr': 1}"}}, "options"),
    ],
)
def test_what_the_compiler_says_is_of_the_kind_that_a_person_acts_on(
    tmp_path: Path, files: dict[str, bytes], asked: dict[str, Any], kind: str
) -> None:
    said = said_by_compiler(tmp_path, request(**asked), tarball(files))

    assert failures.explain(said)["kind"] == kind, said


def test_every_framework_s_example_of_an_input_is_good_for_both() -> None:
    for framework, inputs in INPUTS.items():
        if framework != "SKLEARN":
            rules.check_input(framework, TARGETS["linux-arm64"], inputs)
            assert taken(request(framework, DataInputConfig=inputs))
