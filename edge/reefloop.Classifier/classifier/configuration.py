"""The component's configuration: one table, read over IPC or from a file, checked before it is believed.

Values may arrive as text, as they do from a recipe or deployment that was written so:
https://docs.aws.amazon.com/greengrass/v2/developerguide/update-component-configurations.html
"""

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from classifier.masking import masked


@dataclass(frozen=True)
class Configuration:
    """What an operator may change while the component runs. Each field's bounds stand in `_CHECKS`."""

    bucket: str = ""
    """The data bucket. "" sends no frames, only messages."""
    source: str = "folder:frames"
    """folder:<path>, video:<file>, still:<device or URL> or stream:<device or URL>; after the colon, @<file> names a
    file that holds the rest: an address with a password in it belongs there."""
    frames_per_second: float = 2.0
    """How many frames of a live source are classified."""
    still_seconds: float = 10.0
    """Between two pictures of a still camera."""
    watch_list: tuple[str, ...] = ()
    """Species that raise an alert."""
    alert_frames: int = 2
    """Sightings within a visit that raise it; where frames are far apart, one is enough of which the model is sure."""
    visit_gap_seconds: float = 3.0
    """The same species seen again after no more than this is the same animal."""
    margin_below: float = 0.2
    """Uncertain: the two best labels are closer than this,"""
    entropy_above: float = 0.6
    """or the answer's entropy is above this share of the largest that there can be."""
    review_frames_per_hour: int = 12
    audit_frames_per_hour: int = 1
    """Drawn at random, whatever the model says of them."""
    summary_seconds: float = 300.0
    health_seconds: float = 900.0
    bytes_per_hour: int = 1_000_000
    bytes_per_day: int = 10_000_000
    spool_mib: int = 256
    latency_budget_ms: float = 1000.0
    """A model whose median on the golden images is slower is refused."""
    inference_threads: int = 1
    memory_mib: int = 1024
    """The component starts anew when it holds more for half a minute."""
    poll_seconds: float = 5.0
    """How often the folder and the model link are looked at."""
    results_mib: int = 0
    """Of a log with every frame's answer, kept on the device; 0 keeps none."""
    keep_frames: int = 1_000
    """Classified files of a folder that stay on disk."""


class Invalid(Exception):
    """A configuration that is not taken; the message names the value and what is allowed."""


_DEFAULT: Final = Configuration()
_KINDS: Final = ("folder:", "video:", "still:", "stream:")


def _number(minimum: float, maximum: float, *, whole: bool = False) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        kind = int if whole else float
        try:
            number = kind(value) if not isinstance(value, bool) else None
        except (TypeError, ValueError, OverflowError):
            number = None
        if number is None or not minimum <= number <= maximum or (whole and float(value) != number):
            raise ValueError(f"a {'whole number' if whole else 'number'} from {minimum:g} to {maximum:g}")
        return number

    return check


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text")  # noqa: TRY004  every check raises the same
    return value


def _source(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith(_KINDS) or value in _KINDS:
        raise ValueError("one of folder:<path>, video:<file>, still:<device or URL>, stream:<device or URL>")
    return value


def _labels(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.startswith("[") else [part.strip() for part in value.split(",")]
        except RecursionError:
            raise ValueError("a list of labels") from None
    if not isinstance(value, list | tuple) or not all(isinstance(label, str) for label in value):
        raise ValueError("a list of labels")
    return tuple(label for label in value if label)


_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "bucket": _text,
    "source": _source,
    "frames_per_second": _number(0.01, 240),
    "still_seconds": _number(0.1, 86_400),
    "watch_list": _labels,
    "alert_frames": _number(1, 100, whole=True),
    "visit_gap_seconds": _number(0.1, 3600),
    "margin_below": _number(0, 1),
    "entropy_above": _number(0, 1),
    "review_frames_per_hour": _number(0, 36_000, whole=True),
    "audit_frames_per_hour": _number(0, 3600, whole=True),
    "summary_seconds": _number(0.1, 86_400),
    "health_seconds": _number(0.1, 86_400),
    "bytes_per_hour": _number(10_000, 1e12, whole=True),
    "bytes_per_day": _number(10_000, 1e13, whole=True),
    "spool_mib": _number(1, 1_000_000, whole=True),
    "latency_budget_ms": _number(0.1, 600_000),
    "inference_threads": _number(1, 256, whole=True),
    "memory_mib": _number(128, 1_000_000, whole=True),
    "poll_seconds": _number(0.01, 3600),
    "results_mib": _number(0, 100_000, whole=True),
    "keep_frames": _number(0, 1e9, whole=True),
}
# What the nucleus keeps beside the component's own values.
_NOT_OURS: Final = frozenset({"accessControl"})


def parse(document: Mapping[str, Any], *, base: Configuration = _DEFAULT) -> Configuration:
    """The configuration that a document asks for; what it leaves out is as in `base`.

    Raises:
        Invalid: naming every value that is not allowed; nothing of such a document applies.
    """
    values = {each.name: getattr(base, each.name) for each in fields(Configuration)}
    wrong = []
    for name, value in document.items():
        if name in _NOT_OURS:
            continue
        if name not in _CHECKS:
            close = difflib.get_close_matches(name, _CHECKS, n=1)
            wrong.append(f"there is no setting {name!r}" + (f": did you mean {close[0]}?" if close else ""))
            continue
        try:
            values[name] = _CHECKS[name](value)
        except ValueError as error:
            wrong.append(masked(f"{name} is {value!r}") + f"; it must be {error}")
    if wrong:
        raise Invalid("; ".join(wrong))
    return Configuration(**values)


def read(path: Path) -> dict[str, Any]:
    """The document in a file, for `parse`.

    Raises:
        Invalid: there is none, or no JSON object in it.
    """
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise Invalid(f"{path} cannot be read: {error}") from None
    if not isinstance(document, dict):
        raise Invalid(f"{path} holds no JSON object of settings")
    return document
