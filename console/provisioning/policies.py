"""The IoT policy that one device alone has: what it may say and hear under its own name."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from console.project import PREFIX
from console.provisioning.gone import demand_gone, once_detached
from reefloop import contracts as c


def own_policy(thing: str) -> str:
    """The name of the policy that one device alone has."""
    return f"{PREFIX}{thing}"


def document(thing: str, *, iot_arn: str) -> dict[str, Any]:
    """What a device may say and hear: under its own name, the messages of this project and those of a core device,
    that is its jobs, its shadows and its health. IoT takes 2048 characters.

    A policy for each: policy variables of the thing do not work for core devices, and nucleus lite does not expand the
    thing's name in access control. https://docs.aws.amazon.com/greengrass/v2/developerguide/device-auth.html

    Args:
        iot_arn: what the ARNs of this account's topics begin with: arn:aws:iot:eu-west-1:123456789012.
    """
    ack, core = c.topic(thing, c.ACK), f"$aws/things/{thing}/*"

    def statement(action: str, *resources: str) -> dict[str, Any]:
        return {"Effect": "Allow", "Action": action, "Resource": [f"{iot_arn}:{one}" for one in resources]}

    return {
        "Version": "2012-10-17",
        "Statement": [
            # Nucleus classic opens more connections when it needs them: reef-1, reef-1#2.
            statement("iot:Connect", f"client/{thing}", f"client/{thing}#*"),
            statement("iot:Publish", *(f"topic/{c.topic(thing, kind)}" for kind in c.RECORDS), f"topic/{core}"),
            statement("iot:Subscribe", f"topicfilter/{ack}", f"topicfilter/{core}"),
            statement("iot:Receive", f"topic/{ack}", f"topic/{core}"),
        ],
    }


def make(iot: Any, name: str, wanted: Mapping[str, Any]) -> None:
    text = json.dumps(wanted)
    try:
        iot.create_policy(policyName=name, policyDocument=text)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
            raise
        if json.loads(iot.get_policy(policyName=name)["policyDocument"]) != wanted:
            _drop_versions(iot, name)  # there may be five
            iot.create_policy_version(policyName=name, policyDocument=text, setAsDefault=True)


def delete(iot: Any, name: str) -> Iterator[str]:
    try:
        for target in iot.list_targets_for_policy(policyName=name)["targets"]:
            iot.detach_policy(policyName=name, target=target)
        _drop_versions(iot, name)
        once_detached(iot.delete_policy, policyName=name)
    except ClientError as error:
        demand_gone(error)
        return
    yield f"deleted policy {name}"


def _drop_versions(iot: Any, name: str) -> None:
    for version in iot.list_policy_versions(policyName=name)["policyVersions"]:
        if not version["isDefaultVersion"]:
            iot.delete_policy_version(policyName=name, policyVersionId=version["versionId"])
