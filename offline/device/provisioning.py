"""Makes an IoT thing a core device, as the AWS IoT Greengrass Core installer does it.

https://docs.aws.amazon.com/greengrass/v2/developerguide/manual-installation.html
"""

from collections.abc import Mapping, Sequence
from typing import Final

from offline.device.certificate import Certificate
from offline.device.core import CoreDevice
from offline.device.credentials import Exchange
from offline.state import State

LAPTOP: Final[Mapping[str, str]] = {"os": "linux", "architecture": "amd64", "runtime": "aws_nucleus_lite"}


def provision(
    state: State,
    thing: str,
    *,
    groups: Sequence[str],
    platform: Mapping[str, str] = LAPTOP,
    role_alias: str = "",
    policy: str = "",
    settle_seconds: float = 1.0,
) -> CoreDevice:
    """A core device, registered with IoT and not yet started.

    Args:
        groups: names of the thing groups that it joins; they must exist.
        platform: attributes of the device, beside those of a laptop: {"architecture": "aarch64", "board": "..."}.
        role_alias: what its certificate is exchanged through; may be left out when the account has only one.
        policy: the IoT policy of its certificate; may be left out when the account has only one.

    Raises:
        ValueError: the role alias or the policy is not given and not the only one.
    """
    iot = state.client("iot")
    names = [found["policyName"] for found in iot.list_policies()["policies"]]
    policy = policy or _only(names, "IoT policy", "policy")
    role_alias = role_alias or _only_role_alias(state)

    iot.create_thing(thingName=thing)
    certificate = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_policy(policyName=policy, target=certificate["certificateArn"])
    iot.attach_thing_principal(thingName=thing, principal=certificate["certificateArn"])
    for group in groups:
        iot.add_thing_to_thing_group(thingGroupName=group, thingName=thing)
    return install(
        state,
        thing,
        certificate_arn=certificate["certificateArn"],
        platform=platform,
        role_alias=role_alias,
        settle_seconds=settle_seconds,
    )


def install(
    state: State,
    thing: str,
    *,
    certificate_arn: str,
    platform: Mapping[str, str] = LAPTOP,
    role_alias: str = "",
    settle_seconds: float = 1.0,
) -> CoreDevice:
    """A core device, not yet started, of a thing that is registered already: its certificate and groups are as
    somebody made them. The other arguments are those of `provision`."""
    root = state.folder / "devices" / thing
    root.mkdir(parents=True, exist_ok=True)
    device = CoreDevice(
        state,
        thing,
        root=root,
        platform={**LAPTOP, **platform},
        exchange=Exchange(
            state,
            role_alias=role_alias or _only_role_alias(state),
            certificate_id=certificate_arn.rpartition("/")[2],
        ),
        settle_seconds=settle_seconds,
    )
    device.link.permits = Certificate(state, certificate_arn)
    return device


def _only_role_alias(state: State) -> str:
    return _only(state.client("iot").list_role_aliases()["roleAliases"], "role alias", "role_alias")


def _only(names: Sequence[str], what: str, parameter: str) -> str:
    if len(names) != 1:
        raise ValueError(f"the account has {len(names)} of: {what} ({', '.join(names)}); say which with {parameter}=")
    return names[0]
