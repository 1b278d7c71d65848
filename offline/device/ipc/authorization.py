"""What a component may do over IPC: the `accessControl` of its own merged configuration, which is denied by default.

https://docs.aws.amazon.com/greengrass/v2/developerguide/interprocess-communication.html#ipc-authorization-policies

Resources: `*` stands for any run of characters, slashes too, and `${*}` for an asterisk. Of the service mqttproxy they
may also be MQTT topic filters. Recipe variables are not expanded in them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from offline.device.ipc.errors import OperationError

PUBSUB: Final = "aws.greengrass.ipc.pubsub"
MQTT_PROXY: Final = "aws.greengrass.ipc.mqttproxy"
CLI: Final = "aws.greengrass.Cli"

_PARTS: Final = re.compile(r"\$\{(.)\}|(\*)|((?<![^/])\+(?![^/]))|(/#$|^#$)|(.)", re.DOTALL)


def check(
    configuration: Mapping[str, Any], *, component: str, service: str, operation: str, resource: str, lite: bool
) -> None:
    """Do nothing if the component may.

    Args:
        operation: its full name, "aws.greengrass#PublishToIoTCore".
        resource: a topic, or a topic filter as it was written.

    Raises:
        OperationError: UnauthorizedError.
    """
    for policy in _policies(configuration, service):
        operations, resources = policy.get("operations") or [], policy.get("resources") or []
        if not {"*", operation} & set(map(str, operations)):
            continue
        if any(covers(str(each), resource, mqtt=service == MQTT_PROXY, lite=lite) for each in resources):
            return
    raise OperationError(
        "UnauthorizedError",
        f"Principal {component} is not authorized to perform {service}:{operation} on resource {resource}",
    )


def covers(allowed: str, resource: str, *, mqtt: bool, lite: bool) -> bool:
    """Whether a resource of a policy stands for what is asked for.

    Args:
        mqtt: `+` and `#` are MQTT's wildcards, where they make up a whole level; else they are themselves.
        lite: `b/#` does not stand for `b`, as in nucleus lite; it does in the classic one.
    """

    def part(found: re.Match[str]) -> str:
        literal, glob, level, rest, other = found.groups()
        if glob:
            return ".*"
        if level and mqtt:
            return "[^/]*"
        if rest and mqtt:
            return ".*" if rest == "#" else "/.*" if lite else "(/.*)?"
        return re.escape(literal or level or rest or other)

    return re.fullmatch(_PARTS.sub(part, allowed), resource, re.DOTALL) is not None


def _policies(configuration: Mapping[str, Any], service: str) -> Iterator[Mapping[str, Any]]:
    """The policies of a service; what is not written as policies are grants nothing."""
    control = configuration.get("accessControl")
    policies = control.get(service) if isinstance(control, Mapping) else None
    for policy in policies.values() if isinstance(policies, Mapping) else ():
        if isinstance(policy, Mapping):
            yield policy
