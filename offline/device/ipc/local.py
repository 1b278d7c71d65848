"""Messages between components of one device."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from offline.broker import matches

Receive = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class _Listener:
    component: str
    topic_filter: str
    own: bool
    receive: Receive


class LocalBus:
    """Safe to use from any thread. Subscriptions take MQTT's wildcards."""

    def __init__(self) -> None:
        self._listeners: list[_Listener] = []
        self._changing = threading.Lock()

    def publish(self, topic: str, event: Mapping[str, Any], *, component: str) -> None:
        """Hand an event to everyone who subscribed."""
        with self._changing:
            listeners = list(self._listeners)
        for each in listeners:
            if matches(each.topic_filter, topic) and (each.own or each.component != component):
                each.receive(event)

    def subscribe(self, topic_filter: str, receive: Receive, *, component: str, own: bool) -> Callable[[], None]:
        """Receive what matches until the answer is called.

        Args:
            own: what the component itself publishes too.
        """
        listener = _Listener(component, topic_filter, own, receive)
        with self._changing:
            self._listeners.append(listener)

        def end() -> None:
            with self._changing:
                self._listeners = [each for each in self._listeners if each is not listener]

        return end
