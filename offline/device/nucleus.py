"""The part of a core device that dies as one: its tokens, what components reach over IPC, messages under way."""

import threading
from collections.abc import Callable
from pathlib import Path

from offline.broker import Link
from offline.device.credentials import Exchange
from offline.device.ipc import SOCKET, Configurations, Server
from offline.device.ipc.operations import Lifecycle
from offline.device.resolution import Wanted
from offline.device.token_exchange import COMPONENT as TOKEN_EXCHANGE
from offline.device.token_exchange import TokenExchange
from offline.device.tokens import Tokens


class Nucleus:
    """One device's nucleus, through all its lives. Safe to use from any thread.

    Args:
        folder: where its socket lies, unless the path is too long for one.
        lite: it is nucleus lite, and not the classic one.
        exchange: gives credentials for the device's certificate.
        lifecycle: what components ask to happen to them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        lite: bool,
        link: Link,
        exchange: Exchange,
        configurations: Configurations,
        lifecycle: Lifecycle,
    ) -> None:
        self._link, self._tokens = link, Tokens()
        self._token_exchange = TokenExchange(exchange, tokens=self._tokens, link=link)
        self._new_server: Callable[[], Server] = lambda: Server(
            folder,
            lite=lite,
            link=link,
            configurations=configurations,
            component_of=self._tokens.component,
            lifecycle=lifecycle,
        )
        self.server: Server | None = None
        """What this life of the nucleus serves; None between two."""
        self._living = threading.RLock()
        link.watch(self._linked)

    def start(self) -> None:
        """Begin a life, with new tokens."""
        with self._living:
            self._tokens.revoke_all()
            self._token_exchange.start()
            self.server = self._new_server()
            self.server.start()

    def stop(self) -> None:
        """Die, as with `kill -9`: connections of components end, messages that the broker does not have are lost."""
        with self._living:
            server, self.server = self.server, None
            if server is None:
                return
            server.stop()
            self._token_exchange.stop()
            if self._link.up:  # the connection to the broker ends with the process that had it
                self._link.cut()
                self._link.restore()

    def restart(self) -> None:
        """Die and live again, while whatever components run goes on."""
        with self._living:
            self.stop()
            self.start()

    def variables(self, wanted: Wanted) -> dict[str, str]:
        """What lets the processes of a component find and convince this life of the nucleus.

        Raises:
            RuntimeError: it is dead.
        """
        with self._living:
            if self.server is None:
                raise RuntimeError("the nucleus is not running; call start() before")
            exchange = TOKEN_EXCHANGE in wanted.dependencies
            return {
                SOCKET: str(self.server.path),
                "SVCUID": self._tokens.of(wanted.name),
                **(self._token_exchange.variables(wanted.name) if exchange else {}),
            }

    def _linked(self, up: bool) -> None:
        server = self.server
        if server is not None:
            server.client.linked(up)
