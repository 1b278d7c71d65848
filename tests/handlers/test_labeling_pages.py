"""The pages that people see: whatever classes and objects are called, a page shows it and runs none of it."""

import json
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefloop import contracts
from reefloop.labeling.ground_truth import KINDS
from tests.handlers.liquid import Page, render

HOSTILE = [
    'crab" onload="alert(1)',
    "squid' onload='alert(1)",
    "</crowd-form><script>alert(1)</script>",
    "a\nb\tc",
    "../../etc/passwd",
    "{{ task.input.secret }}{% for %}",
    "Haarstern ✶ 海百合 \u202e\u2028",
    "&quot;&amp;",
]


def template(kind: str) -> str:
    return resources.files("reefloop.labeling").joinpath("pages", f"{kind}.liquid.html").read_text()


def task_input(labels: list[str], *, key: str = "images/a.jpg", boxes: int = 2) -> dict[str, Any]:
    """What the function before the people gives the page."""
    annotations = [{"class_id": i % len(labels), "left": i, "top": 2, "width": 3, "height": 4} for i in range(boxes)]
    return {
        "taskObject": f"s3://bucket/{key}",
        "labels": labels,
        "secret": "must not be shown",
        "manifestLine": {
            contracts.LABEL_ATTRIBUTE: {"annotations": annotations},
            f"{contracts.LABEL_ATTRIBUTE}-metadata": {
                "class-map": {str(number): label for number, label in enumerate(labels)}
            },
        },
    }


def element(kind: str) -> tuple[str, str]:
    """The element of a kind's page, and its attribute that lists what people choose from."""
    draws = KINDS[kind].function in ("BoundingBox", "AdjustmentBoundingBox")
    return ("crowd-bounding-box", "labels") if draws else ("crowd-image-classifier", "categories")


def test_every_kind_of_task_has_a_page_and_no_page_is_left_over() -> None:
    pages = {path.name.removesuffix(".liquid.html") for path in resources.files("reefloop.labeling.pages").iterdir()}
    assert pages == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_class_names_and_keys_survive_the_page(kind: str) -> None:
    hostile_key = f"images/{HOSTILE[0]}/{HOSTILE[2]}.jpg"
    page = Page(render(template(kind), task_input(HOSTILE, key=hostile_key)))
    tag, choices = element(kind)
    attributes = page.attributes(tag)
    assert json.loads(attributes[choices] or "") == HOSTILE
    assert (attributes["src"] or "").endswith(hostile_key)


@pytest.mark.parametrize("kind", KINDS)
@given(labels=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, unique=True))
def test_no_name_adds_an_element_or_an_attribute(kind: str, labels: list[str]) -> None:
    plain = Page(render(template(kind), task_input(["crab"] * len(labels))))
    page = Page(render(template(kind), task_input(labels)))
    assert page.tags == plain.tags
    for (_, attributes), (_, expected) in zip(page.elements, plain.elements, strict=True):
        assert attributes.keys() == expected.keys()


def test_a_review_shows_the_boxes_that_the_line_has() -> None:
    line = task_input(HOSTILE, boxes=3)
    expected = [{"label": HOSTILE[number], "left": number, "top": 2, "width": 3, "height": 4} for number in range(3)]
    adjusted = Page(render(template("box-adjustment"), line)).attributes("crowd-bounding-box")
    assert json.loads(adjusted["initial-value"] or "") == expected
    overlay = Page(render(template("box-verification"), line)).attributes("crowd-image-classifier")["overlay"]
    assert json.loads(overlay or "") == {"boundingBox": {"labels": HOSTILE, "value": expected}}


@pytest.mark.parametrize("kind", ["box-adjustment", "box-verification"])
def test_a_review_of_no_boxes_is_a_page_too(kind: str) -> None:
    page = Page(render(template(kind), task_input(["crab"], boxes=0)))
    tag, _ = element(kind)
    shown = page.attributes(tag)["initial-value" if kind == "box-adjustment" else "overlay"]
    assert json.loads(shown or "") in ([], {"boundingBox": {"labels": ["crab"], "value": []}})


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_submits_under_the_name_that_answers_are_read_by(kind: str) -> None:
    tag, _ = element(kind)
    name = "boundingBox" if tag == "crowd-bounding-box" else "crowd-image-classifier"
    page = Page(render(template(kind), task_input(["crab"])))
    assert page.attributes(tag)["name"] == name
    assert page.tags.count("crowd-form") == 1
    assert {"full-instructions", "short-instructions"} <= set(page.tags)
