"""One operation on one connection: its stream of events, until either side ends it."""

import threading
from collections.abc import Callable, Mapping
from typing import Any


class Stream:
    """Events of one operation. Safe to use from any thread.

    Events wait for the operation's response: the SDK would take one that comes before it for the response itself.

    Args:
        send: puts an event of a type on its way to the component.
    """

    def __init__(self, send: Callable[[str, Mapping[str, Any]], None]) -> None:
        self._send = send
        self._waiting: list[tuple[str, Mapping[str, Any]]] | None = []
        self._endings: list[Callable[[], None]] = []
        self._sending = threading.Lock()
        self.continues = False

    def event(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Tell the component; does not wait for it."""
        with self._sending:
            if self._waiting is None:
                self._send(kind, payload)
            else:
                self._waiting.append((kind, payload))

    def until_closed(self, end: Callable[[], None]) -> None:
        """The operation goes on after its response, until this is called at its end."""
        self.continues = True
        self._endings.append(end)

    def respond(self, send_response: Callable[[], None]) -> None:
        """Send the response, and then the events that came before it and those that come."""
        with self._sending:
            send_response()
            waiting, self._waiting = self._waiting or [], None
            for kind, payload in waiting:
                self._send(kind, payload)

    def close(self) -> None:
        """End the operation. Does nothing the second time."""
        endings, self._endings = self._endings, []
        for end in endings:
            end()
