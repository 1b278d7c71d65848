"""Automated data labeling: a model learns from people's labels and labels what it is sure enough of.

https://docs.aws.amazon.com/sagemaker/latest/dg/sms-automated-labeling.html says what happens in which order: people
label a random sample, part of which only validates; a model learns from the rest; what it scores above the threshold
at which it is right about 95 % of the validation objects gets its label; of the others, people label the next batch.

The model here is the smallest that learns at all: least squares on 8 by 8 thumbnails, in place of a ResNet on a GPU. It
finds colours and rough shapes, so it labels fewer objects than Ground Truth's would; everything around it, the rule
included, is the real one. It keeps sums over what it saw, so a job that starts from the model of an earlier one goes
on learning where that one stopped. There is no detector of that size: object detection is refused.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final, Self

import numpy as np
from botocore.exceptions import ClientError
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from offline import roles
from offline.runners import Job, JobFailed, storage
from offline.runners.labeling.kinds import BUILT_IN
from offline.runners.labeling.labels import Task, metadata
from offline.runners.labeling.output import Output
from offline.runners.labeling.people import People

MIN_OBJECTS: Final = 1_250
TARGET_ACCURACY: Final = 0.95
_LARGE_DATASET: Final = 5_000
_VALIDATION_SHARE: Final = 0.2
_VALIDATION_SHARE_LARGE: Final = 0.1
_BATCH_SHARE: Final = 0.1
_MAX_FAILED_SHARE: Final = 0.1
# A threshold that fewer validation objects reach is no evidence of anything.
_MIN_EVIDENCE: Final = 20
_THUMBNAIL_PIXELS: Final = 8
_RIDGE: Final = 1.0
_TYPE: Final = BUILT_IN["ImageMultiClass"].type

Matrix = NDArray[np.float64]


@dataclass
class Model:
    """Ridge regression of class indicators on thumbnails, as the sums that determine it."""

    classes: list[str]
    gram: Matrix
    cross: Matrix

    @classmethod
    def new(cls, classes: list[str]) -> Self:
        features = 3 * _THUMBNAIL_PIXELS**2 + 1
        return cls(classes, np.zeros((features, features)), np.zeros((features, len(classes))))

    @classmethod
    def load(cls, body: bytes) -> Self:
        with np.load(io.BytesIO(body)) as saved:
            return cls(json.loads(str(saved["classes"])), saved["gram"], saved["cross"])

    def save(self) -> bytes:
        body = io.BytesIO()
        np.savez(body, classes=np.array(json.dumps(self.classes)), gram=self.gram, cross=self.cross)
        return body.getvalue()

    @property
    def learned(self) -> bool:
        return bool(self.gram.any())

    def learn(self, features: Matrix, labels: Sequence[int]) -> None:
        self.gram += features.T @ features
        self.cross += features.T @ np.eye(len(self.classes))[list(labels)]

    def predict(self, features: Matrix) -> tuple[NDArray[np.int64], Matrix]:
        """The best class of each object and by how much it is better than the second."""
        scores = features @ np.linalg.solve(self.gram + _RIDGE * np.eye(len(self.gram)), self.cross)
        ordered = np.sort(scores, axis=1)
        return scores.argmax(axis=1), ordered[:, -1] - ordered[:, -2]


def threshold(scores: Matrix, right: NDArray[np.bool_]) -> float:
    """The lowest score at and above which TARGET_ACCURACY of the validation objects are right; infinity if none is."""
    order = np.argsort(-scores, kind="stable")
    accuracy = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero((accuracy >= TARGET_ACCURACY) & (np.arange(1, len(order) + 1) >= _MIN_EVIDENCE))
    return float(scores[order[good[-1]]]) if len(good) else np.inf


class ActiveLearning:
    """One job that people and a model label in turns."""

    def __init__(
        self, job: Job, people: People, output: Output, many: storage.Many, *, tasks: list[Task], categories: list[str]
    ) -> None:
        self._job, self._people, self._output, self._many = job, people, output, many
        self._tasks, self._categories = tasks, categories
        self._attribute: str = job.request["LabelAttributeName"]
        self._config = job.request["LabelingJobAlgorithmsConfig"]
        self._iteration = 1  # the sample; each turn of machine and people is one more

    def run(self) -> None:
        """Label everything.

        Raises:
            JobFailed: too few objects, a sample that fails, or a task type or a model that there is no learning with.
            NoMoreAnswers: people are through before everything has a label.
        """
        self._check()
        model = self._initial_model()
        total = len(self._tasks)
        order = np.random.default_rng(total).permutation(total)
        first = ceil((_VALIDATION_SHARE if total < _LARGE_DATASET else _VALIDATION_SHARE_LARGE) * total)
        validation, rest = order[:first], order[first:]
        self._ask(validation)
        self._check_sample(validation)
        self._features, readable = thumbnails(self._many, self._tasks)
        try:
            while len(rest):
                self._iteration += 1
                if model.learned:
                    rest = self._label(model, validation, rest, readable)
                batch, rest = rest[: ceil(_BATCH_SHARE * total)], rest[ceil(_BATCH_SHARE * total) :]
                self._ask(batch)
                self._learn(model, batch)
        finally:
            if model.learned:
                self._register(model)

    def _check(self) -> None:
        algorithm = self._config["LabelingJobAlgorithmSpecificationArn"].rpartition("/")[2]
        if algorithm != "image-classification":
            raise JobFailed(f"ClientError: this account has no algorithm that learns {algorithm} within seconds")
        if len(self._tasks) < MIN_OBJECTS:
            raise JobFailed(
                f"ClientError: automated data labeling needs at least {MIN_OBJECTS} objects; "
                f"the manifest has {len(self._tasks)}"
            )

    def _check_sample(self, sample: NDArray[np.int64]) -> None:
        failed = [self._tasks[index].failure for index in sample if self._tasks[index].failure]
        if len(failed) > _MAX_FAILED_SHARE * len(sample):
            raise JobFailed(
                f"ClientError: {len(failed)} of the first {len(sample)} objects failed, the first because: {failed[0]}"
            )

    def _ask(self, indices: NDArray[np.int64]) -> None:
        tasks = [self._tasks[index] for index in indices]
        for task in tasks:
            task.iteration = self._iteration
        self._people.ask(tasks, objects=len(self._tasks))

    def _learn(self, model: Model, batch: NDArray[np.int64]) -> None:
        seen = [index for index in batch if self._tasks[index].label]
        if seen:
            model.learn(self._features[seen], [self._class(index) for index in seen])

    def _label(
        self, model: Model, validation: NDArray[np.int64], rest: NDArray[np.int64], readable: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Label what the model is sure of; returns the others, those it is least sure of first."""
        labeled = [index for index in validation if self._tasks[index].label]
        classes, scores = model.predict(self._features[labeled])
        least = threshold(scores, classes == [self._class(index) for index in labeled])
        classes, scores = model.predict(self._features[rest])
        sure = (scores >= least) & readable[rest]
        for index, number, score in zip(rest[sure], classes[sure], scores[sure], strict=True):
            about = {
                "class-name": self._categories[number],
                "confidence": round(float(np.clip(score, 0, 1)), 2),
                "human-annotated": "no",
            }
            about = metadata(_TYPE, self._job.name, **about)
            self._tasks[index].label = {self._attribute: int(number), f"{self._attribute}-metadata": about}
        self._people.count_machine(int(sure.sum()))
        key = f"inference/iteration-{self._iteration}/labeled.json"
        self._output.put(
            key, {"threshold": float(least) if sure.any() else None, "objects": [int(index) for index in rest[sure]]}
        )
        return rest[~sure][np.argsort(scores[~sure], kind="stable")]

    def _class(self, index: int) -> int:
        number: int = self._tasks[index].label[self._attribute]
        return number

    def _initial_model(self) -> Model:
        arn = self._config.get("InitialActiveLearningModelArn")
        if arn is None:
            return Model.new(self._categories)
        found = self._job.state.client("sagemaker").describe_model(ModelName=arn.rpartition("/")[2])
        model = Model.load(self._many.read(found["PrimaryContainer"]["ModelDataUrl"]))
        if model.classes != self._categories:
            raise JobFailed(f"ClientError: the model {arn} learned {model.classes}, not {self._categories}")
        return model

    def _register(self, model: Model) -> None:
        """Make the model that the next job may start from: Ground Truth does so, under the job's role.

        https://docs.aws.amazon.com/sagemaker/latest/dg/sms-security-permission-execution-role.html
        """
        uri, role = self._output.put("training/model.npz", model.save()), self._job.request["RoleArn"]
        if not roles.may(role, "iam:PassRole", role, {"iam:PassedToService": "sagemaker.amazonaws.com"}):
            raise JobFailed(f"ClientError: {role} is not authorized to perform: iam:PassRole on resource: {role}")
        created = self._job.state.client("sagemaker").create_model(
            ModelName=self._job.name,
            ExecutionRoleArn=role,
            PrimaryContainer={"ModelDataUrl": uri},
            Tags=self._job.request.get("Tags", []),
        )
        self._output.report(FinalActiveLearningModelArn=created["ModelArn"])


def thumbnails(many: storage.Many, tasks: list[Task]) -> tuple[Matrix, NDArray[np.bool_]]:
    """A row of features per task, and which of the tasks have an image to take them from."""
    features = np.zeros((len(tasks), 3 * _THUMBNAIL_PIXELS**2 + 1))
    readable = np.zeros(len(tasks), bool)
    for index, task in enumerate(tasks):
        try:
            with Image.open(io.BytesIO(many.read(task.line["source-ref"]))) as image:
                image.draft("RGB", (4 * _THUMBNAIL_PIXELS, 4 * _THUMBNAIL_PIXELS))
                small = image.convert("RGB").resize((_THUMBNAIL_PIXELS, _THUMBNAIL_PIXELS), Image.Resampling.BOX)
        except (ClientError, UnidentifiedImageError, OSError):
            continue  # people get it, and fail it with the reason
        features[index] = [*(np.asarray(small, float).ravel() / 255 - 0.5), 1.0]
        readable[index] = True
    return features, readable
