"""Dawid and Skene's estimate finds who can be believed, whatever the order of the answers."""

import numpy as np
import pandas as pd
import pytest
from crowdkit.aggregation import DawidSkene
from hypothesis import given
from hypothesis import strategies as st

from jobs.labeling.consolidation import Consolidated, dawid_skene, expected_counts
from jobs.labeling.patterns import Answers

CLASSES = 5


def planted(
    seed: int, *, objects: int = 600, errors: tuple[float, ...] = (0.05, 0.1, 0.3, 0.45)
) -> tuple[Answers, np.ndarray]:
    """Answers of workers with these error rates to objects of a known class; about a quarter of them missing."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, CLASSES, objects)
    rows = []
    for worker, error in enumerate(errors):
        for item in np.flatnonzero(rng.random(objects) < 0.75):
            other = (truth[item] + rng.integers(1, CLASSES)) % CLASSES
            rows.append((item, worker, other if rng.random() < error else truth[item]))
    table = np.array(rows)
    return Answers(table[:, 0], table[:, 1], table[:, 2]), truth


def estimate(answers: Answers, workers: int = 4, **options: object) -> Consolidated:
    objects = int(answers.objects.max()) + 1
    return dawid_skene(answers, objects=objects, workers=workers, classes=CLASSES, **options)  # type: ignore[arg-type]


def test_it_recovers_the_truth_and_each_workers_error() -> None:
    answers, truth = planted(1)
    found = estimate(answers)
    answered = np.unique(answers.objects)
    labels = found.posteriors.argmax(1)
    assert (labels == truth)[answered].mean() > 0.9
    skill = found.confusion.diagonal(axis1=1, axis2=2).mean(1)
    np.testing.assert_allclose(skill, [0.95, 0.9, 0.7, 0.55], atol=0.06)


def test_it_does_better_than_the_majority_when_most_people_guess() -> None:
    answers, truth = planted(2, errors=(0.02, 0.6, 0.6, 0.6))
    votes = np.zeros((len(truth), CLASSES))
    np.add.at(votes, (answers.objects, answers.labels), 1)
    asked = np.unique(answers.objects[answers.workers == 0])
    majority = (votes.argmax(1) == truth)[asked].mean()
    assert (estimate(answers).posteriors.argmax(1) == truth)[asked].mean() > majority + 0.1


@given(st.integers(0, 1000))
def test_the_order_of_answers_and_of_workers_changes_nothing(seed: int) -> None:
    answers, _ = planted(seed, objects=40)
    rng = np.random.default_rng(seed)
    order, names = rng.permutation(len(answers.objects)), rng.permutation(4)
    changed = Answers(answers.objects[order], names[answers.workers[order]], answers.labels[order])
    one, two = estimate(answers), estimate(changed)
    np.testing.assert_allclose(two.posteriors, one.posteriors, atol=1e-9)
    np.testing.assert_allclose(two.confusion[names], one.confusion, atol=1e-9)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 2), st.integers(0, CLASSES - 1)), max_size=40))
def test_any_answers_give_probabilities(rows: list[tuple[int, int, int]]) -> None:
    table = np.array(rows, np.intp).reshape(-1, 3)
    answers = Answers(table[:, 0], table[:, 1], table[:, 2])
    for smoothing in (0.0, 2.0):
        found = dawid_skene(answers, objects=8, workers=3, classes=CLASSES, smoothing=smoothing)
        np.testing.assert_allclose(found.posteriors.sum(1), 1)
        np.testing.assert_allclose(found.confusion.sum(2), 1)
        assert (found.posteriors >= 0).all()


def test_gold_keeps_its_class_against_any_majority_and_exposes_who_contradicts_it() -> None:
    objects = np.repeat(np.arange(20), 3)
    workers = np.tile(np.arange(3), 20)
    labels = np.where(workers == 2, objects % CLASSES, (objects + 1) % CLASSES)
    gold = np.where(np.arange(20) < 15, np.arange(20) % CLASSES, -1)
    found = estimate(Answers(objects, workers, labels), workers=3, gold=gold)
    assert (found.posteriors.argmax(1) == np.arange(20) % CLASSES).all()
    assert (found.posteriors[:15].max(1) == 1).all()
    blind = estimate(Answers(objects, workers, labels), workers=3)
    assert (blind.posteriors.argmax(1) == (np.arange(20) + 1) % CLASSES).all()


def test_without_smoothing_it_follows_the_published_steps() -> None:
    # Three objects, two workers, two classes: small enough for one step of the formulas by hand.
    answers = Answers(np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 1, 0, 1]), np.array([0, 0, 1, 1, 0, 1]))
    found = dawid_skene(answers, objects=3, workers=2, classes=2, smoothing=0)
    truth = np.array([[1, 0], [0, 1], [0.5, 0.5]])
    # M: worker 0 answered 0 to objects 0 and 2. E: object 2 has 0.5 * (1.5/1.5) * (0.5/1.5) for either class.
    np.testing.assert_allclose(found.posteriors, truth, atol=1e-9)
    np.testing.assert_allclose(found.confusion[0], [[1, 0], [1 / 3, 2 / 3]], atol=1e-9)
    np.testing.assert_allclose(found.priors, [0.5, 0.5], atol=1e-9)


@pytest.mark.filterwarnings("ignore:The (inplace|copy) keyword")  # crowd-kit was written for an earlier pandas
@pytest.mark.parametrize(("seed", "votes"), [(1, 5), (2, 3), (3, None)])
def test_it_agrees_with_crowd_kit(seed: int, votes: int | None) -> None:
    """Converged, from the same answers: every worker's answer to every object, three of them, any number of them."""
    rng = np.random.default_rng(seed)
    objects, workers = 300, 7 if votes == 3 else 5
    truth = rng.choice(CLASSES, objects, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    asked = rng.random((objects, workers)).argsort(1).argsort(1) < (votes or rng.integers(1, workers + 1, (objects, 1)))
    items, who = np.nonzero(asked)
    wrong = rng.random(len(items)) < np.linspace(0.02, 0.2, workers)[who]
    labels = np.where(wrong, (truth[items] + rng.integers(1, CLASSES, len(items))) % CLASSES, truth[items])

    # Its own test of convergence can end early: what it sums up is no lower bound, so it may fall on the way.
    oracle = DawidSkene(n_iter=80, tol=-np.inf)
    oracle.fit(pd.DataFrame({"task": items, "worker": who, "label": labels}))
    expected = oracle.probas_.sort_index()[list(range(CLASSES))].to_numpy()
    found = estimate(Answers(items, who, labels), workers, smoothing=0).posteriors
    assert (found.argmax(1) == expected.argmax(1)).mean() >= 0.999
    np.testing.assert_allclose(found, expected, atol=1e-3)


@given(st.integers(0, 1000))
def test_gold_of_one_object_changes_its_pattern_and_no_other_object_of_the_same_answers(seed: int) -> None:
    answers, truth = planted(seed, objects=60, errors=(0.1, 0.1, 0.1, 0.1))
    gold = np.full(len(truth), -1)
    gold[:20] = (truth[:20] + 1) % CLASSES
    found = dawid_skene(answers, objects=60, workers=4, classes=CLASSES, gold=gold)
    assert (found.labels[:20] == gold[:20]).all()
    said = [
        tuple(sorted(zip(answers.workers[rows], answers.labels[rows], strict=True)))
        for rows in (np.flatnonzero(answers.objects == item) for item in range(60))
    ]
    for one in range(60):
        for other in range(one):
            alike = said[one] == said[other] and gold[one] == gold[other]
            assert (found.patterns.of_object[one] == found.patterns.of_object[other]) == alike


def test_expected_counts_are_the_answers_shared_out_over_the_classes() -> None:
    answers, _ = planted(4)
    found = estimate(answers)
    counts = expected_counts(answers, found, workers=4, classes=CLASSES)
    for worker in range(4):
        mine = answers.workers == worker
        np.testing.assert_allclose(counts[worker].sum(0), np.bincount(answers.labels[mine], minlength=CLASSES))
        np.testing.assert_allclose(counts[worker].sum(1), found.posteriors[answers.objects[mine]].sum(0))
