"""The part of a core device that dies as one: its tokens, what components reach over IPC, messages under way."""

from collections.abc import Callable
from pathlib import Path

from offline.broker import Link
from offline.device.ipc import SOCKET, Configurations, Server
from offline.device.ipc.operations import Lifecycle
from offline.device.tokens import Tokens


class Nucleus:
    """One device's nucleus, through all its lives. Started and stopped by one thread at a time.

    Args:
        folder: where its socket lies, unless the path is too long for one.
        lite: it is nucleus lite, and not the classic one.
        lifecycle: what components ask to happen to them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        lite: bool,
        link: Link,
        tokens: Tokens,
        configurations: Configurations,
        lifecycle: Lifecycle,
    ) -> None:
        self._link, self._tokens = link, tokens
        self._new_server: Callable[[], Server] = lambda: Server(
            folder,
            lite=lite,
            link=link,
            configurations=configurations,
            component_of=tokens.component,
            lifecycle=lifecycle,
        )
        self._server: Server | None = None
        link.watch(self._linked)

    def start(self) -> None:
        """Begin a life, with new tokens."""
        self._tokens.revoke_all()
        self._server = self._new_server()
        self._server.start()

    def stop(self) -> None:
        """Die, as with `kill -9`: connections of components end, messages that the broker does not have are lost."""
        server, self._server = self._server, None
        if server is None:
            return
        server.stop()
        if self._link.up:  # the connection to the broker ends with the process that had it
            self._link.cut()
            self._link.restore()

    def variables(self, component: str) -> dict[str, str]:
        """What lets a process of the component find and convince this life of the nucleus; empty between lives."""
        server = self._server
        return {SOCKET: str(server.path), "SVCUID": self._tokens.of(component)} if server else {}

    def _linked(self, up: bool) -> None:
        if self._server is not None:
            self._server.client.linked(up)
