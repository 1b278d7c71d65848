"""What the component is told when it starts. Values arrive as text, as the recipe's configuration writes them."""

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """`model` is a link to the unpacked model package; another component points it at the version to serve."""

    thing: str
    bucket: str
    work: Path
    frames: Path
    model: Path
    summary_seconds: float
    review_frames_per_hour: int
    poll_seconds: float
    threads: int
    keep_frames: int
    once: bool


def _number(kind: Callable[[str], float], minimum: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        if not minimum <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} must be at least {minimum:g}")
        return value

    return parse


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Options from the command line and AWS_IOT_THING_NAME; anything wrong ends the process with a usage message."""
    parser = argparse.ArgumentParser(prog="python -m classifier", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="the component's work folder")
    parser.add_argument("--bucket", required=True, help="the data bucket")
    parser.add_argument("--frames", default="frames", help="folder of incoming frames, relative to the work folder")
    parser.add_argument("--model", help="link to the model package (default: that of the model component)")
    parser.add_argument("--summary-seconds", type=_number(float, 0.1), default=60.0)
    parser.add_argument("--review-frames-per-hour", type=_number(int, 0), default=60)
    parser.add_argument("--poll-seconds", type=_number(float, 0.01), default=5.0)
    parser.add_argument("--threads", type=_number(int, 1), default=1, help="threads of ONNX Runtime")
    parser.add_argument("--keep-frames", type=_number(int, 0), default=10_000, help="classified frames kept on disk")
    parser.add_argument("--once", action="store_true", help="process what is there and stop")
    given = parser.parse_args(arguments)
    thing = os.environ.get("AWS_IOT_THING_NAME", "")
    if not thing:
        parser.error("AWS_IOT_THING_NAME is not set: the nucleus sets it, elsewhere set it to the device's name")
    if not given.bucket:
        parser.error("--bucket is empty: set the component's configuration value `bucket` to the data bucket")
    work = given.work.resolve()
    return Options(
        thing=thing,
        bucket=given.bucket,
        work=work,
        frames=work / given.frames,
        # Joined without resolving: the last part is a link that moves.
        model=Path(given.model) if given.model else work.parent / "reefloop.Model" / "current",
        summary_seconds=given.summary_seconds,
        review_frames_per_hour=given.review_frames_per_hour,
        poll_seconds=given.poll_seconds,
        threads=given.threads,
        keep_frames=given.keep_frames,
        once=given.once,
    )
