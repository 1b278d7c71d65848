"""Makes a thing of AWS IoT that a Greengrass core can be, with the rights of one device of this project.

https://docs.aws.amazon.com/greengrass/v2/developerguide/manual-installation.html
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from console.clients import Clients
from console.errors import Refusal
from console.project import Project
from console.provisioning import policies
from console.provisioning.gone import demand_gone
from console.provisioning.identity import Identity
from console.provisioning.removing import groups_of

GROUPS: Final[Mapping[str, str]] = {"canary": "CanaryGroup", "fleet": "FleetGroup"}

# Names of things may have a colon, those of policies and of core devices may not; a policy's has 128 characters.
_THING: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")


def add(clients: Clients, project: Project, thing: str, *, group: str, folder: Path) -> Identity:
    """Make a thing of the project, or finish what was begun; run again, it changes nothing.

    Args:
        group: a key of GROUPS; a device of the other one changes over.
        folder: where its key and certificate are, or are written.

    Raises:
        Refusal: no such name is possible, or the thing's key is somewhere else.
        Failure: the project is not deployed.
    """
    if not _THING.fullmatch(thing):
        raise Refusal(f"{thing!r} cannot be a device's name: take up to 100 letters, digits, hyphens and underscores")
    iot = clients("iot")
    shared, own = project.output("deployment", "IotPolicy"), policies.own_policy(thing)
    base, wanted = (_group(project, name) for name in ("BaseGroup", GROUPS[group]))
    others = {_group(project, name) for name in GROUPS.values()} - {wanted}
    iot_arn = str(iot.describe_thing_group(thingGroupName=base)["thingGroupArn"]).rpartition(":")[0]
    _make_thing(iot, thing)
    identity = Identity(folder)
    _certify(iot, thing, identity, iot_arn=iot_arn)
    policies.make(iot, own, policies.document(thing, iot_arn=iot_arn))
    for policy in (shared, own):
        iot.attach_policy(policyName=policy, target=identity.certificate_arn)
    iot.attach_thing_principal(thingName=thing, principal=identity.certificate_arn)
    # Two groups with a model each could not be merged on the device.
    for name in others & groups_of(iot, thing):
        iot.remove_thing_from_thing_group(thingGroupName=name, thingName=thing)
    for name in (base, wanted):
        iot.add_thing_to_thing_group(thingGroupName=name, thingName=thing)
    return identity


def _make_thing(iot: Any, thing: str) -> None:
    try:
        iot.create_thing(thingName=thing)
    except ClientError as error:  # it is there and somebody gave it attributes
        if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
            raise


def _certify(iot: Any, thing: str, identity: Identity, *, iot_arn: str) -> None:
    """Give a thing a certificate, unless it has the one of the folder."""
    there, arn = iot.list_thing_principals(thingName=thing)["principals"], identity.certificate_arn
    status, users = _use(iot, arn) if arn else ("", [])
    # One that no thing has was made, and then something went wrong.
    if arn in there or (status == "ACTIVE" and not users and not there):
        return
    if there:
        raise Refusal(
            f"{thing} has a certificate, whose key is not in {identity.folder}: name its folder with --out, or remove "
            f"the device first (`python -m console device remove {thing}`)"
        )
    if users or (identity.key.exists() and not arn.startswith(f"{iot_arn}:")):
        raise Refusal(f"{identity.folder} has the key of another device: name another folder with --out")
    try:
        identity.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refusal(f"{identity.folder} cannot be made ({error}): name another folder with --out") from error
    identity.write(iot.create_keys_and_certificate(setAsActive=True))


def _use(iot: Any, arn: str) -> tuple[str, list[str]]:
    """The status of a certificate, "" if there is none, and the things that have it."""
    try:
        found = iot.describe_certificate(certificateId=arn.rpartition("/")[2])
    except ClientError as error:
        demand_gone(error)
        return "", []
    return found["certificateDescription"]["status"], iot.list_principal_things(principal=arn)["things"]


def _group(project: Project, output: str) -> str:
    return project.output("deployment", output).rsplit("/", 1)[-1]
