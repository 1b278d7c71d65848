"""The verb `evaluate`: the model package that training left, asked about the test split, and what follows from it.

What is asked is the exported graph, as devices will run it, and not the network that was trained. Training has never
seen the test split.
"""

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from jobs import manifest
from jobs.errors import JobError
from jobs.evaluation import finished, gate, page
from jobs.evaluation.advice import Findings
from jobs.evaluation.gate import Demand, Terms
from jobs.evaluation.measure import Measured, measure
from jobs.evaluation.rates import Rate
from jobs.evaluation.tables import class_figures, model_quality
from jobs.model_package import ModelPackage
from jobs.options import Options, share, share_or_none
from jobs.paths import Root, read_json, write_json


def run(root: Root, arguments: list[str]) -> None:
    """
    Raises:
        JobError: a missing input, a broken manifest, a package that is not what it was, too many unreadable images.
    """
    options = _options(arguments)
    dataset = root.processing_input("dataset")
    card = read_json(dataset / "card.json")
    with tempfile.TemporaryDirectory() as scratch:
        model = _model(root, options.model_version, card, Path(scratch) / "model")
        champion = _champion(root, Path(scratch) / "champion")
        path = dataset / "test.manifest"
        objects = _objects(path, model.labels, options.label_attribute)
        measured = measure(
            manifest.read(path),
            root.processing_input("images"),
            model,
            champion,
            attribute=options.label_attribute,
            unreadable_allowed=int(options.unreadable_share * objects),
        )
        evaluation = _evaluation(model, card, measured, options)
        out = root.processing_output("package")
        write_json(out / "statistics.json", model_quality(model.labels, measured.confusion))
        page.write(out / "evaluation.html", evaluation, measured.worst)
        finished.write(out, model, evaluation)
    print(f"test:error={evaluation['test']['error']:.4f} test:objects={measured.objects}")
    print("\n".join([*evaluation["reasons"], *evaluation["advice"]]), flush=True)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = Options()
    parser.add_argument("--model-version", required=True)
    parser.add_argument("--minimum-accuracy", type=share, required=True)
    parser.add_argument("--minimum-recall", type=share_or_none, required=True)
    parser.add_argument("--champion", choices=get_args(Demand), required=True)
    parser.add_argument("--label-attribute", default="species")
    parser.add_argument("--unreadable-share", type=share_or_none, default=0.01)  # below 1: something is left
    return parser.parse_args(arguments)


def _model(root: Root, version: str, card: dict[str, Any], folder: Path) -> ModelPackage:
    model = ModelPackage.open(root.processing_input("model") / "model.tar.gz", folder, called="model")
    if model.version != version:
        raise JobError(f"the model package is of {model.version!r} and must be of {version!r}: train it again")
    trained_on, given = model.card.get("dataset_version"), card.get("version")
    if given and trained_on != given:
        raise JobError(f"model {version!r} was trained on dataset {trained_on!r}; the test split given is of {given!r}")
    return model


def _champion(root: Root, folder: Path) -> ModelPackage | None:
    given = root.optional_input("champion")
    return ModelPackage.open(given / "model.tar.gz", folder) if given else None


def _objects(path: Path, labels: list[str], attribute: str) -> int:
    """How many objects the split has, each checked before the first image is decoded."""
    known, count = set(labels), 0
    for entry in manifest.read(path):
        count += 1
        if (label := entry.class_name(attribute)) not in known:
            raise entry.error(f"has the class {label!r}, which the model cannot name; it names {', '.join(labels)}")
    if not count:
        raise JobError("test.manifest is empty: label more images, so that every split of the dataset has some")
    return count


def _evaluation(
    model: ModelPackage, card: dict[str, Any], measured: Measured, options: argparse.Namespace
) -> dict[str, Any]:
    """The content of evaluation.json.

    model_version, dataset_version
    human           the human level of the dataset's card: error, low, high (95 %), objects, who; null if not known
    train           the training error, validation and test likewise: error, low, high, objects
    avoidable_bias  {value, low, high}: train - human; null without a human level
    variance        {value, low, high}: validation - train
    shift           {value, low, high}: test - validation
    advice          sentences, the most important one first
    classes         one per class: label, objects, recall, low, high (of recall), precision, f1
    confusion       [truth][prediction]: numbers of objects, in the order of classes
    calibration     the temperature; expected calibration error on the test split before and after it; the bins
    champion        both models on the same objects (comparison.py); null without a champion
    worst           the mistakes that the model was surest of
    unreadable      test objects whose image cannot be read, counted, and the first of them
    gate            one per check: check, passed, reason
    accepted        whether all of them passed
    reasons         theirs
    """
    metrics = model.card.get("metrics", {})
    findings = Findings(
        human=Rate.of_people(card.get("human_level")),
        train=_of_training(metrics, "train"),
        validation=_of_training(metrics, "validation"),
        test=Rate.counted(measured.errors, measured.objects),
    )
    classes = class_figures(model.labels, measured.confusion)
    terms = Terms(options.minimum_accuracy, options.minimum_recall, options.champion)
    checks = gate.judged(findings.test, classes, measured.comparison, terms)
    return {
        "model_version": model.version,
        "dataset_version": model.card.get("dataset_version"),
        "human": findings.human.described() if findings.human else None,
        "train": findings.train.described(),
        "validation": findings.validation.described(),
        "test": findings.test.described(),
        "avoidable_bias": findings.bias.described() if findings.bias else None,
        "variance": findings.variance.described(),
        "shift": findings.shift.described(),
        "advice": findings.advice(),
        "classes": [one.described() for one in classes],
        "confusion": measured.confusion.tolist(),
        "calibration": {
            "temperature": model.temperature,
            "before": measured.before.error,
            "after": measured.after.error,
            "bins": {"before": measured.before.described(), "after": measured.after.described()},
        },
        "champion": measured.comparison.described() if measured.comparison else None,
        "worst": [mistake.described() for mistake in measured.worst],
        "unreadable": {"objects": measured.unreadable, "first": measured.unreadable_listed},
        "gate": [asdict(check) for check in checks],
        "accepted": all(check.passed for check in checks),
        "reasons": [check.reason for check in checks],
    }


def _of_training(metrics: dict[str, Any], split: str) -> Rate:
    try:
        objects = int(metrics[f"{split}_objects"])
        errors = round((1 - float(metrics[f"{split}_accuracy"])) * objects)
        if not 0 <= errors <= objects or not objects:
            raise ValueError(errors)
        return Rate.counted(errors, objects)
    except (KeyError, TypeError, ValueError):
        raise JobError(
            f"model.json has no usable metrics.{split}_accuracy and metrics.{split}_objects: train the model again"
        ) from None
