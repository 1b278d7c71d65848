from hypothesis import given
from hypothesis import strategies as st

from reefloop.registry import Model
from reefloop.training import gate

SHARES = st.integers(0, 100).map(lambda percent: percent / 100)
OBJECTS = st.integers(1, 100_000)


def model(accuracy: float, objects: int = 100) -> Model:
    return Model("m", "d", accuracy, objects)


def test_without_a_champion_only_the_minimum_counts() -> None:
    assert gate.verdict(model(0.8), champion=None, minimum_accuracy=0.8)["accepted"]
    assert not gate.verdict(model(0.79), champion=None, minimum_accuracy=0.8)["accepted"]


def test_the_same_loss_is_chance_on_few_objects_and_proof_on_many() -> None:
    few, many = (
        gate.verdict(model(0.88, objects), champion=model(0.90, objects), minimum_accuracy=0.5)
        for objects in (100, 10_000)
    )
    assert few["accepted"]
    assert not many["accepted"]


def test_agrees_with_a_textbook_two_proportion_test() -> None:
    # 80 of 100 against 90 of 100: p = 0.85, z = 0.1 / sqrt(0.85 * 0.15 * 0.02) = 1.980, one-sided 0.9762
    assert round(gate.confidence_worse(model(0.8), model(0.9)), 4) == 0.9762


@given(champion=SHARES, better=SHARES, n0=OBJECTS, n1=OBJECTS)
def test_a_model_at_least_as_good_is_never_refused(champion: float, better: float, n0: int, n1: int) -> None:
    low, high = sorted((champion, better))
    assert gate.verdict(model(high, n1), champion=model(low, n0), minimum_accuracy=0.0)["accepted"]


@given(accuracy=SHARES, minimum=SHARES, objects=OBJECTS)
def test_there_is_a_reason_for_every_check(accuracy: float, minimum: float, objects: int) -> None:
    verdict = gate.verdict(model(accuracy, objects), champion=model(0.5), minimum_accuracy=minimum)
    assert len(verdict["reasons"]) == 2
