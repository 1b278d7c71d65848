"""A station at work: its page is served and its batches are looked after, as long as a block takes."""

import os
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from console.label.server import PageServer

_POLL_SECONDS: Final = 0.05
_LAST_LOOK_SECONDS: Final = 20.0


@contextmanager
def serving(server: PageServer) -> Iterator[None]:
    """Serve a station's page and refresh the station."""
    stopping = threading.Event()
    threads = [
        threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True),
        threading.Thread(target=server.station.keep, args=(stopping,), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        server.station.ended.set()
        server.station.wake()
        server.shutdown()
        server.server_close()
        for thread in threads:
            thread.join(timeout=_LAST_LOOK_SECONDS)


def open_page(url: str) -> None:
    """Show a page in the person's browser, if there is a screen: without one, Python would take a browser for
    terminals and with it this terminal."""
    if sys.platform in {"darwin", "win32"} or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(url)
