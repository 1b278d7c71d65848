"""evaluation.html: the evaluation as one page that needs nothing else and runs nothing.

Class names and keys are other people's data: markup.py escapes them, and a content security policy forbids scripts.
"""

from pathlib import Path
from typing import Any, Final

from jobs.evaluation import sections
from jobs.evaluation.advice import percent
from jobs.evaluation.markup import Markup, element
from jobs.evaluation.measure import Mistake
from jobs.paths import atomic

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def write(path: Path, evaluation: dict[str, Any], worst: list[Mistake]) -> None:
    """Write the page of an evaluation; `worst` are its worst mistakes with their pictures."""
    title = f"Model {evaluation['model_version']}"
    html = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("title", title),
            element("style", Markup(Path(__file__).with_name("page.css").read_text(encoding="utf-8"))),
        ),
        element(
            "body",
            _header(title, evaluation),
            element(
                "main",
                sections.gate(evaluation["gate"]),
                sections.advice(evaluation),
                sections.classes(evaluation["classes"]),
                sections.confusion(evaluation),
                sections.calibration(evaluation["calibration"], evaluation["test"]["objects"]),
                sections.mistakes(worst),
                sections.unreadable(evaluation["unreadable"]),
            ),
        ),
        lang="en",
    )
    with atomic(path) as temporary:
        temporary.write_text(f"<!DOCTYPE html>\n{html}\n", encoding="utf-8")


def _header(title: str, evaluation: dict[str, Any]) -> Markup:
    word = "accepted" if evaluation["accepted"] else "rejected"
    test = evaluation["test"]
    return element(
        "header",
        element(
            "div",
            element("h1", title),
            element("p", f"trained on dataset {evaluation['dataset_version']}, tested on {test['objects']} objects"),
        ),
        element("p", element("strong", percent(1 - test["error"])), " test accuracy", class_="figure"),
        element("p", word, class_=f"verdict {word}"),
    )
