"""Automated data labeling: what a model that learned from people labels by itself, and when it does not."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from PIL import Image

from offline.runners.labeling import automated
from offline.runners.labeling.automated import Model, threshold
from offline.state import Answer
from tests.offline.bench import BUCKET, Bench
from tests.offline.labeling import CLASSES, counters, label, labeling_bench, output
from tests.offline.roles import make_role

ALGORITHM = "arn:aws:sagemaker:us-east-1:027400017018:labeling-job-algorithm-specification/image-classification"
COLOURS = {"crab": (200, 60, 40), "squid": (220, 200, 210), "fish": (60, 90, 200)}
OBJECTS = 1_250
PICTURES = 60


@dataclass
class Sighted:
    """One person who tells the species by the colour of the corner, or says anything when `blind`."""

    asked: int = 0
    blind: bool = False

    def answers(self, image: bytes, categories: list[str], workers: int, team: str, **_: Any) -> list[Answer]:
        self.asked += 1
        with Image.open(io.BytesIO(image)) as picture:
            corner = picture.convert("RGB").getpixel((0, 0))
        name = next(name for name, colour in COLOURS.items() if colour == corner)
        said = categories[self.asked % len(categories)] if self.blind else name
        return [Answer("private.us-east-1.a", said, 2.0)]


def picture(number: int) -> bytes:
    """Noise around the colour of a species, whose corner is that colour exactly."""
    colour = list(COLOURS.values())[number % len(COLOURS)]
    pixels = np.random.default_rng(number).normal(colour, 40, (16, 16, 3)).clip(0, 255).astype(np.uint8)
    pixels[0, 0] = colour
    body = io.BytesIO()
    Image.fromarray(pixels).save(body, "PNG")
    return body.getvalue()


@pytest.fixture
def crew() -> Sighted:
    return Sighted()


@pytest.fixture(scope="module")
def closed_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with labeling_bench(tmp_path_factory.mktemp("account"), None) as bench:
        uris = [bench.put(f"pictures/{number}.png", picture(number)) for number in range(PICTURES)]
        lines = [{"source-ref": uris[number % PICTURES], "content": number} for number in range(OBJECTS)]
        bench.put("tasks/many.manifest", lines)
        bench.put("tasks/few.manifest", lines[:-1])
        bench.put("tasks/notes.manifest", [{"source-ref": f"s3://{BUCKET}/pictures/notes.txt"}] * OBJECTS)
        yield bench


@pytest.fixture
def bench(closed_bench: Bench, crew: Sighted, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(closed_bench.account.state, "crew", crew)
    return closed_bench


def learn(bench: Bench, manifest: str = "many", *, role: str = "", **config: str) -> dict[str, Any]:
    return label(
        bench,
        [],
        manifest=f"s3://{BUCKET}/tasks/{manifest}.manifest",
        HumanTaskConfig={"NumberOfHumanWorkersPerDataObject": 1},
        RoleArn=role or bench.role,
        LabelingJobAlgorithmsConfig={"LabelingJobAlgorithmSpecificationArn": ALGORITHM, **config},
    )


def test_the_machine_labels_what_it_learned_and_people_the_rest(bench: Bench, crew: Sighted) -> None:
    job = learn(bench)

    assert job["LabelingJobStatus"] == "Completed", job.get("FailureReason")
    counted = counters(job)
    assert counted["TotalLabeled"] == OBJECTS == counted["HumanLabeled"] + counted["MachineLabeled"]
    assert counted["HumanLabeled"] == crew.asked
    lines = output(bench, job)
    machine = [line for line in lines if line["species-metadata"]["human-annotated"] == "no"]
    assert len(machine) == counted["MachineLabeled"] > OBJECTS / 3
    right = sum(line["species"] == line["content"] % PICTURES % len(CLASSES) for line in machine)
    assert right / len(machine) >= automated.TARGET_ACCURACY
    keys = bench.keys(f"rounds/r1/labeling-jobs/{job['LabelingJobName']}/annotations/worker-response/")
    assert len(keys) == crew.asked
    assert len({key.split("/")[0] for key in keys}) > 1


def test_a_job_that_starts_from_the_model_of_an_earlier_one_asks_people_less(bench: Bench, crew: Sighted) -> None:
    first = learn(bench)
    before, crew.asked = crew.asked, 0

    job = learn(bench, InitialActiveLearningModelArn=first["LabelingJobOutput"]["FinalActiveLearningModelArn"])

    assert counters(job)["TotalLabeled"] == OBJECTS
    assert crew.asked < before
    assert (
        job["LabelingJobOutput"]["FinalActiveLearningModelArn"]
        != first["LabelingJobOutput"]["FinalActiveLearningModelArn"]
    )


def test_nothing_is_labeled_by_a_model_that_learned_nothing(bench: Bench, crew: Sighted) -> None:
    crew.blind = True

    assert counters(learn(bench)) == {"TotalLabeled": OBJECTS, "HumanLabeled": OBJECTS}


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [("few", "at least 1250 objects; the manifest has 1249"), ("notes", "of the first 250 objects failed")],
)
def test_a_data_set_that_cannot_be_learned_fails_the_job(bench: Bench, manifest: str, reason: str) -> None:
    job = learn(bench, manifest)

    assert job["LabelingJobStatus"] == "Failed"
    assert reason in job["FailureReason"]


def test_a_role_that_may_not_be_passed_on_learns_nothing(bench: Bench, crew: Sighted) -> None:
    job = learn(bench, role=make_role(bench.account, "not-passed-on", "s3:*"))

    assert job["LabelingJobStatus"] == "Failed"
    assert "is not authorized to perform: iam:PassRole" in job["FailureReason"]


def test_the_threshold_is_the_lowest_at_which_19_of_20_are_right() -> None:
    scores = np.arange(100, 0, -1.0)
    right = np.ones(100, bool)
    right[[30, 50, 60, 61, 62, 99]] = False

    assert threshold(scores, right) == scores[60]  # 58 of 61; one more, and it is 58 of 62
    assert threshold(scores, ~right) == np.inf
    assert threshold(scores[:19], right[:19]) == np.inf  # all right, and too few to tell


def test_a_model_is_the_same_after_it_was_kept() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(50, 193))
    model = Model.new(CLASSES)
    model.learn(features, [0, 1] * 25)

    again = Model.load(model.save())

    assert again.classes == CLASSES
    assert (again.predict(features)[0] == model.predict(features)[0]).all()
