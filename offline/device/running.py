"""The components of a device that run: brought to what a deployment asks for, watched, restarted."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from offline.device.components import SETTLED, Component
from offline.device.ipc import Configurations
from offline.device.place import Place
from offline.device.resolution import Wanted
from offline.services.greengrassv2.records import InstalledComponent

TICK_SECONDS: Final = 0.1


class Running:
    """Not thread-safe but for `ask`: the device's own thread calls it.

    Args:
        place: where a version of a component lives.
        variables: what the nucleus tells the processes of a component, asked for whenever one starts.
        lite: it is nucleus lite, and not the classic one.
        ending: power goes off.
        report: called when states may have changed.
    """

    def __init__(
        self,
        *,
        place: Callable[[str, str], Place],
        variables: Callable[[Wanted], Mapping[str, str]],
        configurations: Configurations,
        lite: bool,
        settle_seconds: float,
        ending: threading.Event,
        report: Callable[[], None],
    ) -> None:
        self._place, self._variables, self._configurations = place, variables, configurations
        self._lite, self._settle_seconds, self._ending, self._report = lite, settle_seconds, ending, report
        self._components: dict[str, Component] = {}

    def __iter__(self) -> Iterator[Component]:
        return iter(list(self._components.values()))

    def has(self, name: str, version: str) -> bool:
        """Whether this version of a component is among them."""
        found = self._components.get(name)
        return found is not None and found.wanted.version == version

    def ask(self, name: str, what: str) -> bool:
        """What a component asks over IPC to happen, soon; False when there is no such component. From any thread.

        Args:
            what: RUNNING or ERRORED, as the component says of itself, or RESTART. Nucleus lite only takes note of
                ERRORED.
        """
        found = self._components.get(name)
        if found is not None and not (self._lite and what == "ERRORED"):
            found.asked = what
        return found is not None

    def apply(self, wanted: Iterable[Wanted]) -> Component | None:
        """Run exactly these components, restarting only what changed; the first that breaks, if one does."""
        target = {each.name: each for each in wanted}
        for name, running in list(self._components.items()):
            if name not in target or self._restarts(running, target[name]):
                self._components.pop(name).stop()
            else:
                running.wanted = target[name]
        for name, each in target.items():
            if name not in self._components:
                self._components[name] = component = self._component(each)
                component.install()
                component.start()
            elif self._components[name].state == "FINISHED":
                self._components[name].start()  # a script that has ended runs again at every deployment
        ours = [self._components[name] for name in target]
        while any(each.state not in SETTLED for each in ours) and not self._ending.is_set():
            self.tick()
            if any(each.state == "BROKEN" for each in ours):
                break
            self._ending.wait(TICK_SECONDS / 2)
        self._report()
        return next((each for each in ours if each.state == "BROKEN"), None)

    def tick(self) -> None:
        """See how each fares."""
        for component in self:
            component.tick()
        self._report()

    def stop(self, *, kill: bool) -> None:
        """End all of them; with `kill` without a moment to tidy up."""
        for component in self:
            component.stop(kill=kill)
        self._components.clear()

    def installed(self) -> list[InstalledComponent]:
        """What the device reports of them."""
        return [
            InstalledComponent(each.wanted.name, each.wanted.version, each.state, each.wanted.root, each.details)
            for each in self
        ]

    def _component(self, wanted: Wanted) -> Component:
        configurations = self._configurations
        return Component(
            wanted,
            self._place(wanted.name, wanted.version),
            variables=lambda: self._variables(wanted),
            # Lite looks values up whenever a script starts; the classic nucleus put them in when it was deployed.
            configuration=(lambda: configurations.get(wanted.name) or {}) if self._lite else None,
            settle_seconds=self._settle_seconds,
            ending=self._ending.is_set,
        )

    def _restarts(self, running: Component, wanted: Wanted) -> bool:
        """Whether a deployment starts a component anew.

        A version once deployed stays as it is, whatever its configuration: components are told of changes over IPC. But
        the classic nucleus restarts one whose scripts read otherwise with the new values. Lite does not.
        https://github.com/aws-greengrass/aws-greengrass-nucleus: GenericExternalService
        """
        if running.wanted.version != wanted.version or running.wanted.manifest != wanted.manifest:
            return True
        if running.state == "BROKEN":
            return running.wanted != wanted
        return not self._lite and running.scripts(running.wanted) != running.scripts(wanted)
