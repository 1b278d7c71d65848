"""Who may do what: IAM roles and policies."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from offline.cloudformation.resource import Made, Order, ResourceType

# Where the principals of a policy are named, and the API's words for each kind.
_PRINCIPALS = (("Roles", "role", "RoleName"), ("Users", "user", "UserName"), ("Groups", "group", "GroupName"))


class Role(ResourceType):
    properties = frozenset(
        {
            "AssumeRolePolicyDocument",
            "Description",
            "ManagedPolicyArns",
            "MaxSessionDuration",
            "Path",
            "PermissionsBoundary",
            "Policies",
            "RoleName",
            "Tags",
        }
    )
    replaced_by = frozenset({"RoleName", "Path"})

    def create(self, order: Order) -> Made:
        name = order.get("RoleName") or order.name(longest=64)
        given = order.take("Path", "Description", "MaxSessionDuration", "PermissionsBoundary", "Tags")
        trust = json.dumps(order["AssumeRolePolicyDocument"])
        role = order.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust, **given)["Role"]
        made = Made(name, {"Arn": role["Arn"], "RoleId": role["RoleId"]})
        self._policies(order, name, {})
        return made

    def update(self, order: Order, made: Made, old: Mapping[str, Any]) -> Made:
        iam = order.client("iam")
        trust = json.dumps(order["AssumeRolePolicyDocument"])
        iam.update_assume_role_policy(RoleName=made.id, PolicyDocument=trust)
        iam.update_role(RoleName=made.id, **order.take("Description", "MaxSessionDuration"))
        if order.get("Tags"):
            iam.tag_role(RoleName=made.id, Tags=order["Tags"])
        self._policies(order, made.id, old)
        return made

    def _policies(self, order: Order, name: str, old: Mapping[str, Any]) -> None:
        iam = order.client("iam")
        before, now = set(old.get("ManagedPolicyArns", [])), set(order.get("ManagedPolicyArns", []))
        for arn in sorted(before - now):
            iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        for arn in sorted(now - before):
            iam.attach_role_policy(RoleName=name, PolicyArn=arn)
        inline = {policy["PolicyName"]: policy["PolicyDocument"] for policy in order.get("Policies", [])}
        for policy in old.get("Policies", []):
            if policy["PolicyName"] not in inline:
                iam.delete_role_policy(RoleName=name, PolicyName=policy["PolicyName"])
        for policy_name, document in inline.items():
            iam.put_role_policy(RoleName=name, PolicyName=policy_name, PolicyDocument=json.dumps(document))

    def delete(self, order: Order, made: Made) -> None:
        iam = order.client("iam")
        for policy in iam.list_attached_role_policies(RoleName=made.id)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=made.id, PolicyArn=policy["PolicyArn"])
        for policy in order.get("Policies", []):
            iam.delete_role_policy(RoleName=made.id, PolicyName=policy["PolicyName"])
        iam.delete_role(RoleName=made.id)


class Policy(ResourceType):
    """An inline policy: one copy inside each principal that it names."""

    properties = frozenset({"PolicyName", "PolicyDocument", "Roles", "Users", "Groups"})
    replaced_by = frozenset({"PolicyName"})

    def create(self, order: Order) -> Made:
        return self.update(order, Made(order["PolicyName"]), {})

    def update(self, order: Order, made: Made, old: Mapping[str, Any]) -> Made:
        document = json.dumps(order["PolicyDocument"])
        for property_, kind, key in _PRINCIPALS:
            for name in order.get(property_, []):
                put = getattr(order.client("iam"), f"put_{kind}_policy")
                put(**{key: name, "PolicyName": made.id, "PolicyDocument": document})
            self._take_away(order, made.id, kind, key, set(old.get(property_, [])) - set(order.get(property_, [])))
        return made

    def delete(self, order: Order, made: Made) -> None:
        for property_, kind, key in _PRINCIPALS:
            self._take_away(order, made.id, kind, key, order.get(property_, []))

    def _take_away(self, order: Order, policy: str, kind: str, key: str, names: Iterable[str]) -> None:
        for name in names:
            getattr(order.client("iam"), f"delete_{kind}_policy")(**{key: name, "PolicyName": policy})


class ManagedPolicy(ResourceType):
    properties = frozenset({"ManagedPolicyName", "Description", "Path", "PolicyDocument", "Roles", "Users", "Groups"})
    replaced_by = frozenset({"ManagedPolicyName", "Description", "Path"})

    def create(self, order: Order) -> Made:
        name = order.get("ManagedPolicyName") or order.name(longest=128)
        policy = order.client("iam").create_policy(
            PolicyName=name, PolicyDocument=json.dumps(order["PolicyDocument"]), **order.take("Description", "Path")
        )["Policy"]
        made = Made(policy["Arn"], {"PolicyArn": policy["Arn"], "PolicyId": policy["PolicyId"]})
        self._attach(order, made.id, {})
        return made

    def update(self, order: Order, made: Made, old: Mapping[str, Any]) -> Made:
        if order["PolicyDocument"] != old["PolicyDocument"]:
            iam = order.client("iam")
            document = json.dumps(order["PolicyDocument"])
            iam.create_policy_version(PolicyArn=made.id, PolicyDocument=document, SetAsDefault=True)
            for version in iam.list_policy_versions(PolicyArn=made.id)["Versions"]:
                if not version["IsDefaultVersion"]:  # a policy keeps five versions: one is enough to go on
                    iam.delete_policy_version(PolicyArn=made.id, VersionId=version["VersionId"])
        self._attach(order, made.id, old)
        return made

    def delete(self, order: Order, made: Made) -> None:
        for property_, kind, key in _PRINCIPALS:
            for name in order.get(property_, []):
                getattr(order.client("iam"), f"detach_{kind}_policy")(**{key: name, "PolicyArn": made.id})
        order.client("iam").delete_policy(PolicyArn=made.id)

    def _attach(self, order: Order, arn: str, old: Mapping[str, Any]) -> None:
        for property_, kind, key in _PRINCIPALS:
            before, now = set(old.get(property_, [])), set(order.get(property_, []))
            for name in sorted(now - before):
                getattr(order.client("iam"), f"attach_{kind}_policy")(**{key: name, "PolicyArn": arn})
            for name in sorted(before - now):
                getattr(order.client("iam"), f"detach_{kind}_policy")(**{key: name, "PolicyArn": arn})


class InstanceProfile(ResourceType):
    """The role of an instance, as EC2 knows it."""

    properties = frozenset({"InstanceProfileName", "Path", "Roles"})
    replaced_by = frozenset({"InstanceProfileName", "Path"})

    def create(self, order: Order) -> Made:
        name = order.get("InstanceProfileName") or order.name(longest=128)
        profile = order.client("iam").create_instance_profile(InstanceProfileName=name, **order.take("Path"))
        return self.update(order, Made(name, {"Arn": profile["InstanceProfile"]["Arn"]}), {"Roles": []})

    def update(self, order: Order, made: Made, old: Mapping[str, Any]) -> Made:
        if order["Roles"] != old["Roles"]:
            self._each(order, made, "remove_role_from", old["Roles"])
            self._each(order, made, "add_role_to", order["Roles"])
        return made

    def delete(self, order: Order, made: Made) -> None:
        self._each(order, made, "remove_role_from", order["Roles"])
        order.client("iam").delete_instance_profile(InstanceProfileName=made.id)

    def _each(self, order: Order, made: Made, verb: str, roles: Iterable[str]) -> None:
        for role in roles:
            getattr(order.client("iam"), f"{verb}_instance_profile")(InstanceProfileName=made.id, RoleName=role)


TYPES: Mapping[str, ResourceType] = {
    "AWS::IAM::Role": Role(),
    "AWS::IAM::Policy": Policy(),
    "AWS::IAM::ManagedPolicy": ManagedPolicy(),
    "AWS::IAM::InstanceProfile": InstanceProfile(),
}
