"""The evaluation job: the exported package on the test split, against people, against the champion, as files."""

import json
import re
import shutil
import tarfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from jobs import manifest
from jobs.__main__ import main
from jobs.images import load
from jobs.model_package import ModelPackage
from tests.unit.jobs.bench import ATTRIBUTE, BUCKET, ml_root, write_lines
from tests.unit.jobs.packages import METRICS, PIXELS, coloured, package, packed

LABELS = ["crab", "squid", "eel"]
LEVEL = {"error": 0.01, "low": 0.003, "high": 0.02, "who": "team of experts", "gold_objects": 600}


class Case:
    """One evaluation job's files. Object n shows channel n mod 3; `wrong` of them carry the label of the next one."""

    def __init__(self, folder: Path, labels: list[str] = LABELS, *, objects: int = 60, wrong: int = 6) -> None:
        self.root = folder / "ml"
        self.labels = labels
        self.inputs = self.root / "processing" / "input"
        self.out = self.root / "processing" / "output" / "package"
        self.card: dict[str, Any] = {"version": "v1", "labels": labels, "human_level": LEVEL}
        self.lines = [self.line(n, labels[(n % 3 + (n < wrong)) % len(labels)]) for n in range(objects)]
        for number in range(objects):
            path = self.image(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(coloured(number % 3, number))
        (self.inputs / "dataset").mkdir(parents=True)
        self.give("model")

    def image(self, number: int) -> Path:
        return self.inputs / "images" / "images" / f"{number}.png"

    def line(self, number: int, label: str, *, by_human: bool = True) -> dict[str, Any]:
        values = {"source-ref": f"{BUCKET}images/{number}.png", "content": f"c{number}"}
        return manifest.labeled(values, ATTRIBUTE, self.labels, label, by_human=by_human, confidence=0.9, job_name="j")

    def give(self, name: str, **about: Any) -> None:
        """A model package as one of the inputs; `labels` are the dataset's if nothing is said."""
        folder = self.root / "packages" / name
        shutil.rmtree(folder, ignore_errors=True)
        target = self.inputs / name / "model.tar.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(package(folder, about.pop("labels", self.labels), **about), target)

    def run(self, **options: object) -> int:
        write_lines(self.inputs / "dataset" / "test.manifest", self.lines)
        (self.inputs / "dataset" / "card.json").write_text(json.dumps(self.card))
        chosen = {"model_version": "v1-1", "minimum_accuracy": 0.8, "minimum_recall": 0, "champion": "not-worse"}
        arguments = [
            part for name, value in (chosen | options).items() for part in (f"--{name.replace('_', '-')}", str(value))
        ]
        shutil.rmtree(self.root / "processing" / "output", ignore_errors=True)
        with ml_root(self.root):
            return main(["evaluate", *arguments])

    @property
    def evaluation(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "evaluation.json").read_text())
        return found

    @property
    def failure(self) -> str:
        return (self.root / "output" / "message").read_text()


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """An evaluation that has ended well, against a champion that mixes up squid and eels; only to be read."""
    case = Case(tmp_path_factory.mktemp("evaluated"))
    case.give("champion", version="v0-1", channels=[0, 2, 1])
    assert case.run(minimum_recall=0.9) == 0
    return case


def test_the_errors_of_people_training_validation_and_test_stand_side_by_side(evaluated: Case) -> None:
    found = evaluated.evaluation
    assert (found["model_version"], found["dataset_version"]) == ("v1-1", "v1")
    assert found["human"] == {"error": 0.01, "low": 0.003, "high": 0.02, "objects": 600, "who": "team of experts"}
    assert (found["train"]["error"], found["train"]["objects"]) == (0.05, 4000)
    assert (found["validation"]["error"], found["validation"]["objects"]) == (0.1, 1000)
    assert (found["test"]["error"], found["test"]["objects"]) == (0.1, 60)
    for rate in ("human", "train", "validation", "test"):
        assert found[rate]["low"] < found[rate]["error"] < found[rate]["high"]
    assert found["avoidable_bias"]["value"] == pytest.approx(0.04)
    assert found["variance"]["value"] == pytest.approx(0.05)
    assert found["advice"][0].startswith("Both variance (5.00 %) and avoidable bias (4.00 %) are there")


def test_each_class_has_its_figures_and_the_confusion_matrix_has_all_objects(evaluated: Case) -> None:
    found = evaluated.evaluation
    # Two objects of each colour carry the label of the next one.
    assert found["confusion"] == [[18, 0, 2], [2, 18, 0], [0, 2, 18]]
    for one, label in zip(found["classes"], LABELS, strict=True):
        assert (one["label"], one["objects"]) == (label, 20)
        assert one["recall"] == one["precision"] == one["f1"] == pytest.approx(0.9)
        # Clopper-Pearson, 18 of 20.
        assert (one["low"], one["high"]) == pytest.approx((0.683, 0.988), abs=1e-3)


def test_the_worst_are_the_mistakes_it_was_surest_of(evaluated: Case) -> None:
    worst = evaluated.evaluation["worst"]
    assert {one["source_ref"] for one in worst} == {f"{BUCKET}images/{n}.png" for n in range(6)}
    confidences = [one["confidence"] for one in worst]
    assert confidences == sorted(confidences, reverse=True)
    for one in worst:
        number = int(Path(one["source_ref"]).stem)
        assert (one["predicted"], one["label"]) == (LABELS[number % 3], LABELS[(number + 1) % 3])
        assert 0 < one["probability"] < one["confidence"] <= 1


def test_the_champion_is_asked_about_the_same_objects(evaluated: Case) -> None:
    champion = evaluated.evaluation["champion"]
    assert (champion["model_version"], champion["objects"], champion["left_out"]) == ("v0-1", 60, 0)
    # It misses 18 squid and 18 eels, and agrees with the two eels that look like squid.
    assert (champion["only_candidate_right"], champion["only_champion_right"]) == (36, 2)
    assert champion["accuracy"] == pytest.approx(20 / 60)
    assert champion["p_better"] == pytest.approx((1 + 38 + 38 * 37 / 2) / 2**38)
    assert champion["p_worse"] == pytest.approx(1 - 39 / 2**38)
    assert "is better than champion v0-1 on the same 60 test objects" in evaluated.evaluation["reasons"][-1]


def test_the_calibration_is_measured_on_the_test_split(evaluated: Case) -> None:
    calibration = evaluated.evaluation["calibration"]
    assert calibration["temperature"] == 2.0
    assert 0 <= calibration["after"] < 1
    assert calibration["before"] != calibration["after"]
    for bins in calibration["bins"].values():
        assert sum(one["objects"] for one in bins) == 60


def test_the_gate_says_yes_with_a_reason_for_every_check(evaluated: Case) -> None:
    found = evaluated.evaluation
    assert found["accepted"]
    assert [check["check"] for check in found["gate"]] == ["minimum_accuracy", "minimum_recall", "champion"]
    assert found["reasons"] == [check["reason"] for check in found["gate"]]
    assert found["reasons"][0] == "test accuracy 0.9000 (60 objects) reaches the minimum 0.8"


def members(path: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(path) as archive:
        for one in archive.getmembers():
            content = archive.extractfile(one)
            assert content
            found[one.name] = content.read()
    return found


def test_the_finished_package_has_the_test_figures_and_the_evaluation(evaluated: Case) -> None:
    finished = members(evaluated.out / "model.tar.gz")
    assert set(finished) == {
        "model.onnx", "labels.json", "model.json", "evaluation.json", "golden/000.png", "golden/golden.json",
    }  # fmt: skip
    model = json.loads(finished["model.json"])
    assert model == json.loads((evaluated.out / "model.json").read_text())
    assert json.loads(finished["evaluation.json"]) == evaluated.evaluation
    assert model["metrics"].items() > METRICS.items()
    assert (model["metrics"]["test_accuracy"], model["metrics"]["test_objects"]) == (0.9, 60)
    assert model["verdict"]["avoidable_bias"] == evaluated.evaluation["avoidable_bias"]
    assert (model["temperature"], model["uncertain_below"], model["unknown_above_energy"]) == (2.0, 0.5, -3.25)


def test_a_compiler_gets_exactly_one_file(evaluated: Case) -> None:
    assert members(evaluated.out / "source/model.tar.gz") == {
        "model.onnx": members(evaluated.out / "model.tar.gz")["model.onnx"]
    }
    assert members(evaluated.out / "source/pytorch.tar.gz") == {"model.pth": b"TorchScript of v1-1"}


def test_a_model_without_torchscript_is_finished_without_it(case: Case) -> None:
    (case.root / "packages" / "model" / "files" / "model.pth").unlink()
    shutil.copy(packed(case.root / "packages" / "model"), case.inputs / "model" / "model.tar.gz")
    assert case.run() == 0
    assert {path.name for path in (case.out / "source").iterdir()} == {"model.tar.gz"}


def test_the_statistics_are_what_studio_draws(evaluated: Case) -> None:
    found = json.loads((evaluated.out / "statistics.json").read_text())["multiclass_classification_metrics"]
    assert found["confusion_matrix"]["squid"] == {"crab": 2, "squid": 18, "eel": 0}
    # Below 200 objects SageMaker gives no standard deviation either.
    assert found["accuracy"] == {"value": pytest.approx(0.9), "standard_deviation": "NaN"}
    assert found["accuracy_best_constant_classifier"]["value"] == pytest.approx(1 / 3)
    assert found["weighted_f1"]["value"] == pytest.approx(0.9)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_run_again_it_writes_the_same_bytes(case: Case) -> None:
    assert case.run() == 0
    first = files(case.out)
    assert set(first) == {
        "evaluation.html", "evaluation.json", "model.json", "model.tar.gz", "source/model.tar.gz",
        "source/pytorch.tar.gz", "statistics.json",
    }  # fmt: skip
    assert case.run() == 0
    assert files(case.out) == first


def test_a_model_below_the_minimum_is_rejected(case: Case) -> None:
    assert case.run(minimum_accuracy=0.95) == 0
    assert not case.evaluation["accepted"]
    assert case.evaluation["reasons"][0] == "test accuracy 0.9000 (60 objects) is below the minimum 0.95"


def test_a_model_worse_than_the_champion_is_rejected(case: Case) -> None:
    case.give("champion", version="v0-1")
    case.give("model", channels=[0, 1, 1])
    assert case.run(minimum_accuracy=0.5) == 0
    assert not case.evaluation["accepted"]
    assert "it is worse than champion v0-1" in case.evaluation["reasons"][-1]


def test_a_refusal_says_how_many_labels_came_from_a_machine(case: Case) -> None:
    case.give("champion", version="v0-1")
    case.give("model", channels=[0, 1, 1])
    case.lines = [case.line(n, LABELS[n % 3], by_human=n % 2 == 0) for n in range(60)]
    assert case.run(minimum_accuracy=0.5) == 0
    assert "a machine gave 10 of the labels that only the champion agrees with" in case.evaluation["reasons"][-1]


def test_a_champion_with_other_classes_is_compared_on_those_that_both_can_name(case: Case) -> None:
    case.give("champion", version="v0-1", labels=["whale", "squid", "crab"], channels=[2, 1, 0])
    assert case.run() == 0
    champion = case.evaluation["champion"]
    assert (champion["objects"], champion["left_out"]) == (40, 20)
    assert champion["accuracy"] == champion["candidate_accuracy"] == pytest.approx(36 / 40)
    assert "20 objects of classes that the champion does not know are left out" in case.evaluation["reasons"][-1]


@pytest.mark.parametrize(("demand", "accepted"), [("not-worse", True), ("better", False)])
def test_a_champion_that_knows_no_class_of_the_test_cannot_be_compared(case: Case, demand: str, accepted: bool) -> None:
    case.give("champion", version="v0-1", labels=["whale", "shark", "ray"])
    assert case.run(champion=demand) == 0
    assert case.evaluation["accepted"] is accepted
    assert case.evaluation["champion"]["accuracy"] is None
    assert "the two cannot be compared" in case.evaluation["reasons"][-1]


def test_without_a_human_level_it_asks_for_gold(case: Case) -> None:
    case.card["human_level"] = {"error": None, "who": None, "reason": "no gold object was answered"}
    assert case.run() == 0
    assert case.evaluation["human"] is None
    assert case.evaluation["avoidable_bias"] is None
    assert any("The human level is not known" in sentence for sentence in case.evaluation["advice"])


def test_an_image_that_cannot_be_read_is_left_out_and_listed(case: Case) -> None:
    case.image(7).write_bytes(b"\x89PNG nothing")
    case.give("champion", version="v0-1")
    assert case.run(unreadable_share=0.05) == 0
    found = case.evaluation
    assert found["test"]["objects"] == found["champion"]["objects"] == 59
    assert found["unreadable"]["objects"] == 1
    assert found["unreadable"]["first"][0]["source_ref"] == f"{BUCKET}images/7.png"
    assert f"{BUCKET}images/7.png" in (case.out / "evaluation.html").read_text()


def no_image(case: Case) -> None:
    shutil.rmtree(case.inputs / "images")
    (case.inputs / "images").mkdir()


def no_object(case: Case) -> None:
    case.lines = []


def unknown_class(case: Case) -> None:
    case.labels = [*LABELS, "whale"]
    case.lines[3] = case.line(3, "whale")


def other_version(case: Case) -> None:
    case.give("model", version="v9-9")


def other_dataset(case: Case) -> None:
    case.card["version"] = "v7"


def no_metrics(case: Case) -> None:
    case.give("model", metrics={"train_objects": 0})


def damaged_champion(case: Case) -> None:
    case.give("champion")
    path = case.inputs / "champion" / "model.tar.gz"
    path.write_bytes(path.read_bytes()[:300])


def changed(case: Case, name: str, file: str, content: bytes) -> None:
    """A package with one file of another content."""
    case.give(name, version="v0-1" if name == "champion" else "v1-1")
    folder = case.root / "packages" / name
    (folder / "files" / file).write_bytes(content)
    shutil.copy(packed(folder), case.inputs / name / "model.tar.gz")


def champion_of_another_runtime(case: Case) -> None:
    changed(case, "champion", "golden/000.png", coloured(1, 1))


def broken_golden_image(case: Case) -> None:
    changed(case, "champion", "golden/000.png", b"no picture")


def no_temperature(case: Case) -> None:
    changed(case, "model", "model.json", json.dumps({"model_version": "v1-1", "labels": LABELS}).encode())


def temperature_of_zero(case: Case) -> None:
    case.give("model", temperature=0)


def fewer_labels_than_answers(case: Case) -> None:
    card = json.loads((case.root / "packages/model/files/model.json").read_text())
    changed(case, "model", "model.json", json.dumps(card | {"labels": LABELS[:2]}).encode())


def no_numbers(case: Case) -> None:
    case.give("model", gain=float("inf"))


def no_numbers_but_on_golden_images(case: Case) -> None:
    case.give("model", gain=float("inf"))
    folder = case.root / "packages" / "model"
    (folder / "files/golden/golden.json").write_text("[]")
    shutil.copy(packed(folder), case.inputs / "model" / "model.tar.gz")


def champion_without_a_graph(case: Case) -> None:
    changed(case, "champion", "model.onnx", b"no graph")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            no_image,
            "more than 0 of the test split's images cannot be read, first s3://data-bucket/images/0.png: missing",
        ),
        (no_object, "test.manifest is empty: label more images"),
        (
            unknown_class,
            "test.manifest, line 4 has the class 'whale', which the model cannot name; it names crab, squid",
        ),
        (other_version, "the model package is of 'v9-9' and must be of 'v1-1'"),
        (other_dataset, "model 'v1-1' was trained on dataset 'v1'; the test split given is of 'v7'"),
        (no_metrics, "model.json has no usable metrics.train_accuracy"),
        (damaged_champion, "the champion .* cannot be unpacked"),
        (champion_without_a_graph, "the champion .* cannot be opened: .*train it again"),
        (champion_of_another_runtime, "the champion v0-1 is off by .* on its golden image 000.png"),
        (broken_golden_image, "the champion v0-1 has a golden image that cannot be read, 000.png"),
        (no_temperature, "the model's model.json has no 'input': train it again"),
        (temperature_of_zero, "has 3 labels for 3 answers and the temperature 0.0, which must be above 0"),
        (fewer_labels_than_answers, "the model v1-1 has 2 labels for 3 answers"),
        (no_numbers, "the model v1-1 is off by nan on its golden image"),
        (
            no_numbers_but_on_golden_images,
            "the model answers s3://data-bucket/images/0.png with values that are no num",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_sentence(
    case: Case, spoil: Callable[[Case], None], sentence: str
) -> None:
    spoil(case)
    assert case.run() == 1
    assert re.search(sentence, case.failure)
    assert not case.out.exists() or not files(case.out)


class Reader(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_names_cannot_break_the_page(tmp_path: Path) -> None:
    names = ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(2)>", "line\nbreak & &amp; </style>"]
    case = Case(tmp_path, names)
    case.card["human_level"] = {**LEVEL, "who": "<b onclick=alert(3)>team</b>"}
    assert case.run() == 0
    page = Reader((case.out / "evaluation.html").read_text())
    assert not {"script", "iframe", "object", "link", "form", "a"} & set(page.tags)
    assert page.tags.count("img") == 6
    assert page.tags.count("style") == 1
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert all(
        value.startswith("data:image/jpeg;base64,") for name, value in page.attributes if name == "src" and value
    )
    assert set(names) <= set(page.text)
    assert "<b onclick=alert(3)>team</b>" in page.text


def test_of_many_mistakes_the_surest_are_shown(tmp_path: Path) -> None:
    case = Case(tmp_path, objects=300, wrong=40)
    assert case.run() == 0
    found = case.evaluation
    assert (found["test"]["objects"], found["test"]["error"]) == (300, pytest.approx(40 / 300))
    assert len(found["worst"]) == 24
    model = ModelPackage.open(case.inputs / "model/model.tar.gz", tmp_path / "model")
    confidences = sorted(
        (float(model.probabilities(load(case.image(n), PIXELS)).max()) for n in range(40)), reverse=True
    )
    assert [one["confidence"] for one in found["worst"]] == pytest.approx(confidences[:24])


def test_the_page_loads_nothing_and_shows_every_picture(evaluated: Case) -> None:
    page = (evaluated.out / "evaluation.html").read_text()
    assert "default-src &#x27;none&#x27;" in page
    assert page.count("data:image/jpeg;base64,") == 6
    assert "http" not in page.replace("http-equiv", "")


def test_with_very_many_classes_the_page_lists_confusions_and_leaves_the_matrix_out(tmp_path: Path) -> None:
    case = Case(tmp_path, LABELS + [f"species {number}" for number in range(60)])
    assert case.run() == 0
    page = (case.out / "evaluation.html").read_text()
    assert 'class="matrix"' not in page
    assert "squid taken for crab: 2" in page
