"""Every resource type of the account: its name in a template → what makes, changes and removes it."""

from collections.abc import Mapping

from offline.cloudformation.resource import ResourceType
from offline.cloudformation.types import (
    building,
    events,
    identity,
    machines,
    network,
    people,
    running,
    storage,
    tables,
    things,
)

TYPES: Mapping[str, ResourceType] = {
    **storage.TYPES,
    **tables.TYPES,
    **identity.TYPES,
    **running.TYPES,
    **building.TYPES,
    **events.TYPES,
    **people.TYPES,
    **things.TYPES,
    **network.TYPES,
    **machines.TYPES,
}
