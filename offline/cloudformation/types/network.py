"""Networks: a VPC, its subnets, routes, gateways and security groups."""

from collections.abc import Iterable, Mapping
from typing import Any

from offline.cloudformation.resource import Made, Order, ResourceType, tag_map, whole

ANYWHERE = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
"""What a new security group lets out, as the API writes it."""
# CloudFormation's one target of a rule → the API's list of them.
_TARGETS = {
    "CidrIp": ("IpRanges", "CidrIp"),
    "CidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
    "DestinationPrefixListId": ("PrefixListIds", "PrefixListId"),
    "SourcePrefixListId": ("PrefixListIds", "PrefixListId"),
    "DestinationSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    "SourceSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
}


class Tagged(ResourceType):
    """Something of EC2: tags are set by a call of their own."""

    def update(self, order: Order, made: Made, old: Mapping[str, Any]) -> Made:
        before, now = tag_map(old.get("Tags")), tag_map(order.get("Tags"))
        ec2 = order.client("ec2")
        if gone := before.keys() - now.keys():
            ec2.delete_tags(Resources=[made.id], Tags=[{"Key": key} for key in sorted(gone)])
        if now and now != before:
            ec2.create_tags(Resources=[made.id], Tags=[{"Key": key, "Value": value} for key, value in now.items()])
        return made


class Vpc(Tagged):
    properties = frozenset({"CidrBlock", "EnableDnsHostnames", "EnableDnsSupport", "InstanceTenancy", "Tags"})
    replaced_by = frozenset({"CidrBlock", "InstanceTenancy"})

    def create(self, order: Order) -> Made:
        vpc = order.client("ec2").create_vpc(**order.take("CidrBlock", "InstanceTenancy"))["Vpc"]
        return self.update(order, Made(vpc["VpcId"], {"VpcId": vpc["VpcId"], "CidrBlock": vpc["CidrBlock"]}), {})

    def update(self, order: Order, made: Made, old: Mapping[str, Any]) -> Made:
        for name in ("EnableDnsSupport", "EnableDnsHostnames"):
            if name in order.properties and order[name] != old.get(name):
                order.client("ec2").modify_vpc_attribute(VpcId=made.id, **{name: {"Value": order[name]}})
        return super().update(order, made, old)

    def delete(self, order: Order, made: Made) -> None:
        order.client("ec2").delete_vpc(VpcId=made.id)


class Subnet(Tagged):
    properties = frozenset({"AvailabilityZone", "CidrBlock", "MapPublicIpOnLaunch", "Tags", "VpcId"})
    replaced_by = frozenset({"AvailabilityZone", "CidrBlock", "VpcId"})

    def create(self, order: Order) -> Made:
        given = order.take("AvailabilityZone", "CidrBlock", "VpcId")
        subnet = order.client("ec2").create_subnet(**given)["Subnet"]
        names = {"SubnetId": subnet["SubnetId"], "AvailabilityZone": subnet["AvailabilityZone"]}
        return self.update(order, Made(subnet["SubnetId"], names), {})

    def update(self, order: Order, made: Made, old: Mapping[str, Any]) -> Made:
        if (public := order.get("MapPublicIpOnLaunch", False)) != old.get("MapPublicIpOnLaunch", False):
            order.client("ec2").modify_subnet_attribute(SubnetId=made.id, MapPublicIpOnLaunch={"Value": public})
        return super().update(order, made, old)

    def delete(self, order: Order, made: Made) -> None:
        order.client("ec2").delete_subnet(SubnetId=made.id)


class InternetGateway(Tagged):
    properties = frozenset({"Tags"})
    replaced_by: frozenset[str] = frozenset()

    def create(self, order: Order) -> Made:
        gateway = order.client("ec2").create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        return self.update(order, Made(gateway, {"InternetGatewayId": gateway}), {})

    def delete(self, order: Order, made: Made) -> None:
        order.client("ec2").delete_internet_gateway(InternetGatewayId=made.id)


class GatewayAttachment(ResourceType):
    """A network's way to the internet. Every change replaces it."""

    properties = frozenset({"InternetGatewayId", "VpcId"})

    def create(self, order: Order) -> Made:
        order.client("ec2").attach_internet_gateway(**order.properties)
        return Made(f"IGW|{order['VpcId']}", {"AttachmentType": "IGW"})

    def delete(self, order: Order, _: Made) -> None:
        order.client("ec2").detach_internet_gateway(**order.properties)


class RouteTable(Tagged):
    properties = frozenset({"Tags", "VpcId"})
    replaced_by = frozenset({"VpcId"})

    def create(self, order: Order) -> Made:
        table = order.client("ec2").create_route_table(VpcId=order["VpcId"])["RouteTable"]["RouteTableId"]
        return self.update(order, Made(table, {"RouteTableId": table}), {})

    def delete(self, order: Order, made: Made) -> None:
        order.client("ec2").delete_route_table(RouteTableId=made.id)


class RouteTableAssociation(ResourceType):
    """The table of a subnet. Every change replaces it."""

    properties = frozenset({"RouteTableId", "SubnetId"})

    def create(self, order: Order) -> Made:
        association = order.client("ec2").associate_route_table(**order.properties)["AssociationId"]
        return Made(association, {"Id": association})

    def delete(self, order: Order, made: Made) -> None:
        order.client("ec2").disassociate_route_table(AssociationId=made.id)


class Route(ResourceType):
    """One line of a route table. Every change replaces it."""

    properties = frozenset({"DestinationCidrBlock", "GatewayId", "RouteTableId"})

    def create(self, order: Order) -> Made:
        order.client("ec2").create_route(**order.properties)
        return Made(f"{order['RouteTableId']}|{order['DestinationCidrBlock']}")

    def delete(self, order: Order, _: Made) -> None:
        order.client("ec2").delete_route(
            RouteTableId=order["RouteTableId"], DestinationCidrBlock=order["DestinationCidrBlock"]
        )


class SecurityGroup(Tagged):
    properties = frozenset(
        {"GroupDescription", "GroupName", "SecurityGroupEgress", "SecurityGroupIngress", "Tags", "VpcId"}
    )
    replaced_by = frozenset({"GroupDescription", "GroupName", "VpcId"})

    def create(self, order: Order) -> Made:
        name = order.get("GroupName") or order.name(longest=255)
        group = order.client("ec2").create_security_group(
            GroupName=name, Description=order["GroupDescription"], **order.take("VpcId")
        )["GroupId"]
        return self.update(order, Made(group, {"GroupId": group}), {})

    def update(self, order: Order, made: Made, old: Mapping[str, Any]) -> Made:
        ec2 = order.client("ec2")
        for way in ("ingress", "egress"):
            name = f"SecurityGroup{way.capitalize()}"
            # A group without rules for what goes out has the one that lets everything out.
            none = ANYWHERE if way == "egress" else []
            before, now = _rules(old.get(name)) or none, _rules(order.get(name)) or none
            if before != now and before:
                getattr(ec2, f"revoke_security_group_{way}")(GroupId=made.id, IpPermissions=before)
            if before != now and now:
                getattr(ec2, f"authorize_security_group_{way}")(GroupId=made.id, IpPermissions=now)
        return super().update(order, made, old)

    def delete(self, order: Order, made: Made) -> None:
        order.client("ec2").delete_security_group(GroupId=made.id)


def _rules(rules: Iterable[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """The rules of a template as the API writes them."""
    return [_rule(rule) for rule in rules or ()]


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    permission = {name: rule[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in rule}
    for name, (many, one) in _TARGETS.items():
        if name in rule:
            described = {"Description": rule["Description"]} if "Description" in rule else {}
            permission[many] = [{one: rule[name], **described}]
    made: dict[str, Any] = whole(permission, ["FromPort", "ToPort"])
    return made


TYPES: Mapping[str, ResourceType] = {
    "AWS::EC2::VPC": Vpc(),
    "AWS::EC2::Subnet": Subnet(),
    "AWS::EC2::InternetGateway": InternetGateway(),
    "AWS::EC2::VPCGatewayAttachment": GatewayAttachment(),
    "AWS::EC2::RouteTable": RouteTable(),
    "AWS::EC2::SubnetRouteTableAssociation": RouteTableAssociation(),
    "AWS::EC2::Route": Route(),
    "AWS::EC2::SecurityGroup": SecurityGroup(),
}
