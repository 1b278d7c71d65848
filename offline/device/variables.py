"""Recipe variables, as the nucleus puts their values into lifecycle scripts.

https://docs.aws.amazon.com/greengrass/v2/developerguide/component-recipe-reference.html#recipe-variables

Nucleus lite takes any brace for the start of a variable and, at one that it does not know, cuts the script off there
and runs what is left; here such a script fails the deployment instead, since it would not do what it says.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

_VARIABLE = re.compile(r"\{([^{}]*)\}?")


class UnknownVariable(Exception):
    """A brace that starts no variable with a value."""


def expand(script: str, *, configuration: Mapping[str, Any], system: Mapping[str, str]) -> str:
    """The script with every variable replaced.

    Args:
        configuration: the component's merged configuration, for {configuration:/key}.
        system: values of the variables of the nucleus by name: "artifacts:path", "work:path", "iot:thingName", ...

    Raises:
        UnknownVariable: naming the brace.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if found[0].endswith("}") and name in system:
            return system[name]
        if found[0].endswith("}") and name.startswith("configuration:/"):
            return escape(_at(configuration, name.removeprefix("configuration:"), found[0]))
        raise UnknownVariable(
            f"{found[0]!r} in {script!r} is no variable with a value; known are "
            f"{', '.join(sorted(system))} and configuration:/<key>. Other braces belong into an artifact file"
        )

    return _VARIABLE.sub(value, script)


def escape(value: Any) -> str:
    """A configuration value as nucleus lite writes it: text escaped for double quotes, anything else as JSON."""
    if isinstance(value, str):
        return re.sub(r'(["\\$`])', r"\\\1", value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _at(configuration: Mapping[str, Any], pointer: str, variable: str) -> Any:
    value: Any = configuration
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(value, Mapping) or key not in value:
            raise UnknownVariable(f"{variable}: the component's configuration has no {pointer}")
        value = value[key]
    return value
