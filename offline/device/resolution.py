"""What a device should run: its deployments merged, dependencies resolved, manifests picked. Pure.

Rules: https://docs.aws.amazon.com/greengrass/v2/developerguide/manage-deployments.html and
https://docs.aws.amazon.com/greengrass/v2/developerguide/component-recipe-reference.html
"""

import copy
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from offline.device.versions import parse, satisfies

# What a core device brings along or what would only tune it: nothing to fetch and nothing to run.
BUILT_IN_PREFIX: Final = "aws.greengrass."

# Nucleus lite takes a manifest only if these are given: a recipe without them deploys nothing there.
LITE_DEMANDS: Final = ("os", "runtime")


class Unresolvable(Exception):
    """The deployments cannot be satisfied; `code` is Greengrass's own for the kind of failure."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Root:
    """A component that a deployment asks for; `update` is its configurationUpdate."""

    version: str
    update: Mapping[str, Any]


@dataclass(frozen=True)
class Wanted:
    """One component to run, with the manifest of this device and the configuration to run it with."""

    name: str
    version: str
    root: bool
    manifest: Mapping[str, Any]
    configuration: Mapping[str, Any]
    dependencies: tuple[str, ...]


# The recipes of a component by version, and the configuration that the device has for a component (None: never had).
Recipes = Callable[[str], Mapping[str, Mapping[str, Any]]]
Current = Callable[[str], Mapping[str, Any] | None]


def resolve(
    groups: Mapping[str, Mapping[str, Root]],
    *,
    fresh: str,
    recipes: Recipes,
    current: Current,
    platform: Mapping[str, str],
) -> list[Wanted]:
    """The components to run, dependencies before what depends on them.

    Args:
        groups: what each target (thing or thing group) asks for, by component name.
        fresh: the target whose deployment is being processed: only its configuration updates are applied.

    Raises:
        Unresolvable: versions conflict, a component is missing, or none of its manifests fits the device.
    """
    requirements: dict[str, dict[str, str]] = {}
    for target, roots in groups.items():
        for name, root in roots.items():
            requirements.setdefault(name, {})[target] = f"={root.version}"
    updates = {name: root.update for name, root in groups.get(fresh, {}).items()}
    found: dict[str, Wanted] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in found or name.startswith(BUILT_IN_PREFIX):
            return
        if name in path:
            raise Unresolvable("CIRCULAR_DEPENDENCY_ERROR", f"components depend on each other: {' -> '.join(path)}")
        version, recipe = _pick(name, requirements[name], recipes(name))
        dependencies = recipe.get("ComponentDependencies", {})
        for needed, terms in dependencies.items():
            requirements.setdefault(needed, {})[name] = terms["VersionRequirement"]
            visit(needed, (*path, name))
        manifest = pick_manifest(name, recipe, platform)
        configuration = configure(recipe, current=current(name), update=updates.get(name, {}))
        is_root = any(name in roots for roots in groups.values())
        found[name] = Wanted(name, version, is_root, manifest, configuration, tuple(dependencies))

    for name in sorted(requirements):
        visit(name, ())
    _check_again(found, requirements)
    return list(found.values())


def pick_manifest(name: str, recipe: Mapping[str, Any], platform: Mapping[str, str]) -> Mapping[str, Any]:
    """The first manifest whose platform the device has.

    Raises:
        Unresolvable: none fits.
    """
    for manifest in recipe["Manifests"]:
        if fits(manifest.get("Platform", {}), platform):
            chosen: Mapping[str, Any] = manifest
            return chosen
    raise Unresolvable(
        "NO_AVAILABLE_COMPONENT_VERSION",
        f"no manifest of {name} {recipe['ComponentVersion']} fits the device's platform {dict(platform)}",
    )


def fits(wanted: Mapping[str, str], platform: Mapping[str, str]) -> bool:
    """Whether a manifest's Platform describes this device. Values are literal, `*` or /a regular expression/."""
    if platform.get("runtime") == "aws_nucleus_lite" and not all(key in wanted for key in LITE_DEMANDS):
        return False
    return all(_matches(value, platform.get(key), key) for key, value in wanted.items())


def _matches(wanted: str, given: str | None, key: str) -> bool:
    if wanted == "*" or (key == "os" and wanted == "all"):
        return True
    if given is None:
        return False
    if len(wanted) > 1 and wanted.startswith("/") and wanted.endswith("/"):
        return re.fullmatch(wanted[1:-1], given) is not None
    return wanted == given


def configure(
    recipe: Mapping[str, Any], *, current: Mapping[str, Any] | None, update: Mapping[str, Any]
) -> dict[str, Any]:
    """The configuration of a component after a deployment.

    First resets, then the recipe's defaults where nothing is set, then the merge. A value that the device has stays,
    other defaults in a new version notwithstanding: a deployment that wants those must reset "" or the single key.
    https://docs.aws.amazon.com/greengrass/v2/developerguide/update-component-configurations.html
    """
    configuration: dict[str, Any] = copy.deepcopy(dict(current or {}))
    for pointer in update.get("reset") or []:
        _reset(configuration, pointer)
    defaults = recipe.get("ComponentConfiguration", {}).get("DefaultConfiguration", {})
    configuration = _merged(defaults, configuration)
    return _merged(configuration, json.loads(update.get("merge") or "{}"))


def _reset(configuration: dict[str, Any], pointer: str) -> None:
    if pointer == "":
        configuration.clear()
        return
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    value: Any = configuration
    for part in parents:
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, dict):
        value.pop(last, None)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(dict(base))
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else copy.deepcopy(value)
    return merged


def _pick(
    name: str, requirements: Mapping[str, str], recipes: Mapping[str, Mapping[str, Any]]
) -> tuple[str, Mapping[str, Any]]:
    """The newest version that everybody who asked for the component accepts."""
    for version in sorted(recipes, key=parse, reverse=True):
        if all(satisfies(version, requirement) for requirement in requirements.values()):
            return version, recipes[version]
    raise Unresolvable("NO_AVAILABLE_COMPONENT_VERSION", _no_version(name, requirements, list(recipes)))


def _check_again(found: Mapping[str, Wanted], requirements: Mapping[str, Mapping[str, str]]) -> None:
    """A component picked early may displease one that was visited later."""
    for name, wanted in found.items():
        if not all(satisfies(wanted.version, requirement) for requirement in requirements[name].values()):
            message = _no_version(name, requirements[name], [wanted.version])
            raise Unresolvable("NO_AVAILABLE_COMPONENT_VERSION", message)


def _no_version(name: str, requirements: Mapping[str, str], versions: Sequence[str]) -> str:
    asked = ", ".join(f"{who.rpartition(':')[2]} {what}" for who, what in requirements.items())
    return f"no version of {name} satisfies {{{asked}}}; there are {', '.join(versions) or 'none'}"
