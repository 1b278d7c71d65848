"""The drawings of evaluation.html, as markup: nothing is loaded, nothing runs."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.evaluation.markup import Markup, element

THUMBNAIL_PIXELS: Final = 160
_SIDE: Final = 220
"""Of the reliability diagram, in its own units."""


def interval_bar(value: float, low: float, high: float, *, end: float, kind: str) -> Markup:
    """A bar from 0 to a share with its interval as a whisker, where the whole width stands for `end`."""
    scale = 100 / end if end else 0.0
    return element(
        "svg",
        element("rect", x=0, y=2, width=_at(value * scale), height=6, class_=f"bar {kind}"),
        element("path", d=f"M{_at(low * scale)} 5H{_at(high * scale)}", class_="whisker"),
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        class_="interval",
        aria_hidden="true",
    )


def reliability(bins: Mapping[str, Sequence[Mapping[str, Any]]]) -> Markup:
    """How often answers were right against how sure the model was of them; on the diagonal is what is calibrated."""

    def line(name: str) -> Markup:
        dots = [(one["confidence"] * _SIDE, (1 - one["accuracy"]) * _SIDE, one["objects"]) for one in bins[name]]
        total = sum(objects for _, _, objects in dots) or 1
        path = "M" + "L".join(f"{_at(x)} {_at(y)}" for x, y, _ in dots) if dots else "M0 0"
        circles = [
            element("circle", cx=_at(x), cy=_at(y), r=_at(2.5 + 9 * (objects / total) ** 0.5)) for x, y, objects in dots
        ]
        return element("g", element("path", d=path), circles, class_=name)

    return element(
        "svg",
        element("path", d=f"M0 0V{_SIDE}H{_SIDE}", class_="axis"),
        element("path", d=f"M0 {_SIDE}L{_SIDE} 0", class_="ideal"),
        line("before"),
        line("after"),
        element("text", "probability of the answer", x=_SIDE / 2, y=_SIDE + 24, class_="middle"),
        element("text", "share that was right", transform=f"rotate(-90) translate({-_SIDE // 2} -14)", class_="middle"),
        [element("text", name, x=x, y=_SIDE + 11, class_="middle") for name, x in (("0", 0), ("1", _SIDE))],
        viewBox=f"-30 -14 {_SIDE + 46} {_SIDE + 44}",
        class_="reliability",
        role="img",
        aria_label="How often answers were right against how sure the model was of them",
    )


def thumbnail(picture: NDArray[np.uint8]) -> str:
    """A small JPEG of HWC bytes as a data URI."""
    image, buffer = Image.fromarray(picture), BytesIO()
    image.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    image.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + b64encode(buffer.getvalue()).decode()


def _at(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
