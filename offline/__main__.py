"""`python -m offline`: keep one account open until Ctrl-C, and say how the AWS CLI reaches it."""

import argparse
import contextlib
import signal
import tempfile
import threading
from pathlib import Path
from typing import NoReturn

from offline.account import Account


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m offline", description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep the account's files here (default: a temporary folder)")
    parser.add_argument("--bootstrap", action="store_true", help="run cdk bootstrap in it first")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    with contextlib.suppress(KeyboardInterrupt):
        _keep_open(arguments)


def _keep_open(arguments: argparse.Namespace) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="offline-account-") as temporary,
        Account(arguments.folder or Path(temporary)) as account,
    ):
        if arguments.bootstrap:
            account.bootstrap()
        for name, value in account.environment.items():
            print(f"export {name}={value}")
        print(f"# files in {account.state.folder}; Ctrl-C closes the account", flush=True)
        threading.Event().wait()


def _interrupted(*_: object) -> NoReturn:
    """Unwind once, from wherever it happens; an impatient second Ctrl-C must not cut the closing short."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
