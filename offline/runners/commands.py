"""The commands `docker` and `aws` of a build: small programs on its PATH that ask the account's process by a socket.

As with the real Docker, the program only carries words to a daemon. It is made for the build and knows its images.
"""

import json
import shutil
import socketserver
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from offline.runners.docker import Answer

COMMANDS: Final = ("docker", "aws")
Run = Callable[[Sequence[str], Path, str], Answer]
# No site and no environment: it starts in 10 ms.
_PROGRAM: Final = """#!{python} -SE
import json, os, shutil, socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect({socket!r})
words = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
given = sys.stdin.read() if "--password-stdin" in words else ""
link.sendall(json.dumps([words, os.getcwd(), given]).encode() + b"\\n")
answer = link.makefile("rb")
status, error = json.loads(answer.readline() or b'[125, "the account closed the connection"]')
print(error, end="\\n" if error and error[-1] != "\\n" else "", file=sys.stderr)
shutil.copyfileobj(answer, sys.stdout.buffer)
sys.exit(status)
"""


@contextmanager
def on_path(run: Run) -> Iterator[Path]:
    """A folder with the commands, each call of which is answered by `run`."""
    # The path of a socket has at most 107 characters: https://man7.org/linux/man-pages/man7/unix.7.html
    folder = Path(tempfile.mkdtemp(prefix="build-"))
    try:
        with _Daemon(folder / "socket", run) as daemon:
            for name in COMMANDS:
                (folder / name).write_text(_PROGRAM.format(python=sys.executable, socket=str(folder / "socket")))
                (folder / name).chmod(0o755)
            thread = threading.Thread(target=daemon.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            try:
                yield folder
            finally:
                daemon.shutdown()
                thread.join()
    finally:
        shutil.rmtree(folder)


class _Daemon(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, run: Run) -> None:
        self.answer = run
        super().__init__(str(path), _Call)


class _Call(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        words, folder, given = json.loads(self.rfile.readline())
        assert isinstance(self.server, _Daemon)  # noqa: S101  nobody else serves calls
        answer = self.server.answer(words, Path(folder), given)
        self.wfile.write(json.dumps([answer.status, answer.error]).encode() + b"\n" + answer.output)
