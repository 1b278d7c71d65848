"""Takes a device and its rights out of the account, as far as they are the project's."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from console.clients import Clients
from console.errors import Refusal
from console.project import Project
from console.provisioning import policies
from console.provisioning.gone import demand_gone, once_detached


def remove(clients: Clients, project: Project, thing: str) -> Iterator[str]:
    """Take a device out of the project, a line for each thing that is gone. What it sent stays.

    It leaves the project's groups last: a removal that was broken off is finished when it is called again.

    A thing that is in somebody else's group too only leaves the project's groups, and loses the project's rights.

    Raises:
        Refusal: it is in none of the project's groups.
    """
    iot = clients("iot")
    ours = {name.rsplit("/", 1)[-1] for name in project.thing_groups.values()}
    try:
        groups = groups_of(iot, thing)
    except ClientError as error:
        demand_gone(error)
        groups = set()
    if not groups & ours:
        raise Refusal(f"no device of this project is called {thing!r}: `python -m console report --devices` shows them")
    principals = iot.list_thing_principals(thingName=thing)["principals"]
    if groups - ours:
        _take_rights(iot, project, principals)
    else:
        _delete_core_device(clients("greengrassv2"), thing)
        for principal in principals:
            yield from _delete_certificate(iot, thing, principal)
    yield from policies.delete(iot, policies.own_policy(thing))
    for group in sorted(groups & ours):
        iot.remove_thing_from_thing_group(thingGroupName=group, thingName=thing)
    if groups - ours:
        yield f"took thing {thing} out of {', '.join(sorted(groups & ours))} (it is also in {min(groups - ours)})"
    else:
        once_detached(iot.delete_thing, thingName=thing)
        yield f"deleted core device and thing {thing}"


def groups_of(iot: Any, thing: str) -> set[str]:
    """The names of the groups that a thing is in."""
    return {group["groupName"] for group in iot.list_thing_groups_for_thing(thingName=thing)["thingGroups"]}


def _take_rights(iot: Any, project: Project, principals: list[str]) -> None:
    shared = project.optional("deployment", "IotPolicy")
    for principal in principals:
        for policy in iot.list_attached_policies(target=principal)["policies"]:
            if policy["policyName"] == shared:
                iot.detach_policy(policyName=shared, target=principal)


def _delete_core_device(greengrass: Any, thing: str) -> None:
    try:
        greengrass.delete_core_device(coreDeviceThingName=thing)
    except ClientError as error:
        demand_gone(error)  # a thing that never connected is no core device yet


def _delete_certificate(iot: Any, thing: str, principal: str) -> Iterator[str]:
    """Detach an identity from its thing, and delete it unless other things use it as well: first what it may do."""
    things = iot.list_principal_things(principal=principal)["things"]
    is_its_own = ":cert/" in principal and set(things) <= {thing}
    certificate = principal.rpartition("/")[2]
    if is_its_own:
        for policy in iot.list_attached_policies(target=principal)["policies"]:
            iot.detach_policy(policyName=policy["policyName"], target=principal)
        iot.update_certificate(certificateId=certificate, newStatus="INACTIVE")
    iot.detach_thing_principal(thingName=thing, principal=principal)
    if is_its_own:
        once_detached(iot.delete_certificate, certificateId=certificate)
        yield f"deleted certificate {certificate[:12]}…"
