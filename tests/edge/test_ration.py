"""A log says every trouble, and says it a few times."""

import logging
from collections.abc import Iterator

import pytest
from classifier.clock import ManualClock
from classifier.ration import BURST, PAUSE_SECONDS, Ration


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def log(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> Iterator[logging.Logger]:
    ration = Ration(clock)
    caplog.handler.addFilter(ration)
    caplog.set_level(logging.INFO)
    yield logging.getLogger("classifier.tests")
    caplog.handler.removeFilter(ration)


def test_ten_thousand_broken_files_are_a_few_lines(
    log: logging.Logger, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(10_000):
        log.warning("%d.jpg is set aside: %s", number, "100 % broken")
    assert caplog.messages == [f"{number}.jpg is set aside: 100 % broken" for number in range(BURST)]
    clock.advance(PAUSE_SECONDS)
    log.warning("%d.jpg is set aside: %s", 10_000, "100 % broken")
    assert caplog.messages[BURST:] == [
        f"10000.jpg is set aside: 100 % broken (and {10_000 - BURST} more like it before)"
    ]


def test_another_trouble_is_said_at_once(log: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(100):
        log.warning("no frames")
    log.error("no frames")
    log.warning("no disk")
    assert caplog.messages[BURST:] == ["no frames", "no disk"]


def test_lines_that_come_now_and_then_are_all_written(
    log: logging.Logger, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(50):
        log.info("model %s serves", "m1")
        clock.advance(PAUSE_SECONDS)
    assert caplog.messages == ["model m1 serves"] * 50


def test_messages_without_end_take_no_memory_without_end(log: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(2000):
        log.info(f"formatted {number}")
    (ration,) = (each for each in caplog.handler.filters if isinstance(each, Ration))
    assert len(ration._kinds) <= 1000
