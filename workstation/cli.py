"""The command line of the workstation."""

from __future__ import annotations

import argparse
import errno
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Callable

from workstation import container, idle
from workstation.job import ML, Container, recreate
from workstation.machine import Problem, Settings
from workstation.s3 import S3

BOOT = "/var/lib/cloud/scripts/per-boot/reefloop"


def home() -> Path:
    """Where jobs are made again. It is on the disk that stays when the machine stops."""
    return Path.home() / "reefloop"


def job(options: argparse.Namespace) -> int:
    settings = Settings.load()
    folder = recreate(
        options.name, home(), settings=settings, s3=S3(settings.region), checkpoints=not options.from_start
    )
    made = Container.load(folder)
    current = home() / "current"
    current.unlink(missing_ok=True)
    current.symlink_to(folder.name)
    print(f"{folder / 'ml'} is its {ML}. reefloop run repeats: {' '.join(made.arguments)}")
    if made.image_uri != settings.image_uri:
        print(f"The job ran {made.image_uri}; --deployed runs the image of the present deployment.")
    return 0


def run(options: argparse.Namespace) -> int:
    settings = Settings.load()
    ml, made = _folder(options, settings)
    if options.deployed:
        made = Container(settings.image_uri, (), made.arguments, made.environment)
    container.pull(made.image_uri, settings)
    call = container.command(
        ml,
        made,
        arguments=getattr(options, "arguments", ()),
        debug=getattr(options, "debug", False),
        shell=options.command == "shell",
        code=options.code,
        terminal=sys.stdin.isatty(),
    )
    return container.run(call)


def _folder(options: argparse.Namespace, settings: Settings) -> tuple[Path, Container]:
    """The /opt/ml to run on, and what to run there."""
    if options.ml:
        options.ml.mkdir(parents=True, exist_ok=True)
        return options.ml.resolve(), Container(settings.image_uri, (), (), {})
    folder = home() / (options.job or "current")
    if not (folder / "job.json").exists():
        raise Problem(f"{folder} has no job: make one again with reefloop job NAME, or name a folder with --ml")
    folder = folder.resolve()
    return folder / "ml", Container.load(folder)


def watch(options: argparse.Namespace) -> int:
    idle.watch(Settings.load().idle_minutes, stop=options.stop, now=time.monotonic())
    return 0


def update(_: argparse.Namespace) -> int:
    return subprocess.run(["sudo", BOOT], check=False).returncode


COMMANDS: Mapping[str, tuple[str, Callable[[argparse.Namespace], int]]] = {
    "job": ("make the files of a training or processing job again, and run on them from now on", job),
    "run": ("run the job's container: as the job did, or with a verb and arguments of yours", run),
    "shell": ("a shell in the job's container", run),
    "idle": ("say what uses the machine, or when it will stop itself", watch),
    "update": ("fetch what the last deployment says", update),
}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="reefloop", description="The job container, on this machine's GPUs.")
    commands = top.add_subparsers(dest="command", required=True)
    of = {name: commands.add_parser(name, help=text, description=text) for name, (text, _) in COMMANDS.items()}
    of["job"].add_argument("name", help="the job's name in SageMaker")
    of["job"].add_argument("--from-start", action="store_true", help="leave its checkpoints in the bucket")
    for name in ("run", "shell"):
        of[name].add_argument("--job", metavar="NAME", help="another job than the one made last")
        of[name].add_argument("--ml", type=Path, metavar="FOLDER", help=f"any folder as {ML}, and no job")
        of[name].add_argument("--code", type=Path, metavar="JOBS", help="run this jobs/ in place of the image's")
        of[name].add_argument("--deployed", action="store_true", help="the image of the deployment, not the job's")
    of["run"].add_argument("--debug", action="store_true", help="under Python's debugger")
    of["run"].add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="VERB ...", help="train, score, evaluate, ..."
    )
    of["idle"].add_argument("--stop", action="store_true", help="stop the machine when it is time; systemd does this")
    return top


def main(arguments: Sequence[str]) -> int:
    """Run a command; 0 done, 1 with one sentence about what went wrong, or the container's own status."""
    options = parser().parse_args(arguments)
    try:
        return COMMANDS[options.command][1](options)
    except Problem as problem:
        print(f"reefloop: {problem}", file=sys.stderr)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print("reefloop: the disk is full: remove jobs below ~/reefloop that you are done with", file=sys.stderr)
    return 1
