"""A posterior of 0.95 is right about 95 times in 100, although people err alike and the model does not know it."""

import numpy as np
import pytest

from jobs.labeling.certainty import tempered
from jobs.labeling.consolidation import Consolidated, dawid_skene
from jobs.labeling.patterns import Answers

CLASSES, PEOPLE, OBJECTS, GOLD = 8, 5, 3000, 300


def people_who_err_alike(seed: int, errors: tuple[float, ...]) -> tuple[Answers, np.ndarray]:
    """Three of five answer each object. Some objects mislead them: there most of them name the same wrong class."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, CLASSES, OBJECTS)
    mistaken = (truth + rng.integers(1, CLASSES, OBJECTS)) % CLASSES
    workers = rng.random((OBJECTS, PEOPLE)).argsort(1)[:, :3]
    misleads = rng.random(OBJECTS) < 0.015
    errs = rng.random((OBJECTS, 3)) < np.where(misleads[:, None], 0.6, np.array(errors)[workers])
    labels = np.where(errs, mistaken[:, None], truth[:, None])
    return Answers(np.repeat(np.arange(OBJECTS), 3), workers.ravel(), labels.ravel()), truth


def estimates(seed: int, errors: tuple[float, ...]) -> tuple[Consolidated, Consolidated, np.ndarray]:
    answers, truth = people_who_err_alike(seed, errors)
    gold = np.where(np.arange(OBJECTS) < GOLD, truth, -1)
    found = dawid_skene(answers, objects=OBJECTS, workers=PEOPLE, classes=CLASSES, gold=gold)
    return found, tempered(found), truth


@pytest.mark.parametrize("errors", [(0.05, 0.05, 0.02, 0.02, 0.02), (0.1, 0.1, 0.1, 0.2, 0.2)])
def test_the_expected_errors_are_about_those_that_there_are(errors: tuple[float, ...]) -> None:
    wrong = expected = by_model = 0.0
    for seed in range(4):
        found, sure, truth = estimates(seed, errors)
        wrong += (sure.labels != truth)[GOLD:].mean()
        expected += (1 - sure.confidences[GOLD:]).mean()
        by_model += (1 - found.confidences[GOLD:]).mean()
    assert wrong / 2 < expected < wrong * 2
    # What is corrected: the model alone is surer by far than it has reason to be.
    assert by_model < wrong / 5


def test_what_stays_in_doubt_holds_a_good_part_of_the_errors() -> None:
    _, sure, truth = estimates(1, (0.05, 0.05, 0.02, 0.02, 0.02))
    doubtful, wrong = sure.confidences[GOLD:] < 0.9, (sure.labels != truth)[GOLD:]
    assert 0.01 < doubtful.mean() < 0.12
    assert wrong[doubtful].mean() > 5 * wrong[~doubtful].mean()


def test_labels_stay_as_they_were_and_what_the_cross_check_takes_for_something_else_is_in_doubt() -> None:
    found, sure, _ = estimates(2, (0.05, 0.6, 0.6, 0.1, 0.1))
    assert (sure.labels == found.labels).all()
    otherwise = sure.posteriors.argmax(1) != sure.labels
    assert otherwise.any()
    assert sure.confidences[otherwise].max() <= 0.5


def test_two_people_who_contradict_a_third_on_one_object_do_not_explain_themselves() -> None:
    # Three people agree on everything but the last object, on which each says something else.
    objects = np.repeat(np.arange(41), 3)
    labels = np.where(objects < 40, objects % CLASSES, np.tile(np.arange(3), 41))
    answers = Answers(objects, np.tile(np.arange(3), 41), labels)
    sure = tempered(dawid_skene(answers, objects=41, workers=3, classes=CLASSES))
    assert sure.confidences[:40].min() > 0.99
    assert sure.posteriors[40][:3] == pytest.approx([1 / 3] * 3, abs=0.1)


def test_gold_keeps_its_class_and_objects_without_answers_the_priors() -> None:
    answers, truth = people_who_err_alike(3, (0.1,) * 5)
    gold = np.append(np.where(np.arange(OBJECTS) < 10, truth, -1), [2, -1])
    sure = tempered(dawid_skene(answers, objects=OBJECTS + 2, workers=PEOPLE, classes=CLASSES, gold=gold))
    assert (sure.labels[:10] == truth[:10]).all()
    assert (sure.confidences[:10] == 1).all()
    assert (sure.labels[-2], sure.confidences[-2]) == (2, 1)
    assert sure.confidences[-1] < 0.2
    np.testing.assert_allclose(sure.by_pattern.sum(1), 1)


def test_no_answers_at_all_are_no_reason_to_fail() -> None:
    nothing = np.zeros(0, np.intp)
    for objects in (0, 3):
        found = dawid_skene(Answers(nothing, nothing, nothing), objects=objects, workers=0, classes=CLASSES)
        assert tempered(found).posteriors == pytest.approx(np.full((objects, CLASSES), 1 / CLASSES))
