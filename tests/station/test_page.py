"""The labeling station as a person uses it, in a real browser."""

from collections.abc import Callable

from tests.station.batches import Published, Serving
from tests.station.browser import Browser

Publish = Callable[..., Published]
Serve = Callable[..., Serving]

READY = "!document.getElementById('frame').hidden && !document.getElementById('work').hidden"
SEEN = 0.2


def open_page(browser: Browser, serving: Serving) -> None:
    assert browser.do("open", url=serving.url) == 200
    browser.until(READY)


def answer(browser: Browser, *keys: str) -> None:
    """Press the key of a class for one object after the other, each once it can be seen."""
    for key in keys:
        browser.until(f"{READY} && document.getElementById('answered')")
        browser.evaluate(f"new Promise((next) => setTimeout(next, {SEEN * 1000}))")
        browser.press(key)


def test_number_keys_choose_the_class_and_the_answers_are_worker_responses(
    browser: Browser, publish: Publish, serve: Serve
) -> None:
    batch = publish(3, votes=2)
    open_page(browser, serve(batch))
    answer(browser, "1", "2", "3")
    browser.until("document.getElementById('rest-title').textContent === 'Nothing is left for you'")
    assert sorted(label for [label] in batch.labels().values()) == ["crab", "squid", "turtle"]
    [first] = batch.answers(0)
    assert first["workerId"] == "ana"
    assert first["workerMetadata"]["identityData"]["identityProviderType"] == "AWS"
    assert first["timeSpentInSeconds"] >= SEEN
    assert first["acceptanceTime"] < first["submissionTime"]
