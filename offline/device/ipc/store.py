"""The configurations of a device's components while it runs: read, changed and watched over IPC and by deployments."""

import copy
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

Path = tuple[str, ...]
Changed = Callable[[str, Path], None]
"""Gets the component's name and the path of a leaf that has another value now, or none any more."""

_MISSING: Final = object()


class Stale(Exception):
    """A change older than what it would change."""


class NotAnObject(Exception):
    """A change below a value that is no object, or of an object into something else."""


class Configurations:
    """Safe to use from any thread. Watchers are called with no lock held.

    Args:
        stored: configurations by component, as the device remembers them.
        changed: called after a component changed its own.
    """

    def __init__(self, stored: Mapping[str, Mapping[str, Any]], changed: Callable[[], None]) -> None:
        self._values: dict[str, dict[str, Any]] = {name: copy.deepcopy(dict(value)) for name, value in stored.items()}
        self._times: dict[tuple[str, Path], float] = {}
        self._watchers: list[tuple[str, Path, Changed]] = []
        self._changed = changed
        self._changing = threading.Lock()

    def get(self, component: str) -> dict[str, Any] | None:
        """The whole configuration; None when the device never had the component."""
        with self._changing:
            return copy.deepcopy(self._values.get(component))

    def at(self, component: str, path: Sequence[str]) -> Any:
        """The value at a path.

        Raises:
            KeyError: no such component, or nothing there.
        """
        with self._changing:
            return copy.deepcopy(_at(self._values[component], path))

    def all(self) -> dict[str, dict[str, Any]]:
        """Every configuration by component."""
        with self._changing:
            return copy.deepcopy(self._values)

    def replace(self, component: str, configuration: Mapping[str, Any]) -> None:
        """What a deployment gives a component from now on."""
        with self._changing:
            before = dict(_leaves(self._values.get(component, {})))
            self._values[component] = copy.deepcopy(dict(configuration))
            after = dict(_leaves(self._values[component]))
            paths = [path for path in {**before, **after} if before.get(path, _MISSING) != after.get(path, _MISSING)]
            self._times |= {(component, path): time.time() for path in paths}
        self._tell(component, paths)

    def restore(self, configurations: Mapping[str, Mapping[str, Any]]) -> None:
        """Go back to what `all` gave before."""
        with self._changing:
            for added in self._values.keys() - configurations.keys():
                del self._values[added]
        for component, configuration in configurations.items():
            self.replace(component, configuration)

    def merge(self, component: str, path: Sequence[str], value: Any, *, timestamp: float) -> None:
        """What a component changes in its own configuration.

        Args:
            timestamp: in seconds; a leaf that was changed later stays as it is.

        Raises:
            Stale: nothing was changed, since everything there is newer.
            NotAnObject: there is a value where an object would have to be, or the other way round.
        """
        changes = dict(_leaves(value, tuple(path)))
        with self._changing:
            fresh = {p: v for p, v in changes.items() if self._times.get((component, p), 0.0) <= timestamp}
            draft = copy.deepcopy(self._values.setdefault(component, {}))
            paths = [each for each, leaf in fresh.items() if _put(draft, each, leaf)]
            self._values[component] = draft
            self._times |= {(component, each): timestamp for each in fresh}
        if paths:
            self._changed()
        self._tell(component, paths)
        if changes and not fresh:
            raise Stale(f"what is at {'/'.join(path) or '/'} was changed after {timestamp}")

    def watch(self, component: str, path: Sequence[str], changed: Changed) -> Callable[[], None]:
        """Be told of every leaf at or below a path that changes; the answer ends that.

        Raises:
            KeyError: no such component, or nothing there.
        """
        watcher = (component, tuple(path), changed)
        with self._changing:
            _at(self._values[component], path)
            self._watchers.append(watcher)

        def end() -> None:
            with self._changing:
                self._watchers = [each for each in self._watchers if each is not watcher]

        return end

    def _tell(self, component: str, paths: Sequence[Path]) -> None:
        with self._changing:
            watchers = [each for each in self._watchers if each[0] == component]
        for path in paths:
            for _, watched, changed in watchers:
                if path[: len(watched)] == watched:
                    changed(component, path)


def _at(value: Any, path: Sequence[str]) -> Any:
    for key in path:
        if not isinstance(value, Mapping):
            raise KeyError(key)
        value = value[key]
    return value


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Everything in a value that is no object with members, with its path."""
    if isinstance(value, Mapping) and (value or not path):
        for key, member in value.items():
            yield from _leaves(member, (*path, str(key)))
    else:
        yield path, value


def _put(configuration: dict[str, Any], path: Path, value: Any) -> bool:
    """Set a leaf; whether that changed anything."""
    inner = configuration
    for key in path[:-1]:
        inner = inner.setdefault(key, {})
        if not isinstance(inner, dict):
            raise NotAnObject(f"{key!r} in {'/'.join(path)} is a value and has no members")
    if not path:
        raise NotAnObject("a whole configuration is an object")
    last = path[-1]
    if isinstance(inner.get(last), dict):
        if value == {}:
            return False
        raise NotAnObject(f"{'/'.join(path)} is an object and cannot become a value")
    if last in inner and inner[last] == value and type(inner[last]) is type(value):
        return False
    inner[last] = copy.deepcopy(value)
    return True
