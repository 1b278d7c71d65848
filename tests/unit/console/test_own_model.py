"""What cannot be compiled is heard before anything is uploaded: in one sentence with every reason and what is left."""

from collections.abc import Sequence

import pytest

from console import own_model
from console.errors import Refusal
from console.own_model import Wish
from reefloop.compilation.targets import TARGETS
from reefloop.contracts import is_own_model

IMAGE = '{"data":[1,3,224,224]}'
MXNET = ("model-symbol.json", "model-0000.params")


def wish(*targets: str, framework: str = "MXNET", version: str = "", data_input: str = IMAGE) -> Wish:
    return Wish(framework, version, data_input, tuple(TARGETS[name] for name in targets))


def refused(asked: Wish, names: Sequence[str] | None = None) -> str:
    with pytest.raises(Refusal) as error:
        own_model.check(asked, names=names)
    assert str(error.value).startswith("nothing was uploaded: ")
    return str(error.value)


def test_what_neo_takes_passes() -> None:
    own_model.check(wish("android-arm64", "qcs605"))
    own_model.check(wish("android-arm64", "qcs605"), names=MXNET)


def test_a_framework_that_the_target_does_not_take_is_refused_with_reason_and_source() -> None:
    said = refused(wish("ios", "android-arm64"))
    assert "ios: for coreml Neo takes TENSORFLOW and PYTORCH, and not MXNET (https://docs.aws.amazon.com/" in said
    assert said.endswith("; nothing is known against --targets android-arm64")


def test_a_framework_that_nothing_takes_is_told_what_to_do_instead() -> None:
    assert "export it to ONNX (https://docs.aws.amazon.com/" in (said := refused(wish("ios", framework="SKLEARN")))
    assert "lists what can be compiled" not in said


def test_where_no_target_takes_the_framework_the_command_that_lists_some_is_named() -> None:
    assert refused(wish("ios")).endswith("`python -m console devices --framework MXNET` lists what can be compiled")


def test_a_mistake_that_concerns_all_targets_is_told_once() -> None:
    said = refused(wish("android-arm64", "qcs605", data_input='{"data":[1,224,224,3]}'))
    assert "android-arm64, qcs605: " in said
    assert said.count("NCHW") == 1


def test_every_reason_is_told_at_once() -> None:
    said = refused(wish("ios", "qcs605", data_input="[1,3"))
    assert "ios: for coreml" in said
    assert "qcs605: the data input" in said
    assert "[1,3" in said


def test_a_version_that_neo_does_not_have_is_refused() -> None:
    assert "Neo takes MXNET 1.8 or earlier, not '2.0'" in refused(wish("jetson-nano", version="2.0"))


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["model-symbol.json"], "the tarball holds 'model-symbol.json' and lacks one .params file"),
        ([*MXNET, "other-0001.params"], "must hold one .params file: leave out the others"),
        ([*MXNET, "README.md"], "the tarball holds 'README.md' and must hold nothing but"),
        ([*MXNET, "._model-symbol.json"], "pack it again, on macOS with COPYFILE_DISABLE=1"),
        ([], "the tarball holds no file and lacks one symbol file (*-symbol.json)"),
    ],
)
def test_the_tarball_must_hold_exactly_what_the_framework_needs(names: list[str], sentence: str) -> None:
    assert sentence in refused(wish("android-arm64"), names)


def test_a_target_that_needs_more_in_the_tarball_says_so() -> None:
    images = [f"calib_data/{number}.jpg" for number in range(3)]
    own_model.check(wish("ambarella-cv25", framework="ONNX"), names=["m.onnx", "config.json", *images])
    assert "calibration images (calib_data/)" in refused(
        wish("ambarella-cv25", framework="ONNX"), ["m.onnx", "config.json"]
    )


def test_frameworks_and_targets_may_be_named_in_any_case_and_with_blanks() -> None:
    assert own_model.framework("mxnet") == "MXNET"
    chosen = own_model.targets(" qcs605, android-arm64,qcs605,", TARGETS)
    assert [target.name for target in chosen] == ["qcs605", "android-arm64"]


def test_what_is_not_known_is_refused_with_what_is() -> None:
    with pytest.raises(Refusal, match=r"framework 'mxnett' is not one of TENSORFLOW, .*: did you mean MXNET\?"):
        own_model.framework("mxnett")
    with pytest.raises(
        Refusal, match=r"target 'android64' is not one of linux-x86_64, .*: did you mean android-arm64\?"
    ):
        own_model.targets("android64", TARGETS)
    with pytest.raises(Refusal, match="--targets names none"):
        own_model.targets(" , ", TARGETS)


def test_the_version_depends_on_the_model_and_on_how_it_is_read_and_not_on_the_targets() -> None:
    first = wish("qcs605").model_version("content")
    assert first == wish("ios").model_version("content")
    others = [
        wish("qcs605").model_version("other content"),
        wish("qcs605", framework="ONNX").model_version("content"),
        wish("qcs605", version="1.8").model_version("content"),
        wish("qcs605", data_input='{"data":[1,3,32,32]}').model_version("content"),
    ]
    assert len({first, *others}) == 5
    assert all(map(is_own_model, [first, *others]))
