"""Commands of the workstation, as files on the path: those that only answer, and the AWS command line."""

import json
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore import xform_name

from offline.account import Account

SCRIPT = """#!/bin/bash
printf '%s\\n' "$0 $*" >>'{log}'
{body}
"""


class Commands:
    """A folder of commands that note how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "bin"
        self.folder.mkdir()
        self._log = folder / "calls.txt"

    def add(self, name: str, body: str = "") -> None:
        """A command that does what a shell script says; nothing unless told."""
        path = self.folder / name
        path.write_text(SCRIPT.format(log=self._log, body=body))
        path.chmod(0o755)

    def link(self, command: Path) -> None:
        (self.folder / command.name).symlink_to(command)

    def calls(self, name: str) -> list[str]:
        """The arguments of each call of a command, the first call first."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        start = f"{self.folder / name} "
        return [line.removeprefix(start) for line in lines if line.startswith(start)]

    def order(self) -> list[str]:
        """The names of the commands that were called, in order."""
        return [Path(line.split()[0]).name for line in self._log.read_text().splitlines()]


# The command itself starts in a moment, since the clients are made in the test's process.
CLIENT = """#!{python} -IS
import json, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    server.sendall(json.dumps(sys.argv[1:]).encode() + b"\\n")
    status, words = json.loads(server.makefile().read())
print(words, file=sys.stderr if status else sys.stdout)
sys.exit(status)
"""


@contextmanager
def aws_command(account: Account, folder: Path) -> Iterator[Path]:
    """The AWS command line for one account, with the calls that the workstation makes, as a file."""

    class Call(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                answer = [0, aws(account, json.loads(self.rfile.readline()))]
            except Exception as error:
                answer = [255, f"\n{error}"]
            self.wfile.write(json.dumps(answer).encode())

    address = str(folder / "aws.socket")
    command = folder / "aws"
    command.write_text(CLIENT.format(python=sys.executable, address=address))
    command.chmod(0o755)
    with socketserver.ThreadingUnixStreamServer(address, Call) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield command
        server.shutdown()


def aws(account: Account, arguments: list[str]) -> str:
    """What the command line prints; boto3 checks the parameters."""
    words = [word for word in arguments if not word.startswith("--")]
    options = {
        word.removeprefix("--"): value
        for word, value in zip(arguments, [*arguments[1:], ""], strict=True)
        if word.startswith("--")
    }
    match arguments[:2]:
        case ["configure", "export-credentials"]:
            return json.dumps({"Version": 1, "AccessKeyId": "any", "SecretAccessKey": "any", "SessionToken": "any"})
        case ["s3", "cp"]:
            bucket, _, key = words[-2].removeprefix("s3://").partition("/")
            account.client("s3").download_file(bucket, key, words[-1])
            return ""
    client, operation = account.client(arguments[0].replace("s3api", "s3")), arguments[1].replace("-", "_")
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation]).input_shape
    members = {xform_name(name, "-"): name for name in shape.members}
    given = {members[name]: value for name, value in options.items() if name in members}
    answer: Any
    if client.can_paginate(operation):
        answer = client.get_paginator(operation).paginate(**given).build_full_result()
    else:
        answer = getattr(client, operation)(**given)
    if "query" in options:
        for part in options["query"].split("."):
            answer = answer[part]
        return str(answer)
    answer.pop("ResponseMetadata", None)
    return json.dumps(answer, default=str)
