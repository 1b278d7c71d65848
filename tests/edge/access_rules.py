"""What a component may ask of the nucleus: the rules of accessControl, and that nothing is allowed which is not used.

https://docs.aws.amazon.com/greengrass/v2/developerguide/interprocess-communication.html#ipc-authorization-policies
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

PREFIX = "aws.greengrass#"
OPERATIONS = {
    "aws.greengrass.ipc.mqttproxy": {"PublishToIoTCore", "SubscribeToIoTCore"},
    "aws.greengrass.ipc.pubsub": {"PublishToTopic", "SubscribeToTopic"},
}
KEYS = {"policyDescription", "operations", "resources"}


def access_control(component: str, services: Mapping[str, Any]) -> Iterator[str]:
    """What breaks a rule, one sentence each."""
    for service, policies in services.items():
        if service not in OPERATIONS:
            yield f"accessControl names {service!r}: known are {', '.join(sorted(OPERATIONS))}"
            continue
        for policy, terms in policies.items():
            if not policy.startswith(f"{component}:"):
                yield f"policy {policy!r}: names are unique on a device, so they begin with the component's"
            yield from _policy(service, policy, terms)


def _policy(service: str, policy: str, terms: Mapping[str, Any]) -> Iterator[str]:
    for key in terms.keys() - KEYS:
        yield f"unknown key {key!r} in policy {policy}: keys are case-sensitive, known are {', '.join(sorted(KEYS))}"
    for operation in terms.get("operations") or ["nothing"]:
        if operation == "*" or operation.removeprefix(PREFIX) not in OPERATIONS[service]:
            yield f"{policy} allows {operation!r}: name what is used, as {PREFIX}{min(OPERATIONS[service])}"
        elif not operation.startswith(PREFIX):
            yield f"{policy} allows {operation!r}: operations have their full names, {PREFIX}{operation}"
    for resource in terms.get("resources") or ["nothing"]:
        if "{" in resource:
            yield f"{policy} has {resource!r}: lite expands no variable there, write * for the thing's name"
        elif "/" not in resource or resource.startswith("*"):
            yield f"{policy} has {resource!r}: name the topics that are used"
        elif "#" in resource:
            yield f"{policy} has {resource!r}: a topic with # in it makes the broker disconnect the nucleus"
        elif "+" in resource and service.endswith("pubsub"):
            yield f"{policy} has {resource!r}: + is a plain character in local topics"
        elif re.search(r"\$(?!\{\*\})", resource):
            yield f"{policy} has {resource!r}: topics with $ are AWS's own"
