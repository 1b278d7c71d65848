"""The rules that a recipe must keep to work on nucleus classic and on nucleus lite.

Lite breaks most of them in silence: it cuts a script off at a brace it does not know, ignores keys it does not know,
and reports success. Each rule here was seen at work on nucleus lite 2.6.0.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.edge.access_rules import access_control

MAXIMUM_BYTES = 8_000  # lite takes 8,196
MAXIMUM_VALUE = 1_000  # lite fails between that and 2,000

KEYS = {
    "recipe": {
        "RecipeFormatVersion",
        "ComponentName",
        "ComponentVersion",
        "ComponentDescription",
        "ComponentPublisher",
        "ComponentConfiguration",
        "ComponentDependencies",
        "Manifests",
    },
    "configuration": {"DefaultConfiguration"},
    "dependency": {"VersionRequirement", "DependencyType"},
    "manifest": {"Name", "Platform", "Lifecycle", "Artifacts"},
    # board is what a classic nucleus is told of the device: its setting platformOverride
    "platform": {"os", "runtime", "architecture", "board"},
    "phase": {"Script", "Setenv", "Timeout", "RequiresPrivilege"},
    "artifact": {"Uri", "Unarchive", "Permission"},
}
# startup breaks on Debian 12, bootstrap reboots the machine, shutdown and recover never run on lite.
PHASES = {"install", "run"}
PATHS = {"artifacts:path", "artifacts:decompressedPath", "work:path"}
VARIABLES = PATHS | {"kernel:rootPath", "iot:thingName"}


def violations(text: str) -> list[str]:
    """What breaks a rule, one sentence each; empty for a recipe that works."""
    try:
        recipe = json.loads(text)
    except ValueError:
        return ["the recipe is not JSON: YAML turns every scalar into a string"]
    return list(_recipe(text, recipe))


def _recipe(text: str, recipe: Mapping[str, Any]) -> Iterator[str]:
    if len(text.encode()) > MAXIMUM_BYTES:
        yield f"the recipe has {len(text.encode())} bytes; at most {MAXIMUM_BYTES} are safe"
    yield from _unknown("recipe", recipe)
    name = str(recipe.get("ComponentName", ""))
    if not re.fullmatch(r"[a-zA-Z0-9_.-]{1,128}", name):
        yield f"ComponentName is {name!r}: letters, digits, dots, lines and hyphens, at most 128"
    if not re.fullmatch(r"\d{1,6}\.\d{1,6}\.\d{1,6}", str(recipe.get("ComponentVersion", ""))):
        yield f"ComponentVersion is {recipe.get('ComponentVersion')!r}: three numbers of up to six digits"
    configuration = recipe.get("ComponentConfiguration", {})
    yield from _unknown("configuration", configuration)
    defaults = configuration.get("DefaultConfiguration", {})
    for key, value in defaults.items():
        if key == "accessControl":
            yield from access_control(name, value)
        elif len(json.dumps(value)) > MAXIMUM_VALUE:
            yield f"configuration {key} has {len(json.dumps(value))} characters; about {MAXIMUM_VALUE} are taken"
    for needed, terms in recipe.get("ComponentDependencies", {}).items():
        yield from _dependency(needed, terms)
    manifests = recipe.get("Manifests")
    if not manifests:
        yield "there is no manifest"
    for manifest in manifests or []:
        yield from _manifest(manifest, defaults)


def _dependency(needed: str, terms: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown("dependency", terms)
    if needed == "aws.greengrass.NucleusLite":
        yield f"a dependency on {needed} makes a local deployment fail, and on classic there is none"
    if terms.get("DependencyType", "HARD") not in ("HARD", "SOFT"):
        yield f"DependencyType of {needed} is {terms['DependencyType']!r}: HARD or SOFT"


def _manifest(manifest: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown("manifest", manifest)
    platform = manifest.get("Platform", {})
    yield from _unknown("platform", platform)
    if platform.get("os") not in ("linux", "all", "*"):
        yield f"Platform os is {platform.get('os')!r}: lite skips a manifest without os"
    if platform.get("runtime") not in ("*", "aws_nucleus_lite"):
        yield f"Platform runtime is {platform.get('runtime')!r}: lite skips a manifest without runtime"
    if platform.get("architecture", "*") not in ("*", "amd64", "aarch64", "arm", "x86"):
        yield f"Platform architecture is {platform['architecture']!r}: amd64, aarch64, arm, x86 or *"
    lifecycle = manifest.get("Lifecycle", {})
    for name, phase in lifecycle.items():
        if name == "Setenv":
            yield from _setenv(phase)
        elif name not in PHASES:
            yield f"lifecycle phase {name!r}: only {', '.join(sorted(PHASES))} work everywhere, in lower case"
        else:
            yield from _phase(name, phase, defaults)
    if not set(lifecycle) & {"run"}:
        yield "there is no run phase: an install-only component never gets an outcome"
    for artifact in manifest.get("Artifacts", []):
        yield from _unknown("artifact", artifact)
        if artifact.get("Unarchive", "NONE") not in ("NONE", "ZIP"):
            yield f"Unarchive is {artifact['Unarchive']!r}: Greengrass unpacks ZIP alone"


def _phase(name: str, phase: Any, defaults: Mapping[str, Any]) -> Iterator[str]:
    terms = phase if isinstance(phase, Mapping) else {"Script": phase}
    yield from _unknown("phase", terms)
    yield from _setenv(terms.get("Setenv", {}))
    if "Timeout" in terms and type(terms["Timeout"]) is not int:
        yield f"Timeout of {name} is {terms['Timeout']!r}: a literal integer"
    if terms.get("RequiresPrivilege"):
        yield f"{name} asks for root"
    script = terms.get("Script", "")
    if not isinstance(script, str) or not script.strip():
        yield f"{name} has no script"
        return
    if "\n" in script.strip() or re.search(r";|&|\|", script):
        yield f"{name} has more than one command: logic belongs into an artifact file"
    yield from _variables(name, script, defaults)


def _variables(name: str, script: str, defaults: Mapping[str, Any]) -> Iterator[str]:
    quoted = [found[1] for found in re.finditer(r'"(?:[^"\\]|\\.)*?\{([^{}]*)\}(?=[^"]*")', script)]
    for brace in re.finditer(r"\{([^{}]*)(\}?)", script):
        variable, closed = brace[1], brace[2]
        if closed and variable in VARIABLES:
            if variable in PATHS and variable not in quoted:
                yield f"{name}: {{{variable}}} is not in double quotes"
        elif closed and variable.startswith("configuration:/"):
            yield from _pointer(name, variable.removeprefix("configuration:/"), defaults)
            if variable not in quoted:
                yield f"{name}: {{{variable}}} is not in double quotes, for which alone its value is escaped"
        else:
            yield f"{name}: {brace[0]!r} is no supported variable: lite cuts the script off there"
    if "}" in re.sub(r"\{[^{}]*\}", "", script):
        yield f"{name}: a closing brace without a variable"


def _pointer(name: str, pointer: str, defaults: Mapping[str, Any]) -> Iterator[str]:
    """A value of the configuration in a script: a text that is there."""
    value: Any = defaults
    for part in pointer.split("/"):
        if isinstance(value, list):
            yield f"{name}: {{configuration:/{pointer}}} counts into a list, which lite does not"
            return
        if not isinstance(value, Mapping) or part not in value:
            yield f"{name}: {{configuration:/{pointer}}} has no default: without a value the script is cut off there"
            return
        value = value[part]
    if not isinstance(value, str):
        yield f"{name}: {{configuration:/{pointer}}} is no text: others change, 1.25 to 1.2500000000000000"


def _setenv(variables: Any) -> Iterator[str]:
    for key, value in variables.items():
        if not isinstance(value, str):
            yield f"Setenv {key} is {value!r}: anything but a string empties the whole script"
        elif re.search(r"[\s;&|<>()$`\"'\\*?]", value):
            yield f"Setenv {key} is {value!r}: it is written unquoted, so no blanks and no shell characters"


def _unknown(part: str, value: Mapping[str, Any]) -> Iterator[str]:
    for key in value:
        if key not in KEYS[part]:
            yield f"unknown key {key!r} in a {part}: keys are case-sensitive, known are {', '.join(sorted(KEYS[part]))}"
