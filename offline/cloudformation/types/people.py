"""Who labels: Cognito user pools, the private workforce and its work teams."""

from collections.abc import Mapping
from typing import Any

from offline.cloudformation.resource import Made, Order, ResourceType

# What CloudFormation keeps in the pool and the API takes by another call.
_NOT_IN_CREATE = ("UserPoolName", "EnabledMfas")
_ONLY_AT_CREATION = ("UsernameAttributes", "AliasAttributes", "UsernameConfiguration", "Schema")
# CloudFormation's names of a team's Cognito group → the API's.
_MEMBER = {"CognitoUserPool": "UserPool", "CognitoUserGroup": "UserGroup", "CognitoClientId": "ClientId"}


class UserPool(ResourceType):
    replaced_by = frozenset(_ONLY_AT_CREATION)

    def create(self, order: Order) -> Made:
        name = order.get("UserPoolName") or order.name(longest=128)
        pool = order.client("cognito-idp").create_user_pool(PoolName=name, **order.but(*_NOT_IN_CREATE))["UserPool"]
        provider = f"cognito-idp.{order.region}.amazonaws.com/{pool['Id']}"
        made = Made(
            pool["Id"],
            {
                "Arn": order.arn("cognito-idp", f"userpool/{pool['Id']}"),
                "ProviderName": provider,
                "ProviderURL": f"https://{provider}",
                "UserPoolId": pool["Id"],
            },
        )
        self._mfa(order, made)
        return made

    def update(self, order: Order, made: Made, _: Mapping[str, Any]) -> Made:
        settings = order.but(*_NOT_IN_CREATE, *_ONLY_AT_CREATION)
        order.client("cognito-idp").update_user_pool(UserPoolId=made.id, **settings)
        self._mfa(order, made)
        return made

    def delete(self, order: Order, made: Made) -> None:
        order.client("cognito-idp").delete_user_pool(UserPoolId=made.id)

    def _mfa(self, order: Order, made: Made) -> None:
        if "SOFTWARE_TOKEN_MFA" in order.get("EnabledMfas", []):
            order.client("cognito-idp").set_user_pool_mfa_config(
                UserPoolId=made.id,
                SoftwareTokenMfaConfiguration={"Enabled": True},
                **order.take("MfaConfiguration"),
            )


class UserPoolDomain(ResourceType):
    def create(self, order: Order) -> Made:
        order.client("cognito-idp").create_user_pool_domain(**order.properties)
        return Made(order["Domain"])

    def delete(self, order: Order, made: Made) -> None:
        order.client("cognito-idp").delete_user_pool_domain(Domain=made.id, UserPoolId=order["UserPoolId"])


class UserPoolClient(ResourceType):
    replaced_by = frozenset({"GenerateSecret", "UserPoolId"})

    def create(self, order: Order) -> Made:
        name = order.get("ClientName") or order.name(longest=128)
        client = order.client("cognito-idp").create_user_pool_client(ClientName=name, **order.but("ClientName"))
        found = client["UserPoolClient"]
        attributes = {"ClientId": found["ClientId"], "Name": name}
        if "ClientSecret" in found:
            attributes["ClientSecret"] = found["ClientSecret"]
        return Made(found["ClientId"], attributes)

    def update(self, order: Order, made: Made, _: Mapping[str, Any]) -> Made:
        order.client("cognito-idp").update_user_pool_client(ClientId=made.id, **order.but("GenerateSecret"))
        return made

    def delete(self, order: Order, made: Made) -> None:
        order.client("cognito-idp").delete_user_pool_client(UserPoolId=order["UserPoolId"], ClientId=made.id)


class UserPoolGroup(ResourceType):
    replaced_by = frozenset({"GroupName", "UserPoolId"})

    def create(self, order: Order) -> Made:
        name = order.get("GroupName") or order.name(longest=128)
        order.client("cognito-idp").create_group(GroupName=name, **order.but("GroupName"))
        return Made(name)

    def update(self, order: Order, made: Made, _: Mapping[str, Any]) -> Made:
        order.client("cognito-idp").update_group(GroupName=made.id, **order.but("GroupName"))
        return made

    def delete(self, order: Order, made: Made) -> None:
        order.client("cognito-idp").delete_group(GroupName=made.id, UserPoolId=order["UserPoolId"])


class Workforce(ResourceType):
    replaced_by = frozenset({"WorkforceName", "CognitoConfig"})

    def create(self, order: Order) -> Made:
        name = order.get("WorkforceName") or order.name(longest=63)
        order.client("sagemaker").create_workforce(WorkforceName=name, **order.but("WorkforceName"))
        return Made(name, self._attributes(order, name))

    def update(self, order: Order, made: Made, _: Mapping[str, Any]) -> Made:
        given = order.take("SourceIpConfig", "OidcConfig", "WorkforceVpcConfig", "IpAddressType")
        order.client("sagemaker").update_workforce(WorkforceName=made.id, **given)
        return made

    def delete(self, order: Order, made: Made) -> None:
        order.client("sagemaker").delete_workforce(WorkforceName=made.id)

    def _attributes(self, order: Order, name: str) -> dict[str, str]:
        found = order.client("sagemaker").describe_workforce(WorkforceName=name)["Workforce"]
        return {"WorkforceArn": found["WorkforceArn"], "SubDomain": found.get("SubDomain", "")}


class Workteam(ResourceType):
    replaced_by = frozenset({"WorkteamName", "WorkforceName"})

    def create(self, order: Order) -> Made:
        name = order.get("WorkteamName") or order.name(longest=63)
        given = order.but("WorkteamName", "MemberDefinitions")
        arn = order.client("sagemaker").create_workteam(WorkteamName=name, MemberDefinitions=_members(order), **given)[
            "WorkteamArn"
        ]
        return Made(arn, {"WorkteamName": name, "WorkteamArn": arn})

    def update(self, order: Order, made: Made, _: Mapping[str, Any]) -> Made:
        order.client("sagemaker").update_workteam(
            WorkteamName=made.attributes["WorkteamName"],
            MemberDefinitions=_members(order),
            **order.take("Description", "NotificationConfiguration"),
        )
        return made

    def delete(self, order: Order, made: Made) -> None:
        order.client("sagemaker").delete_workteam(WorkteamName=made.attributes["WorkteamName"])


def _members(order: Order) -> list[dict[str, Any]]:
    members = []
    for member in order["MemberDefinitions"]:
        cognito = member.get("CognitoMemberDefinition")
        renamed = (
            {"CognitoMemberDefinition": {_MEMBER[name]: value for name, value in cognito.items()}} if cognito else {}
        )
        members.append({**member, **renamed})
    return members


TYPES: Mapping[str, ResourceType] = {
    "AWS::Cognito::UserPool": UserPool(),
    "AWS::Cognito::UserPoolDomain": UserPoolDomain(),
    "AWS::Cognito::UserPoolClient": UserPoolClient(),
    "AWS::Cognito::UserPoolGroup": UserPoolGroup(),
    "AWS::SageMaker::Workforce": Workforce(),
    "AWS::SageMaker::Workteam": Workteam(),
}
