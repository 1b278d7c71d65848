"""A device's identity and rights in AWS: `add` makes them, `remove` undoes it."""

from console.provisioning.adding import GROUPS, add
from console.provisioning.identity import Identity
from console.provisioning.removing import remove

__all__ = ["GROUPS", "Identity", "add", "remove"]
