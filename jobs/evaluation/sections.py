"""The sections of evaluation.html, each from its part of evaluation.json."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from jobs.evaluation.advice import percent
from jobs.evaluation.charts import interval_bar, reliability, thumbnail
from jobs.evaluation.markup import Content, Markup, element
from jobs.evaluation.measure import Mistake

MATRIX_CLASSES: Final = 40
"""A larger matrix nobody reads; the most frequent confusions are listed for any number of classes."""
CONFUSIONS: Final = 12
_RATES: Final = {"human": "Human level", "train": "Training", "validation": "Validation", "test": "Test"}
_STEPS: Final = {"Avoidable bias": "avoidable_bias", "Variance": "variance", "Test above validation": "shift"}
_LOOK: Final = (
    "Look at these first. A mistake that a model is sure of is often a wrong label, and wrong labels make every figure "
    "above worse than the model is."
)


def gate(checks: list[dict[str, Any]]) -> Markup:
    def line(check: dict[str, Any]) -> Markup:
        word, kind = ("passed", "good") if check["passed"] else ("refused", "bad")
        return element("li", element("b", word, class_=kind), element("span", check["reason"]))

    return _section("The gate", element("ul", map(line, checks), class_="checks"))


def advice(evaluation: dict[str, Any]) -> Markup:
    """The ladder of errors, and what follows from its steps."""
    rates = {name: evaluation[name] for name in _RATES if evaluation[name]}
    end = max(rate["high"] for rate in rates.values())
    steps = {name: evaluation[key] for name, key in _STEPS.items()}
    first, *others = evaluation["advice"]
    ladder = [
        [
            [element("span", _RATES[name]), element("small", rate.get("who") or "", class_="faint")],
            percent(rate["error"]),
            _span(rate),
            rate["objects"],
            interval_bar(rate["error"], rate["low"], rate["high"], end=end, kind=name),
        ]
        for name, rate in rates.items()
    ]
    gaps = [[name, percent(step["value"]), _span(step)] for name, step in steps.items() if step]
    return _section(
        "What to work on next",
        element("p", first, class_="lead"),
        [element("p", sentence) for sentence in others],
        _table(["", "error", "95 % interval", "objects", ""], ladder, kind="ladder"),
        _table(["", "difference", "95 % interval"], gaps),
    )


def classes(figures: list[dict[str, Any]]) -> Markup:
    ordered = sorted(figures, key=lambda one: (one["recall"] is None, one["recall"] or 0.0, one["label"]))

    def row(one: dict[str, Any]) -> list[Content]:
        name, objects, ends = one["label"], one["objects"], (_share(one["precision"]), _share(one["f1"]))
        if not objects:
            return [name, 0, "", "", "", *ends]
        bar = interval_bar(one["recall"], one["low"], one["high"], end=1, kind="test")
        return [name, objects, _share(one["recall"]), _span(one), bar, *ends]

    heads = ["class", "objects", "recall", "95 % interval", "", "precision", "F1"]
    return _section("Classes, the least often found first", _table(heads, map(row, ordered), kind="classes"))


def confusion(evaluation: dict[str, Any]) -> Markup:
    labels = [one["label"] for one in evaluation["classes"]]
    rows: list[list[int]] = evaluation["confusion"]
    pairs = sorted(
        (-count, labels[truth], labels[answer])
        for truth, row in enumerate(rows)
        for answer, count in enumerate(row)
        if count and truth != answer
    )
    listed = [element("li", f"{truth} taken for {answer}: {-count}") for count, truth, answer in pairs[:CONFUSIONS]]
    return _section(
        "What is taken for what",
        element("ul", listed, class_="pairs") if listed else element("p", "Nothing was taken for anything else."),
        _matrix(labels, rows) if len(labels) <= MATRIX_CLASSES else None,
    )


def _matrix(labels: list[str], rows: list[list[int]]) -> Markup:
    def cell(hit: bool, count: int, objects: int) -> Markup:
        share = count / objects if objects else 0.0
        kind = ("hit" if hit else "miss") + (" strong" if share > 0.5 else "")
        return element("td", count or "", class_=kind, style=f"--share:{share:.3f}")

    heads = [element("th", element("span", label), scope="col") for label in labels]
    body = [
        element("tr", _head(label), [cell(truth == answer, count, sum(row)) for answer, count in enumerate(row)])
        for truth, (label, row) in enumerate(zip(labels, rows, strict=True))
    ]
    caption = element("caption", "rows: what it is, columns: what the model said")
    table = element("table", caption, element("tr", element("td"), heads), body, class_="matrix")
    return element("div", table, class_="wide")


def calibration(figures: dict[str, Any], objects: int) -> Markup:
    return _section(
        "How far the probabilities can be believed",
        element(
            "p",
            f"Expected calibration error on the {objects} test objects: {percent(figures['before'])} without the "
            f"temperature, {percent(figures['after'])} with {figures['temperature']:.3f}.",
        ),
        reliability(figures["bins"]),
        element("p", element("i", class_="key before"), "without the temperature", class_="legend"),
        element("p", element("i", class_="key after"), "with it; a larger dot is more objects", class_="legend"),
    )


def mistakes(worst: list[Mistake]) -> Markup:
    def figure(one: Mistake) -> Markup:
        caption = element(
            "figcaption",
            element("b", one.predicted),
            f" {100 * one.confidence:.1f} %",
            element("br"),
            f"labeled {one.label} {100 * one.probability:.1f} %",
            element("small", one.source_ref, class_="faint"),
        )
        picture = element("img", src=thumbnail(one.picture), alt=f"{one.label}, taken for {one.predicted}")
        return element("figure", picture, caption)

    return _section(
        "The mistakes it was surest of",
        element("p", _LOOK if worst else "There are none: every test object was named right."),
        element("div", map(figure, worst), class_="worst"),
    )


def unreadable(found: dict[str, Any]) -> Markup | None:
    if not found["objects"]:
        return None
    listed = [element("li", f"{one['source_ref']}: {one['reason']}") for one in found["first"]]
    return _section(f"{found['objects']} images that cannot be read", element("ul", listed))


def _section(title: str, *content: Content) -> Markup:
    return element("section", element("h2", title), *content)


def _table(heads: list[str], rows: Iterable[Sequence[Content]], *, kind: str | None = None) -> Markup:
    """The first of a row is its head."""

    def line(row: Sequence[Content]) -> Markup:
        name, *values = row
        return element("tr", _head(name), [element("td", value) for value in values])

    head = element("thead", element("tr", [element("th", text, scope="col") for text in heads]))
    return element("div", element("table", head, element("tbody", map(line, rows)), class_=kind), class_="wide")


def _head(content: Content) -> Markup:
    return element("th", content, scope="row")


def _span(figures: dict[str, Any]) -> str:
    return f"{100 * figures['low']:.2f} … {100 * figures['high']:.2f} %"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
