"""What the compiler is given: exactly the files that it takes, known before a job is made."""

import io
import json
import tarfile
from contextlib import nullcontext
from typing import BinaryIO

import pytest

from reefloop import storage
from reefloop.archive import ArchiveInvalid, Limits
from reefloop.compilation import rules, sources, tarballs
from reefloop.compilation.neo import FRAMEWORKS
from reefloop.compilation.sources import SourceInvalid
from reefloop.compilation.targets import TARGETS, Target
from reefloop.storage import ObjectMissing
from tests.any import any_bytes, any_model_card, any_model_files, any_model_version, tar_gz
from tests.handlers.account import DATA, Account

# What each framework's tarball may look like: https://docs.aws.amazon.com/sagemaker/latest/dg/neo-compilation-preparing-model.html
RIGHT = {
    "TENSORFLOW": ["frozen.pb", "export/1/variables/variables.index", "export/1/variables/variables.data-00000-of-1"],
    "KERAS": ["model.h5"],
    "MXNET": ["resnet-symbol.json", "resnet-0000.params"],
    "ONNX": ["model.onnx"],
    "PYTORCH": ["model.pth"],
    "XGBOOST": ["booster.model"],
    "TFLITE": ["mobilenet.tflite"],
    "DARKNET": ["yolov3.cfg", "yolov3.weights"],
}
LINUX, AMBARELLA, IOS = TARGETS["linux-x86_64"], TARGETS["ambarella-cv25"], TARGETS["ios"]


def check(account: Account, names: list[str], *, framework: str = "ONNX", target: Target = LINUX) -> None:
    uri = account.put("models/own-0123456789ab/source/model.tar.gz", tar_gz({name: b"x" for name in names}))
    sources.check(uri, framework=framework, target=target)


class TestCheck:
    def test_every_framework_that_neo_takes_has_its_files(self, account: Account) -> None:
        assert RIGHT.keys() == {name for name, framework in FRAMEWORKS.items() if not framework.refusal}
        for framework, names in RIGHT.items():
            check(account, names, framework=framework)

    @pytest.mark.parametrize("framework", RIGHT)
    def test_a_file_too_many_is_refused(self, account: Account, framework: str) -> None:
        with pytest.raises(SourceInvalid, match=r"holds 'README\.md' and must hold nothing but .*: pack it again$"):
            check(account, [*RIGHT[framework], "README.md"], framework=framework)

    @pytest.mark.parametrize("framework", RIGHT)
    def test_a_file_too_few_is_refused(self, account: Account, framework: str) -> None:
        with pytest.raises(SourceInvalid, match=r"and lacks .*; it must hold "):
            check(account, RIGHT[framework][1:], framework=framework)

    def test_two_models_are_refused(self, account: Account) -> None:
        with pytest.raises(
            SourceInvalid, match=r"'a\.onnx', 'b\.onnx' and must hold one model .*: leave out the others"
        ):
            check(account, ["a.onnx", "b.onnx"])

    def test_what_macos_adds_is_refused_with_a_way_to_leave_it_out(self, account: Account) -> None:
        with pytest.raises(SourceInvalid, match="COPYFILE_DISABLE=1"):
            check(account, ["._model.onnx", "model.onnx"])

    def test_ambarella_wants_its_configuration_and_images_beside_the_model(self, account: Account) -> None:
        with pytest.raises(SourceInvalid, match=r"lacks one JSON configuration \(\*config\.json\)"):
            check(account, ["model.onnx"], target=AMBARELLA)
        with pytest.raises(SourceInvalid, match=r"lacks calibration images \(calib_data/\)"):
            check(account, ["model.onnx", "amba_config.json"], target=AMBARELLA)
        check(account, ["model.onnx", "amba_config.json", "calib_data/1.jpg", "calib_data/2.jpg"], target=AMBARELLA)

    def test_core_ml_wants_the_labels_that_its_option_names(self, account: Account) -> None:
        with pytest.raises(SourceInvalid, match=r"lacks the labels \(labels\.txt\)"):
            check(account, ["model.pth"], framework="PYTORCH", target=IOS)
        check(account, ["model.pth", "labels.txt"], framework="PYTORCH", target=IOS)

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"PK no tarball", r"is no readable \.tar\.gz"),
            (tar_gz({"model.onnx": any_bytes(5000)})[:-500], "it was cut off"),
            (tar_gz({"../model.onnx": b"x"}), "could lead out of the folder"),
        ],
    )
    def test_a_tarball_that_nobody_could_read_is_refused(self, account: Account, content: bytes, reason: str) -> None:
        uri = account.put("models/own-0123456789ab/source/model.tar.gz", content)
        with pytest.raises(ArchiveInvalid, match=rf"^{uri}.*{reason}"):
            sources.check(uri, framework="ONNX", target=LINUX)

    def test_one_that_is_larger_than_what_it_may_hold_is_not_even_fetched(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tarballs, "_LIMITS", Limits(unpacked_bytes=1, members=1))
        uri = account.put("models/own-0123456789ab/source/model.tar.gz", any_bytes(5000))
        with pytest.raises(ArchiveInvalid, match="has 5000 bytes and may have 4097"):
            sources.check(uri, framework="ONNX", target=LINUX)

    @pytest.mark.parametrize("broken", [False, True])
    def test_many_targets_read_one_tarball_once(
        self, account: Account, monkeypatch: pytest.MonkeyPatch, broken: bool
    ) -> None:
        content = any_bytes() if broken else tar_gz({"model.onnx": any_bytes()})
        uri = account.put("models/own-0123456789ab/source/model.tar.gz", content)
        fetched: list[str] = []
        download = storage.download

        def counted(bucket: str, key: str, file: BinaryIO) -> None:
            fetched.append(key)
            download(bucket, key, file)

        monkeypatch.setattr(storage, "download", counted)
        for name in ("linux-x86_64", "linux-arm64", "imx8mplus"):
            with pytest.raises(ArchiveInvalid, match="no readable") if broken else nullcontext():
                sources.check(uri, framework="ONNX", target=TARGETS[name])
        assert len(fetched) == 1
        account.put("models/own-0123456789ab/source/model.tar.gz", tar_gz({"other.txt": any_bytes()}))
        with pytest.raises(SourceInvalid, match=r"holds 'other\.txt'"):
            sources.check(uri, framework="ONNX", target=LINUX)

    def test_one_that_is_not_there_is_named(self, account: Account) -> None:
        with pytest.raises(ObjectMissing, match="s3://data-bucket/gone does not exist"):
            sources.check(f"s3://{DATA}/gone", framework="ONNX", target=LINUX)


def trained(account: Account, *, labels: object = ("crab", "squid"), torchscript: bool = True) -> str:
    """A model as training leaves it; its version."""
    version = any_model_version()
    files = any_model_files(version) | {"labels.json": json.dumps(labels).encode()}
    account.put(f"models/{version}/model.tar.gz", tar_gz(files))
    account.put_json(f"models/{version}/model.json", any_model_card(version))
    account.put(f"models/{version}/source/model.tar.gz", tar_gz({"model.onnx": files["model.onnx"]}))
    if torchscript:
        account.put(f"models/{version}/source/pytorch.tar.gz", tar_gz({"model.pth": any_bytes()}))
    return version


def unpacked(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]


def of_model(version: str, target: Target) -> str:
    return sources.of_model(DATA, version, framework=rules.loop_framework(target), target=target)


class TestOfModel:
    def test_most_targets_are_compiled_from_what_training_left(self, account: Account) -> None:
        version = trained(account)
        before = account.keys(DATA)
        assert of_model(version, LINUX) == f"s3://{DATA}/models/{version}/source/model.tar.gz"
        assert account.keys(DATA) == before

    def test_ambarella_gets_the_golden_images_and_how_they_become_the_input(self, account: Account) -> None:
        version = trained(account)
        uri = of_model(version, AMBARELLA)
        assert uri == f"s3://{DATA}/models/{version}/source/ambarella-cv25/model.tar.gz"
        files = unpacked(account.get(uri))
        assert sorted(files) == ["amba_config.json", "calib_data/crab.png", "model.onnx"]
        assert json.loads(files["amba_config.json"]) == {
            "inputs": {
                "image": {
                    "shape": "1,3,64,64",
                    "filepath": "calib_data/",
                    "colorformat": "RGB",
                    "mean": 0.0,
                    "scale": 255.0,
                }
            }
        }

    def test_core_ml_gets_torchscript_and_one_label_in_each_line(self, account: Account) -> None:
        files = unpacked(account.get(of_model(trained(account), IOS)))
        assert sorted(files) == ["labels.txt", "model.pth"]
        assert files["labels.txt"] == b"crab\nsquid\n"

    @pytest.mark.parametrize("target", [AMBARELLA, IOS], ids=["ambarella", "ios"])
    def test_what_is_built_passes_the_check_and_is_the_same_every_time(self, account: Account, target: Target) -> None:
        version = trained(account)
        uri = of_model(version, target)
        first = account.get(uri)
        sources.check(uri, framework=rules.loop_framework(target), target=target)
        assert of_model(version, target) == uri
        assert account.get(uri) == first

    def test_a_target_may_be_called_like_a_framework(self, account: Account) -> None:
        version = trained(account)
        before = account.get(f"s3://{DATA}/models/{version}/source/pytorch.tar.gz")
        named = Target("pytorch", device="coreml", compiler_options={"class_labels": "labels.txt"}, runtime="coreml")
        assert of_model(version, named).endswith("/source/pytorch/model.tar.gz")
        assert account.get(f"s3://{DATA}/models/{version}/source/pytorch.tar.gz") == before

    def test_a_network_that_gave_no_torchscript_is_refused_for_what_needs_it(self, account: Account) -> None:
        version = trained(account, torchscript=False)
        with pytest.raises(
            SourceInvalid, match=r"source/pytorch\.tar\.gz, which ios is compiled from: train the model"
        ):
            of_model(version, IOS)

    def test_nothing_to_calibrate_with_is_said(self, account: Account) -> None:
        version = trained(account)
        files = any_model_files(version)
        del files["golden/crab.png"]
        account.put(f"models/{version}/model.tar.gz", tar_gz(files))
        with pytest.raises(SourceInvalid, match=r"lacks calibration images"):
            of_model(version, AMBARELLA)

    @pytest.mark.parametrize("labels", [[], ["a\nb"], ["a", 1], [""]])
    def test_labels_that_lines_cannot_hold_are_refused(self, account: Account, labels: list[object]) -> None:
        with pytest.raises(SourceInvalid, match="must have some, each one line of text"):
            of_model(trained(account, labels=labels), IOS)
