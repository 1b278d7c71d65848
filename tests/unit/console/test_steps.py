"""Steps: how long each took, which one failed, and what happens when all of them take too long."""

import time
from io import StringIO

import pytest
from rich.console import Console

from console.demo.steps import OutOfTime, StepFailed, Steps, off_the_clock, time_limit
from console.errors import Refusal
from console.screen import Row, Screen


@pytest.fixture
def steps() -> Steps:
    return Steps(Screen(Console(file=StringIO(), width=120)), time.monotonic())


def said(steps: Steps) -> str:
    return steps.screen.terminal.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_each_step_is_measured_and_announced(steps: Steps) -> None:
    with steps.step("deploy"):
        time.sleep(0.11)
    assert steps.seconds.keys() == {"deploy"}
    assert steps.seconds["deploy"] >= 0.1
    assert "deploy" in said(steps)


def test_a_failed_step_is_named_with_its_reason_and_measured(steps: Steps) -> None:
    with pytest.raises(StepFailed, match="step 'deploy' failed: no such bucket"), steps.step("deploy"):
        raise ValueError("no such bucket")
    assert "deploy" in steps.seconds


def test_a_failure_within_a_step_within_a_step_is_told_once(steps: Steps) -> None:
    with pytest.raises(StepFailed, match=r"^step 'inner' failed: reason$"), steps.step("outer"), steps.step("inner"):
        raise ValueError("reason")


def test_a_refusal_is_nobodys_failure(steps: Steps) -> None:
    with pytest.raises(Refusal), steps.step("read images"):
        raise Refusal("one class only")


def test_an_interrupt_goes_through_every_step(steps: Steps) -> None:
    with pytest.raises(KeyboardInterrupt), steps.step("deploy"):
        raise KeyboardInterrupt


def test_a_step_that_takes_too_long_is_named(steps: Steps) -> None:
    with (
        pytest.raises(StepFailed, match="step 'round 1' was not done: the demo took longer than 600 s"),
        steps.step("round 1"),
        time_limit(0.05),  # within the step, since a slow machine may not have entered it by then
    ):
        time.sleep(60)


def test_nothing_on_the_way_takes_the_end_of_time_for_an_error_of_its_own() -> None:
    def stubborn() -> None:
        while True:
            try:
                time.sleep(60)
            except Exception:
                continue

    with pytest.raises(OutOfTime), time_limit(0.05):
        stubborn()


def test_within_the_limit_nothing_happens_later() -> None:
    with time_limit(2):
        pass
    time.sleep(2.1)


def test_without_a_terminal_each_line_is_printed_once_per_step(steps: Steps) -> None:
    row = Row("labeling", "RUNNING", "Score")
    for _ in range(3):
        steps.screen.show([row])
    assert said(steps).count("Score") == 1
    steps.screen.clear()
    steps.screen.show([row])
    assert said(steps).count("Score") == 2


def test_what_looks_like_markup_is_printed_as_it_is(steps: Steps) -> None:
    steps.screen.say("class [red]fish[/red] skipped")
    assert "[red]fish[/red]" in said(steps)


def test_a_person_takes_the_time_they_need() -> None:
    def label_and_wait() -> None:
        with off_the_clock():
            time.sleep(2.1)
        labeled.append(True)
        time.sleep(60)

    labeled: list[bool] = []
    with pytest.raises(OutOfTime), time_limit(2):
        label_and_wait()
    assert labeled
