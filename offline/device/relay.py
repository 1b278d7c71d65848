"""The way of a device's processes to the account over HTTP: over the same link as its messages, and down with it."""

import contextlib
import socket
import threading
from urllib.parse import urlparse

from offline.broker import Link
from offline.state import State

_CHUNK_BYTES = 1 << 16


class Relay:
    """Passes connections on to the account's server, byte for byte, between `start` and `stop`.

    When the link is cut they end in the middle, and new ones end at once, until it is restored.
    """

    def __init__(self, state: State, link: Link) -> None:
        self._state, self._link = state, link
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._changing = threading.Lock()
        link.watch(self._linked)

    def start(self) -> str:
        """Listen on a free port of the loopback interface; the address that leads through here."""
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", 0))
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return f"http://localhost:{self._listener.getsockname()[1]}"

    def stop(self) -> None:
        """End every connection and listen no more. Does nothing the second time."""
        listener, self._listener = self._listener, None
        if listener is not None:
            _end(listener)
            listener.close()
        self._cut()

    def _linked(self, up: bool) -> None:
        if not up:
            self._cut()

    def _cut(self) -> None:
        with self._changing:
            for one in self._open:
                _end(one)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return  # stopped
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError):
            target = urlparse(self._state.endpoint)
            with socket.create_connection(("127.0.0.1", target.port or 80)) as far:
                with self._changing:
                    if not self._link.up:
                        return
                    self._open |= {near, far}
                try:
                    back = threading.Thread(target=_pump, args=(far, near), daemon=True)
                    back.start()
                    _pump(near, far)
                    back.join()
                finally:
                    with self._changing:
                        self._open -= {near, far}


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Pass on until one side ends; then the other side hears so."""
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK_BYTES):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
