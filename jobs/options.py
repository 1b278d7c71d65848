"""Options of a processing job: they arrive as container arguments."""

import argparse
from datetime import datetime
from typing import NoReturn

from jobs.errors import JobError


class Options(argparse.ArgumentParser):
    """A parser that refuses as jobs do, with one sentence."""

    def __init__(self) -> None:
        super().__init__(add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise JobError(f"wrong options: {message}")


def share(text: str) -> float:
    """A share strictly between 0 and 1."""
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} must be above 0 and below 1")
    return value


def share_or_none(text: str) -> float:
    """A share from 0 up to but without 1."""
    return 0.0 if float(text) == 0 else share(text)


def natural(text: str) -> int:
    """A whole number from 0 up."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)


def moment(text: str) -> datetime:
    """A time of ISO 8601 with its offset from UTC."""
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no offset from UTC, such as 2026-01-31T12:00:00+00:00 has")
    return value
