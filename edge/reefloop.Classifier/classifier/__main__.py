"""The classifier of a camera.

On a device:   python -m classifier --work FOLDER
On a laptop:   python -m classifier --replay FOLDER --report --model PACKAGE
"""

import argparse
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

MODEL_COMPONENT = "reefloop.Model"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m classifier", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    does = parser.add_mutually_exclusive_group(required=True)
    does.add_argument("--work", type=Path, metavar="FOLDER", help="run the component; this is its work folder")
    does.add_argument("--replay", type=Path, metavar="FOLDER", help="a folder of images, or a video file")
    parser.add_argument(
        "--report", action="store_true", help="print what would have been sent: the one thing that a replay is for"
    )
    parser.add_argument("--model", type=Path, metavar="PACKAGE", help="the folder of an unpacked model package")
    parser.add_argument("--configuration", type=Path, metavar="FILE.json", help="settings other than the defaults")
    parser.add_argument("--frames-per-second", type=float, metavar="N", help="at which a folder was recorded")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """What the command line asks for; the exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    # The classic nucleus takes what comes on stderr for warnings; of a replay, the report is what one wants to read.
    stream, level = (sys.stdout, logging.INFO) if given.work is not None else (sys.stderr, logging.ERROR)
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", stream=stream)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    if given.work is not None:
        for name in ("report", "json", "frames_per_second"):
            if getattr(given, name):
                parser.error(f"--{name.replace('_', '-')} belongs to --replay")
        return run(parser, given)
    if given.model is None:
        parser.error(
            "--model is missing: give the folder of a model package, which is an unpacked artifact of "
            f"{MODEL_COMPONENT} (packages/<target>.zip of a training run)"
        )
    from classifier import replay

    try:
        return replay.main(
            given.replay,
            given.model,
            configuration=given.configuration,
            frames_per_second=given.frames_per_second,
            as_json=given.json,
        )
    except replay.Failed as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1


def run(parser: argparse.ArgumentParser, given: argparse.Namespace) -> int:
    """The component, until the nucleus ends it or nothing but a new process helps."""
    from classifier import configuration, device
    from classifier.clock import SystemClock
    from classifier.ration import Ration

    thing = os.environ.get("AWS_IOT_THING_NAME", "")
    if not thing:
        parser.error("AWS_IOT_THING_NAME is not set: the nucleus sets it, elsewhere set it to the device's name")
    work: Path = given.work.resolve()
    # Joined without resolving: the last part is a link that moves.
    model = given.model or work.parent / MODEL_COMPONENT / "current"
    faulthandler.enable()
    for handler in logging.getLogger().handlers:
        handler.addFilter(Ration(SystemClock()))
    supervisor = device.supervisor(thing, work, model)
    if given.configuration is not None:
        try:
            document = configuration.read(given.configuration)
            configuration.parse(document)
        except configuration.Invalid as error:
            parser.error(f"--configuration: {error}")
        supervisor.parts.configurations.take(document)
    # The nucleus ends a component with SIGTERM and never runs its shutdown script.
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: supervisor.stop())
    code = supervisor.run()
    logging.shutdown()
    # Threads that hang in a camera's driver or in a runtime would keep an ordinary end from coming.
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
