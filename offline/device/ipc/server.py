"""The nucleus as components see it: a Unix socket with everything behind it that dies when the nucleus does."""

import logging
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from offline.broker import Link
from offline.device.ipc.connection import Connection
from offline.device.ipc.local import LocalBus
from offline.device.ipc.mqtt import ClassicClient, Client, LiteClient
from offline.device.ipc.operations import Lifecycle, Operations
from offline.device.ipc.store import Configurations

log = logging.getLogger(__name__)

SOCKET: Final = "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"
LITE_CONNECTIONS: Final = 50
PATH_BYTES: Final = 107  # sun_path of unix(7), less its final zero


class Server:
    """One life of a nucleus, from `start` to `stop`. What the next one takes over is in what it is given.

    Args:
        folder: where the socket lies, unless its path is too long for one.
        lite: it is nucleus lite, and not the classic one.
        component_of: the component that a token was given to; None when it is no token.
        lifecycle: what components ask to happen to them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        lite: bool,
        link: Link,
        configurations: Configurations,
        component_of: Callable[[str], str | None],
        lifecycle: Lifecycle,
    ) -> None:
        self._lite, self._component_of = lite, component_of
        self.client: Client = LiteClient(link) if lite else ClassicClient(link)
        self._operations = Operations(
            lite=lite, configurations=configurations, client=self.client, bus=LocalBus(), lifecycle=lifecycle
        )
        self.path, self._made = socket_path(folder, "gg-ipc.socket" if lite else "ipc.socket")
        self._connections: set[Connection] = set()
        self._changing = threading.Lock()
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._accept, name="ipc-accept", daemon=True)

    def start(self) -> None:
        """Listen."""
        self.path.unlink(missing_ok=True)
        self._listening.bind(str(self.path))
        self.path.chmod(0o666)
        self._listening.listen(LITE_CONNECTIONS)
        self._thread.start()

    def stop(self) -> None:
        """Die: connections end, and messages that the broker does not have are lost."""
        self.client.die()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()
        with self._changing:
            connections = list(self._connections)
        for connection in connections:
            connection.close()
        for connection in connections:
            connection.join()
        self.path.unlink(missing_ok=True)
        if self._made is not None:
            shutil.rmtree(self._made, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listening.accept()
            except OSError:
                return  # shut down
            with self._changing:
                if self._lite and len(self._connections) >= LITE_CONNECTIONS:
                    log.info("a connection beyond %d is refused", LITE_CONNECTIONS)
                    peer.close()
                    continue
                connection = Connection(
                    peer,
                    self._operations,
                    lite=self._lite,
                    component_of=self._component_of,
                    closed=self._forget,
                )
                self._connections.add(connection)
            connection.start()

    def _forget(self, connection: Connection) -> None:
        with self._changing:
            self._connections.discard(connection)


def socket_path(folder: Path, name: str) -> tuple[Path, Path | None]:
    """Where a socket can lie, and the folder made for it when `folder` is too deep for one."""
    path = folder.resolve() / name
    if len(str(path).encode()) <= PATH_BYTES:
        return path, None
    made = Path(tempfile.mkdtemp(prefix="greengrass-"))
    return made / name, made
