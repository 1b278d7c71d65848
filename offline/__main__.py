"""`python -m offline`: keep one account open until Ctrl-C, and say how the AWS CLI reaches it."""

import argparse
import signal
import tempfile
import threading
from pathlib import Path

from offline.account import Account


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m offline", description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep the account's files here (default: a temporary folder)")
    parser.add_argument("--bootstrap", action="store_true", help="run cdk bootstrap in it first")
    arguments = parser.parse_args()
    stopping = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopping.set())
    with tempfile.TemporaryDirectory(prefix="offline-account-") as temporary:
        with Account(arguments.folder or Path(temporary)) as account:
            if arguments.bootstrap:
                account.bootstrap()
            for name, value in account.environment.items():
                print(f"export {name}={value}")
            print(f"# files in {account.state.folder}; Ctrl-C closes the account", flush=True)
            stopping.wait()


if __name__ == "__main__":
    main()
