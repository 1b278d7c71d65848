"""One component on the device: install, run, watch, restart, stop.

Lifecycle states are Greengrass's:
https://docs.aws.amazon.com/greengrass/v2/developerguide/develop-greengrass-components.html
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from offline.device.place import Place
from offline.device.processes import Process
from offline.device.resolution import Wanted
from offline.device.variables import UnknownVariable, expand

TRIES: Final = 3
TRIES_WINDOW_SECONDS: Final = 3600.0
DEFAULT_TIMEOUT_SECONDS: Final = 120.0
PHASES: Final = frozenset({"install", "run", "Setenv"})

SETTLED: Final = frozenset({"RUNNING", "FINISHED", "BROKEN"})


class Component:
    """Not thread-safe: the device's own thread calls it. Only `asked` may be set by others.

    Args:
        variables: what its processes find in their environment beside that of their place; asked for at each start.
        configuration: where the values for its scripts are looked up at each start, if not in `wanted`.
    """

    def __init__(
        self,
        wanted: Wanted,
        place: Place,
        *,
        variables: Callable[[], Mapping[str, str]],
        configuration: Callable[[], Mapping[str, Any]] | None,
        settle_seconds: float,
        ending: Callable[[], bool],
    ) -> None:
        self.wanted, self.state, self.details = wanted, "NEW", ""
        self.asked = ""
        """What the component said of itself over IPC, RUNNING or ERRORED, or RESTART: `tick` acts on it."""
        self._place, self._settle_seconds, self._ending = place, settle_seconds, ending
        self._variables, self._configuration = variables, configuration
        self._process: Process | None = None
        self._started = 0.0
        self._errors: list[float] = []

    def install(self) -> None:
        """Run the install phase to its end, a few times if it must be; BROKEN when it does not succeed."""
        self._place.work.mkdir(parents=True, exist_ok=True)
        if unknown := sorted(set(self._lifecycle) - PHASES):
            self._break(f"lifecycle phase {unknown[0]!r} does not work here; use {', '.join(sorted(PHASES))}")
            return
        while self.state not in ("INSTALLED", "BROKEN") and not self._ending():
            self.state = "INSTALLED" if self._installed() else self._failed("install")

    def start(self) -> None:
        """Begin the run phase; without one, the component is FINISHED at once."""
        if self.state == "BROKEN" or self._ending():
            return
        if "run" not in self._lifecycle:
            self.state = "FINISHED"
            return
        self._started, self.asked = time.monotonic(), ""
        self._process = self._run("run")
        self.state = "STARTING" if self._process else "BROKEN"

    def tick(self) -> None:
        """See how the run phase fares; restart it after an error."""
        if self._process is None or self.state not in ("STARTING", "RUNNING"):
            return
        asked, self.asked = self.asked, ""
        if asked == "RESTART":
            self.stop()
            self.start()
            return
        code = self._process.exit_code
        if code is None and asked != "ERRORED":
            if asked == "RUNNING" or time.monotonic() - self._started >= self._settle_seconds:
                self.state = "RUNNING"
            return
        self._process.stop(0)
        self._process = None
        if code == 0 and asked != "ERRORED":
            self.state = "FINISHED"
            return
        said = "the component reported an error" if asked == "ERRORED" else f"run exited with {code}"
        self.details = f"{said}; see {self._place.log.name}"
        self.state = self._failed("run")
        if self.state != "BROKEN":
            self.start()

    def stop(self, *, kill: bool = False) -> None:
        """End the processes; with `kill` as a power cut does, without a word."""
        if self._process is not None:
            self.state = "STOPPING"
            if kill:
                self._process.kill()
            self._process.stop()
            self._process = None
        if self.state != "BROKEN":
            self.state = "INSTALLED"

    @property
    def _lifecycle(self) -> Mapping[str, Any]:
        lifecycle: Mapping[str, Any] = self.wanted.manifest.get("Lifecycle") or {}
        return lifecycle

    def _installed(self) -> bool:
        if "install" not in self._lifecycle:
            return True
        process = self._run("install")
        if process is None:
            return False
        terms = self._lifecycle["install"]
        timeout = (
            float(terms.get("Timeout", DEFAULT_TIMEOUT_SECONDS))
            if isinstance(terms, Mapping)
            else DEFAULT_TIMEOUT_SECONDS
        )
        deadline = time.monotonic() + timeout
        code: int | None = None
        while code is None and time.monotonic() < deadline and not self._ending():
            code = process.wait(0.1)
        process.stop(0)
        self.details = "" if code == 0 else f"install exited with {code}" if code else "install timed out"
        return code == 0

    def _run(self, phase: str) -> Process | None:
        """The process of a phase; None, and BROKEN, when its script cannot be expanded."""
        configuration = self.wanted.configuration if self._configuration is None else self._configuration()
        try:
            script, settings = self._expanded(phase, configuration)
        except (UnknownVariable, KeyError) as error:
            self._break(f"{phase}: {error}")
            return None
        place = self._place
        environment = {**place.environment, **self._variables(), **settings}
        return Process(script, folder=place.work, environment=environment, log=place.log)

    def scripts(self, wanted: Wanted) -> list[object]:
        """The scripts and settings of every phase with the values of a configuration, to compare with others."""
        found: list[object] = []
        for phase in sorted(PHASES & set(self._lifecycle) - {"Setenv"}):
            try:
                found.append(self._expanded(phase, wanted.configuration))
            except (UnknownVariable, KeyError) as error:
                found.append(str(error))
        return found

    def _expanded(self, phase: str, configuration: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
        """The script of a phase and the variables that it sets.

        Raises:
            UnknownVariable: a brace in one of them starts no variable with a value.
            KeyError: there is no script.
        """
        terms = self._lifecycle[phase]
        terms = terms if isinstance(terms, Mapping) else {"Script": terms}
        settings = {**self._lifecycle.get("Setenv", {}), **terms.get("Setenv", {})}
        # The paths end with a slash, as nucleus lite writes them.
        system = {
            "artifacts:path": f"{self._place.artifacts}/",
            "artifacts:decompressedPath": f"{self._place.unarchived}/",
            "work:path": f"{self._place.work}/",
            "iot:thingName": self._place.thing,
        }
        script, *values = (
            expand(str(text), configuration=configuration, system=system)
            for text in (terms["Script"], *settings.values())
        )
        return script, dict(zip(settings, values, strict=True))

    def _failed(self, phase: str) -> str:
        """The state after one more error: BROKEN after the third within an hour."""
        if self.state == "BROKEN":
            return "BROKEN"
        now = time.monotonic()
        self._errors = [at for at in self._errors if now - at < TRIES_WINDOW_SECONDS] + [now]
        if len(self._errors) < TRIES:
            return "ERRORED"
        self._break(f"{phase} failed {TRIES} times: {self.details}")
        return "BROKEN"

    def _break(self, details: str) -> None:
        self.state, self.details = "BROKEN", details
