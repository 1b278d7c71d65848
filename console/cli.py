"""The command line: one word, a few options, one sentence when something is wrong."""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from console.errors import Failure, Refusal
from console.text import printable
from reefloop.contracts import EXPERTS, LABELERS

INTERRUPTED: Final = 130
# Windows has no SIGHUP.
_INTERRUPTS: Final[Sequence[int]] = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage text in front of it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 it failed, 2 it was refused, 130 it was interrupted."""
    started = time.monotonic()
    options = _parser().parse_args(arguments, argparse.Namespace(started=started))
    # Set by hand: a shell starts what runs in the background with interrupts switched off.
    before = {number: signal.signal(number, _interrupt) for number in _INTERRUPTS}
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Refusal as error:
        return _say(error, 2)
    except Failure as error:
        return _say(error, 1)
    except (NoCredentialsError, NoRegionError) as error:
        return _say(Refusal(f"no way to an AWS account: {error}; set AWS_PROFILE and AWS_REGION"), 2)
    except (ClientError, BotoCoreError) as error:
        return _say(Failure(f"AWS refused: {error}"), 1)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """The first interrupt ends the command; those that follow must not end its cleaning up."""
    for other in _INTERRUPTS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt


def _say(error: Exception, code: int) -> int:
    print(f"error: {printable(str(error))}", file=sys.stderr)
    return code


def _parser() -> Parser:
    parser = Parser(prog="python -m console", description="reefloop from the command line")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, module: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        command.set_defaults(run=_command(module))
        return command

    demo = add("demo", "console.demo.run", "run the whole loop for two rounds in an AWS account on this machine")
    demo.add_argument("--images", type=Path, metavar="FOLDER", help="class subfolders of photographs (JPEG or PNG)")
    demo.add_argument("--keep", action="store_true", help="leave the account open until Ctrl-C")
    demo.add_argument("--labeler", metavar="NAME", help="label in the browser yourself, at the labeling station")
    demo.add_argument("--seed", type=_natural, default=1, metavar="N", help="what is drawn and how it is dealt")

    preflight = add("preflight", "console.commands.preflight", "look whether an account can run a stage; read-only")

    start = add("start", "console.commands.start", "bring images and start a round of the loop")
    start.add_argument("--round", required=True, metavar="ROUND", dest="round_")
    start.add_argument("--images", type=Path, metavar="FOLDER", help="new photographs, in any subfolders")
    start.add_argument("--gold", type=Path, metavar="FOLDER", help="class subfolders of photographs with known labels")
    start.add_argument("--manifest", type=Path, metavar="FILE", help="an augmented manifest, for provider import")

    watch = add("watch", "console.commands.watch", "follow a round: executions, states, jobs, devices")
    watched = watch.add_mutually_exclusive_group()
    watched.add_argument("--round", metavar="ROUND", dest="round_", help="default: the round that was started last")
    watched.add_argument("--model", metavar="VERSION", help="the compilation of a model from elsewhere in its place")

    compile_ = add("compile", "console.commands.compile", "compile a model from elsewhere for devices of the table")
    compile_.add_argument("--model", required=True, metavar="TARBALL", help="a .tar.gz: a file or s3://BUCKET/KEY")
    compile_.add_argument("--framework", required=True, metavar="NAME", help="what it was made with: MXNET, ONNX, …")
    compile_.add_argument("--framework-version", default="", metavar="VERSION", help="default: Neo's own choice")
    compile_.add_argument("--input", default="", metavar="JSON", help="names and shapes: '{\"data\":[1,3,224,224]}'")
    compile_.add_argument("--targets", required=True, metavar="NAMES", help="of the table, with commas between")
    compile_.add_argument("--wait", action="store_true", help="follow it to its end and show what each target got")

    devices = add("devices", "console.commands.devices", "which devices there are, and which models they take")
    devices.add_argument("--framework", metavar="NAME", help="what becomes of models of this one: ONNX, MXNET, …")

    device = commands.add_parser("device", help="make a device of the project, or undo it", allow_abbrev=False)
    on_device = device.add_subparsers(required=True, metavar="ACTION")

    def act(name: str, text: str) -> argparse.ArgumentParser:
        command = on_device.add_parser(name, help=text, description=text, allow_abbrev=False)
        command.set_defaults(run=_command("console.commands.device", name))
        command.add_argument("thing", metavar="THING", help="the device's name: letters, digits, hyphens, underscores")
        return command

    add_device = act("add", "make its thing, key, certificate and rights; run again, it makes nothing twice")
    add_device.add_argument("--group", required=True, choices=("canary", "fleet"), help="who gets a new model first")
    add_device.add_argument("--board", default="", metavar="NAME", help="of a target that is for this kind of board")
    add_device.add_argument(
        "--out", type=Path, metavar="FOLDER", help="for key and certificate (default: devices/THING)"
    )
    remove_device = act("remove", "take it out of the project, with its certificate and its rights")

    label = add("label", "console.commands.label", "label a round's published batches on a page of this machine")
    label.add_argument("--round", required=True, metavar="ROUND", dest="round_")
    label.add_argument("--worker", required=True, metavar="NAME", help="who labels; the same name every time")
    label.add_argument("--team", choices=(LABELERS, EXPERTS), default=LABELERS, help=f"default: {LABELERS}")
    label.add_argument("--port", type=_natural, default=0, metavar="N", help="default: a free one")
    label.add_argument("--no-browser", action="store_true", help="print the page's address and open nothing")
    label.add_argument("--wait", action="store_true", help="wait for batches: the first, and those that come later")
    label.add_argument("--abandon", action="store_true", help="end the batches without the answers that they lack")
    label.add_argument("--yes", action="store_true", help="do not ask before abandoning")

    report = add("report", "console.commands.report", "what a round's labels are worth, what devices got of it and saw")
    reported = report.add_mutually_exclusive_group(required=True)
    reported.add_argument("--round", metavar="ROUND", dest="round_")
    reported.add_argument("--model", metavar="VERSION", help="what each target got of one model")
    reported.add_argument("--devices", action="store_true", help="what devices saw and sent, how often they are right")
    report.add_argument("--days", type=_natural, default=7, metavar="N", help="of --devices: how far back (default: 7)")

    destroy = add("destroy", "console.commands.destroy", "remove what the loop made, so that `cdk destroy` works")
    destroy.add_argument("--yes", action="store_true", help="do not ask")
    destroy.add_argument(
        "--force", action="store_true", help="images, labels and models too, where the stage keeps them"
    )

    for command in (preflight, start, watch, compile_, add_device, remove_device, label, report, destroy):
        command.add_argument("--stage", metavar="NAME", help="a named stage of cdk.json (default: its `stage`)")
    return parser


def _command(module: str, function: str = "run") -> Callable[[argparse.Namespace], Any]:
    """A function of a module that is imported only when it is called for."""

    def run(options: argparse.Namespace) -> Any:
        return getattr(import_module(module), function)(options)

    return run


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)
