"""The labeling station as a person uses it, in a real browser."""

import time
from collections.abc import Mapping
from typing import Any, Final

from offline.account import Account
from tests.offline.bench import PATIENCE_SECONDS, until
from tests.station.batches import Publish, Serve, Serving, image_bytes
from tests.station.browser import Browser

LOOKED_SECONDS: Final = 0.13
SHOWN: Final = "!document.getElementById('frame').hidden && !document.getElementById('work').hidden"


class Page:
    """The page in front of a person."""

    def __init__(self, browser: Browser, serving: Serving, **how: Any) -> None:
        self.browser = browser
        assert browser.do("open", url=serving.url, **how) == 200

    def look(self) -> None:
        """Wait for the next object, and let as much time pass on the page's clock as an answer takes."""
        self.browser.until(SHOWN)
        self.browser.evaluate(f"Date.now = ((now) => () => now() + {LOOKED_SECONDS * 1000})(Date.now)")

    def answer(self, *keys: str) -> None:
        """Press the key of a class for one object after the other."""
        for key in keys:
            self.look()
            self.browser.press(key)

    def rests(self, title: str) -> list[str]:
        """Wait until nothing is to be labeled; returns what the page says about it."""
        self.browser.until(f"document.getElementById('rest-title').innerText === {title!r}")
        return self.browser.text("#rest-lines").splitlines()

    def reads(self, selector: str, text: str) -> None:
        """Wait until a text appears."""
        self.browser.until(f"document.querySelector({selector!r})?.innerText.includes({text!r})")

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the image is on the screen."""
        area = self.browser.evaluate(
            "(({left, top, width, height}) => [left, top, width, height])"
            "(document.getElementById('boxes').getBoundingClientRect())"
        )
        width, height = self.browser.evaluate(
            "(({naturalWidth, naturalHeight}) => [naturalWidth, naturalHeight])(document.querySelector('#picture img'))"
        )
        return area[0] + x * area[2] / width, area[1] + y * area[3] / height

    def drag(self, start: tuple[float, float], end: tuple[float, float], *, shift: bool = False) -> None:
        self.browser.drag([self.at(*start), self.at(*end)], shift=shift)


def box(label: str, left: int, top: int, width: int, height: int) -> Mapping[str, object]:
    return {"label": label, "left": left, "top": top, "width": width, "height": height}


# ---- Classes ---------------------------------------------------------------------------------------------------------


def test_number_keys_choose_classes_and_the_bucket_gets_worker_responses(
    browser: Browser, publish: Publish, serve: Serve
) -> None:
    batch = publish(3, votes=2)
    page = Page(browser, serve(batch))
    browser.until(SHOWN)
    time.sleep(LOOKED_SECONDS)
    page.answer("1", "2", "3")
    assert page.rests("Nothing is left for you")[:2] == ["You gave 3 answers.", "Others still have 3 answers to give."]
    assert sorted(label for [label] in batch.labels().values()) == ["crab", "squid", "turtle"]
    answers = sorted(batch.answers(), key=lambda answer: str(answer["submissionTime"]))
    assert {answer["workerId"] for answer in answers} == {"ana"}
    assert {answer["workerMetadata"]["identityData"]["sub"] for answer in answers} == {"AIDAana"}
    assert all(answer["acceptanceTime"] < answer["submissionTime"] for answer in answers)
    assert LOOKED_SECONDS <= answers[0]["timeSpentInSeconds"] < LOOKED_SECONDS * 1000


def test_a_click_chooses_a_class_and_so_does_its_name(browser: Browser, publish: Publish, serve: Serve) -> None:
    batch = publish(3, votes=2, categories=[f"species {number}" for number in range(1, 13)])
    page = Page(browser, serve(batch))
    page.look()
    browser.click("#choices button:nth-child(2)")
    page.answer("q")
    page.look()
    browser.press("/")
    browser.do("type", text="S 12")
    browser.press("Enter")
    page.rests("Nothing is left for you")
    assert sorted(label for [label] in batch.labels().values()) == ["species 11", "species 12", "species 2"]


def test_a_key_that_follows_too_fast_answers_nothing(browser: Browser, publish: Publish, serve: Serve) -> None:
    batch = publish(2, votes=2)
    page = Page(browser, serve(batch))
    page.look()
    browser.evaluate("Date.now = ((at) => () => at)(Date.now())")  # no machine is too slow for the second key
    browser.press("1")
    browser.until(SHOWN)
    browser.press("1")
    page.reads("#mine", "ana gave 1")
    page.look()
    assert len(batch.answers()) == 1


def test_an_answer_can_be_taken_back(browser: Browser, publish: Publish, serve: Serve) -> None:
    batch = publish(3, votes=2)
    page = Page(browser, serve(batch))
    page.answer("1", "2")
    page.reads("#mine", "gave 2")
    page.look()
    browser.press("Backspace")
    page.reads("#notice", "This is what you answered.")
    assert browser.text("#choices .chosen").split() == ["2", "squid"]
    browser.click("#back")
    page.reads("#choices .chosen", "crab")
    page.answer("3", "Enter", "1")
    page.rests("Nothing is left for you")
    assert sorted(label for [label] in batch.labels().values()) == ["crab", "squid", "turtle"]


def test_work_goes_on_where_it_stopped(browser: Browser, publish: Publish, serve: Serve) -> None:
    batch = publish(4, votes=2)
    serving = serve(batch)
    page = Page(browser, serving)
    page.answer("1", "1")
    page.reads("#mine", "gave 2")
    browser.do("reload")
    page.answer("2")
    page.reads("#mine", "gave 3")
    page = Page(browser, serve(batch))
    page.reads("#mine", "gave 3")
    page.answer("3")
    page.rests("Nothing is left for you")
    assert sorted(label for [label] in batch.labels().values()) == ["crab", "crab", "squid", "turtle"]


# ---- Saving ----------------------------------------------------------------------------------------------------------


def test_a_save_that_fails_is_shown_and_tried_again(
    browser: Browser, account: Account, publish: Publish, serve: Serve
) -> None:
    batch = publish(3, votes=2)
    page = Page(browser, serve(batch))
    page.look()
    # What the page would do in a second or more waits for the test.
    browser.evaluate(
        "window.setTimeout = ((soon) => (what, after) => after < 1000 ? soon(what, after) : (window.later = what, 0))"
        "(window.setTimeout)"
    )
    account.faults.refuse("s3:PutObject", "ExpiredToken", "The provided token has expired.", times=3)
    browser.press("1")
    page.reads("#alert", "1 answer is not saved yet: ExpiredToken: The provided token has expired.")
    assert batch.answers() == []
    browser.click("#retry")
    page.reads("#alert", "Trying again in 2 s.")
    page.look()
    browser.press("2")
    page.reads("#alert", "2 answers are not saved yet")
    page.reads("#alert", "Trying again in 4 s.")
    browser.evaluate("later()")
    browser.until("document.getElementById('alert').hidden")
    page.answer("3")
    page.rests("Nothing is left for you")
    assert sorted(label for [label] in batch.labels().values()) == ["crab", "squid", "turtle"]


def test_an_answer_that_is_not_saved_survives_a_reload(
    browser: Browser, account: Account, publish: Publish, serve: Serve
) -> None:
    batch = publish(2, votes=2)
    page = Page(browser, serve(batch))
    page.look()
    account.faults.refuse("s3:PutObject", "SlowDown", "Reduce your request rate.", times=1000)
    browser.press("1")
    page.reads("#alert", "1 answer is not saved yet")
    browser.do("reload")
    assert browser.do("told")["dialogs"] == ["beforeunload"]
    account.faults.clear()
    page.answer("2")
    page.rests("Nothing is left for you")
    assert sorted(label for [label] in batch.labels().values()) == ["crab", "squid"]


def test_an_answer_that_is_not_saved_can_be_taken_back_and_kept(
    browser: Browser, account: Account, publish: Publish, serve: Serve
) -> None:
    batch = publish(1, votes=2)
    page = Page(browser, serve(batch))
    page.look()
    account.faults.refuse("s3:PutObject", "SlowDown", "Reduce your request rate.", times=1000)
    browser.press("2")
    page.reads("#alert", "1 answer is not saved yet")
    browser.press("Backspace")
    page.reads("#choices .chosen", "squid")
    account.faults.clear()
    browser.press("Enter")
    page.rests("Nothing is left for you")
    assert batch.labels() == {0: ["squid"]}


# ---- The end ---------------------------------------------------------------------------------------------------------


def test_the_last_answer_lets_the_round_go_on(browser: Browser, publish: Publish, serve: Serve) -> None:
    batch = publish(2)
    serving = serve(batch)
    page = Page(browser, serving)
    page.answer("1", "2")
    assert "every object has its answers, and the round goes on" in " ".join(page.rests("This work is done"))
    execution = batch.outcome()
    assert execution["status"] == "SUCCEEDED"
    assert batch.output() == {
        "LabelingJobName": batch.job,
        "LabelCounters": {
            "TotalLabeled": 2,
            "HumanLabeled": 2,
            "MachineLabeled": 0,
            "FailedNonRetryableError": 0,
            "Unlabeled": 0,
        },
        "OutputDatasetS3Uri": batch.uri("manifests/output/output.manifest"),
    }
    assert serving.station.ended.wait(PATIENCE_SECONDS)
    until(lambda: serving.told, lambda told: any("the round goes on" in line for line in told))


def test_two_people_never_wait_for_each_other(browser: Browser, publish: Publish, serve: Serve) -> None:
    batch = publish(3, votes=2)
    ben = serve(batch, "ben").station
    page = Page(browser, serve(batch, "ana"))
    page.answer("1")
    while ref := ben.next([]):
        ben.save(ref, {"answer": "squid", "accepted": 0, "submitted": 1000, "seconds": 1})
    page.answer("1", "1")
    page.rests("This work is done")
    assert [sorted(labels) for labels in batch.labels().values()] == [["crab", "squid"]] * 3
    ben.refresh()
    assert batch.outcome()["status"] == "SUCCEEDED"


def test_a_batch_whose_time_is_over_can_be_published_again(browser: Browser, publish: Publish, serve: Serve) -> None:
    batch = publish(2)
    serving = serve(batch, waits=True)
    page = Page(browser, serving)
    page.answer("1")
    page.reads("#mine", "gave 1")
    batch.hours = -1
    batch.publish()
    serving.station.refresh()
    browser.do("reload")
    said = " ".join(page.rests("This work has ended"))
    assert "got 1 of 2 answers. They are kept: start the round again to go on" in said
    batch.hours = 1
    batch.publish()
    serving.station.refresh()
    page.answer("2")
    page.rests("This work is done")
    assert sorted(label for [label] in batch.labels().values()) == ["crab", "squid"]
    assert batch.outcome()["status"] == "SUCCEEDED"


def test_objects_without_an_image_are_left_out_and_said(browser: Browser, publish: Publish, serve: Serve) -> None:
    batch = publish(4)
    batch.s3.delete_object(Bucket=batch.bucket, Key=batch.keys[1])
    batch.put(batch.keys[2], b"GIF89a")
    batch.put(batch.keys[3], image_bytes(1)[:45])
    serving = serve(batch)
    page = Page(browser, serving)
    page.answer("1")
    assert "3 images cannot be read and are left out." in page.rests("This work is done")
    assert list(batch.labels()) == [0]
    assert batch.outcome()["status"] == "SUCCEEDED"
    assert batch.output()["LabelCounters"]["FailedNonRetryableError"] == 3
    assert sum("left out: " in line for line in serving.told) >= 3


# ---- Names from outside ----------------------------------------------------------------------------------------------

HOSTILE: Final = [
    "<img src=x onerror=alert(1)>",
    "\"><script>document.title='owned'</script>",
    "../../gold/gold.manifest",
    "line\nbreak\u2028and\ttab",
    "Größe 大きい 🐙 \u202eesrever",
    "${1+1} {{ 7*7 }} &amp; %3Cb%3E",
    "'; DROP TABLE labels; --",
]


def test_names_are_text_whatever_they_hold(browser: Browser, publish: Publish, serve: Serve) -> None:
    # No newline: moto's routes end at one.
    keys = [f"images/upload/{name} {number}.png".replace("\n", "") for number, name in enumerate(HOSTILE)]
    batch = publish(keys, votes=2, categories=HOSTILE)
    page = Page(browser, serve(batch))
    page.look()
    names = browser.evaluate("[...document.querySelectorAll('#choices span')].map((one) => one.textContent)")
    assert names == HOSTILE
    assert browser.evaluate("document.querySelectorAll('#choices img, #choices script').length") == 0
    page.answer(*[str(number + 1) for number in range(len(HOSTILE))])
    page.rests("Nothing is left for you")
    assert sorted(label for [label] in batch.labels().values()) == sorted(HOSTILE)
    assert "owned" not in browser.evaluate("document.title")
    # Keys of images never come to the page: they could tell gold from the rest.
    shown = browser.evaluate("document.documentElement.outerHTML")
    assert not [key for key in keys if key in shown]
    assert not [url for url in browser.do("told")["requests"] if "upload" in url]


def test_boxes_carry_hostile_class_names_as_text(browser: Browser, publish: Publish, serve: Serve) -> None:
    batch = publish(1, task="detection", categories=HOSTILE, votes=2)
    page = Page(browser, serve(batch))
    page.look()
    page.drag((10, 10), (30, 30))
    browser.press("2")
    assert browser.evaluate("document.querySelector('.tag').textContent") == HOSTILE[1]
    assert HOSTILE[1] in browser.evaluate("document.querySelector('.box').getAttribute('aria-label')")
    browser.press("Enter")
    page.rests("Nothing is left for you")
    assert batch.boxes() == [box(HOSTILE[1], 10, 10, 20, 20)]


# ---- Boxes -----------------------------------------------------------------------------------------------------------


def test_boxes_are_drawn_moved_resized_and_removed_in_pixels_of_the_image(
    browser: Browser, publish: Publish, serve: Serve
) -> None:
    batch = publish(1, task="detection", votes=2)
    page = Page(browser, serve(batch))
    page.look()
    page.drag((4, 6), (20, 30))
    browser.press("1")
    page.drag((60, 40), (40, 10))
    browser.press("3")
    page.drag((30, 30), (35, 35))
    browser.press("Delete")
    browser.do("click", selector="[data-number='0']")
    page.drag((10, 10), (13, 14))  # moves the first box by 3 and 4
    page.drag((23, 34), (29, 38))  # its lower right corner
    page.drag((55, 35), (64, 48), shift=True)
    browser.press("2")
    page.reads("#done", "3 boxes")
    browser.press("Enter")
    page.rests("Nothing is left for you")
    assert batch.boxes() == [box("crab", 7, 10, 22, 28), box("turtle", 40, 10, 20, 30), box("squid", 55, 35, 9, 13)]
    [answer] = batch.answers(0)
    assert answer["answerContent"]["boundingBox"]["inputImageProperties"] == {"width": 64, "height": 48}


def test_a_box_stays_within_its_image(browser: Browser, publish: Publish, serve: Serve) -> None:
    batch = publish(1, task="detection", votes=2)
    page = Page(browser, serve(batch), width=1024, height=600)
    page.look()
    browser.press("2")  # without a selected box: the class of new ones
    page.drag((50, 40), (200, 200))
    page.drag((60, 45), (-100, 45))
    browser.press("Enter")
    page.rests("Nothing is left for you")
    assert batch.boxes() == [box("squid", 0, 40, 14, 8)]


def test_boxes_can_be_made_with_keys_alone(browser: Browser, publish: Publish, serve: Serve) -> None:
    batch = publish(2, task="detection", votes=2)
    page = Page(browser, serve(batch))
    page.look()
    browser.press("+", "2", "ArrowLeft", "Alt+ArrowUp", "Shift+ArrowRight", "Shift+ArrowDown", "ArrowDown", "Control+z")
    browser.press("Enter")
    page.look()
    browser.press("+", "Enter")
    page.reads("#notice", "Choose a class for each box first.")
    browser.press("Backspace", "n")
    page.rests("Nothing is left for you")
    first, second = sorted((batch.boxes(0), batch.boxes(1)), key=len, reverse=True)
    assert first == [box("squid", 23, 8, 17, 13)]
    assert second == []


def test_boxes_of_an_object_are_there_to_be_corrected(browser: Browser, publish: Publish, serve: Serve) -> None:
    had = {
        "species": {"annotations": [{"class_id": 1, "left": 5, "top": 6, "width": 10, "height": 12}]},
        "species-metadata": {"class-map": {"0": "crab", "1": "squid"}},
    }
    batch = publish(1, task="detection", votes=2, lines={0: had})
    page = Page(browser, serve(batch))
    page.look()
    page.reads(".tag", "squid")
    browser.click(".box")
    browser.press("1", "ArrowRight", "Enter")
    page.rests("Nothing is left for you")
    assert batch.boxes() == [box("crab", 6, 6, 10, 12)]


# ---- Whoever sits before it ------------------------------------------------------------------------------------------


def test_everything_fits_a_small_laptop(browser: Browser, publish: Publish, serve: Serve) -> None:
    batch = publish(1, task="detection", votes=2, categories=[f"species {number}" for number in range(20)])
    page = Page(browser, serve(batch), width=1024, height=600)
    page.look()
    outside = browser.evaluate(
        "[...document.querySelectorAll('header *, #stage, #frame, aside > *, .actions > *')]"
        ".filter((one) => one.getClientRects().length).filter((one) => {"
        " const {left, top, right, bottom} = one.getBoundingClientRect();"
        " return left < 0 || top < 0 || right > innerWidth || bottom > innerHeight; }).map((one) => one.outerHTML)"
    )
    assert outside == []
    assert browser.evaluate("document.documentElement.scrollHeight <= innerHeight")


def test_the_page_can_be_used_by_ear_and_with_keys(browser: Browser, publish: Publish, serve: Serve) -> None:
    batch = publish(1, votes=2)
    page = Page(browser, serve(batch))
    page.look()
    browser.press("?")
    assert "choose the class whose key it is" in browser.text("dialog[open]")
    browser.press("1", "Escape")
    assert batch.answers() == []
    browser.evaluate("document.getElementById('choices').firstChild.focus()")
    browser.press("Tab", "Enter")
    page.rests("Nothing is left for you")
    assert batch.labels() == {0: ["squid"]}
    assert browser.evaluate("document.activeElement.id") == "rest-title"


def test_text_stands_out_from_its_background(browser: Browser, publish: Publish, serve: Serve) -> None:
    """At least 4.5 to 1, WCAG 2.2's level AA: https://www.w3.org/TR/WCAG22/#contrast-minimum"""
    page = Page(browser, serve(publish(1, votes=2)))
    page.look()
    for dark in (False, True):
        browser.do("scheme", dark=dark)
        ratios = browser.evaluate(CONTRASTS)
        assert len(ratios) > 8
        assert {what: ratio for what, ratio in ratios.items() if ratio < 4.5} == {}


CONTRASTS: Final = """(() => {
  document.getElementById("alert").hidden = false;
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
  };
  const texts = "#where, #answered, #mine, #question, #hint, #notice, #alert-text, #retry, #back, #done, #choices span";
  return Object.fromEntries([...document.querySelectorAll(texts)].map((one) => {
    const [light, dark] = [luminance(getComputedStyle(one).color), luminance(behind(one))].sort((a, b) => b - a);
    return [one.id || one.textContent, (light + 0.05) / (dark + 0.05)];
  }));
})()"""
