"""Machines: launch templates and instances. moto keeps what an instance is; nothing runs."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

from offline.cloudformation.resource import Made, Order, ResourceType, whole
from offline.cloudformation.types.network import Tagged

_DISK_NUMBERS = ("VolumeSize", "Iops", "Throughput")


class LaunchTemplate(ResourceType):
    """Its data never change: a change is a new version, which becomes the default one."""

    properties = frozenset({"LaunchTemplateData", "LaunchTemplateName", "TagSpecifications", "VersionDescription"})
    replaced_by = frozenset({"LaunchTemplateName", "TagSpecifications"})

    def create(self, order: Order) -> Made:
        made = order.client("ec2").create_launch_template(
            LaunchTemplateName=order.get("LaunchTemplateName") or order.name(longest=128),
            LaunchTemplateData=order["LaunchTemplateData"],
            **order.take("TagSpecifications", "VersionDescription"),
        )["LaunchTemplate"]
        return _versioned(made["LaunchTemplateId"], made["LatestVersionNumber"])

    def update(self, order: Order, made: Made, old: Mapping[str, Any]) -> Made:
        if order["LaunchTemplateData"] == old["LaunchTemplateData"]:
            return made
        ec2 = order.client("ec2")
        version = ec2.create_launch_template_version(
            LaunchTemplateId=made.id,
            LaunchTemplateData=order["LaunchTemplateData"],
            **order.take("VersionDescription"),
        )["LaunchTemplateVersion"]["VersionNumber"]
        ec2.modify_launch_template(LaunchTemplateId=made.id, DefaultVersion=str(version))
        return _versioned(made.id, version)

    def delete(self, order: Order, made: Made) -> None:
        order.client("ec2").delete_launch_template(LaunchTemplateId=made.id)


class Instance(Tagged):
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-instance.html"""

    _GIVEN = ("ImageId", "InstanceType", "InstanceInitiatedShutdownBehavior", "LaunchTemplate", "MetadataOptions",
              "SecurityGroupIds", "SubnetId")  # fmt: skip
    properties = frozenset(
        {*_GIVEN, "BlockDeviceMappings", "IamInstanceProfile", "PropagateTagsToVolumeOnCreation", "Tags", "UserData"}
    )
    replaced_by = frozenset({"BlockDeviceMappings", "IamInstanceProfile", "ImageId", "LaunchTemplate", "SubnetId"})

    def create(self, order: Order) -> Made:
        given = order.take(*self._GIVEN)
        if disks := order.get("BlockDeviceMappings"):
            given["BlockDeviceMappings"] = whole(disks, _DISK_NUMBERS)
        if profile := order.get("IamInstanceProfile"):
            given["IamInstanceProfile"] = {"Name": profile}
        if data := order.get("UserData"):
            given["UserData"] = base64.b64decode(data)  # the client encodes it
        if tags := order.get("Tags"):
            kinds = ["instance", *(["volume"] if order.get("PropagateTagsToVolumeOnCreation") else [])]
            given["TagSpecifications"] = [{"ResourceType": kind, "Tags": tags} for kind in kinds]
        instance = order.client("ec2").run_instances(MinCount=1, MaxCount=1, **given)["Instances"][0]
        names = {name: instance.get(name, "") for name in ("InstanceId", "VpcId", "PrivateDnsName")}
        return Made(instance["InstanceId"], {**names, "PrivateIp": instance.get("PrivateIpAddress", "")})

    def update(self, order: Order, made: Made, old: Mapping[str, Any]) -> Made:
        changed = {name for name in order.properties.keys() | old.keys() if order.get(name) != old.get(name)}
        ec2 = order.client("ec2")
        if stopped := changed & {"InstanceType", "UserData"}:
            ec2.stop_instances(InstanceIds=[made.id])
        for name in sorted(changed & _CHANGES.keys()):
            _CHANGES[name](ec2, made.id, order.get(name))
        if stopped:
            ec2.start_instances(InstanceIds=[made.id])
        return super().update(order, made, old)

    def delete(self, order: Order, made: Made) -> None:
        order.client("ec2").terminate_instances(InstanceIds=[made.id])


# Property → the call that changes it.
_CHANGES: Mapping[str, Callable[[Any, str, Any], Any]] = {
    "InstanceType": lambda ec2, id_, value: ec2.modify_instance_attribute(
        InstanceId=id_, InstanceType={"Value": value}
    ),
    # The template's value is encoded, as moto wants it; AWS would want it decoded.
    "UserData": lambda ec2, id_, value: ec2.modify_instance_attribute(
        InstanceId=id_, UserData={"Value": (value or "").encode()}
    ),
    "InstanceInitiatedShutdownBehavior": lambda ec2, id_, value: ec2.modify_instance_attribute(
        InstanceId=id_, InstanceInitiatedShutdownBehavior={"Value": value or "stop"}
    ),
    "SecurityGroupIds": lambda ec2, id_, value: ec2.modify_instance_attribute(InstanceId=id_, Groups=value),
    "MetadataOptions": lambda ec2, id_, value: ec2.modify_instance_metadata_options(InstanceId=id_, **(value or {})),
}


def _versioned(template: str, version: int) -> Made:
    names = {"LaunchTemplateId": template, "LatestVersionNumber": str(version), "DefaultVersionNumber": str(version)}
    return Made(template, names)


TYPES: Mapping[str, ResourceType] = {
    "AWS::EC2::LaunchTemplate": LaunchTemplate(),
    "AWS::EC2::Instance": Instance(),
}
