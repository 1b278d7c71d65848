"""What reaches devices: IoT groups, policies and role aliases; Greengrass components and deployments."""

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import ClientError

from offline.cloudformation.resource import Made, Order, ResourceType, Unsupported, camel, is_absent, tag_map, whole

# Below these the names are somebody's own.
_OWN_NAMES = ("Tags",)
_DEPLOYABLE_SECONDS = 60


class ThingGroup(ResourceType):
    replaced_by = frozenset({"ThingGroupName", "ParentGroupName"})

    def create(self, order: Order) -> Made:
        name = order.get("ThingGroupName") or order.name(longest=128)
        if "QueryString" in order.properties:
            group = order.client("iot").create_dynamic_thing_group(
                thingGroupName=name, queryString=order["QueryString"], **self._given(order)
            )
        else:
            parent = camel(order.take("ParentGroupName"))
            group = order.client("iot").create_thing_group(thingGroupName=name, **parent, **self._given(order))
        return Made(name, {"Arn": group["thingGroupArn"], "Id": group["thingGroupId"]})

    def update(self, order: Order, made: Made, _: Mapping[str, Any]) -> Made:
        order.client("iot").update_thing_group(
            thingGroupName=made.id, thingGroupProperties=self._given(order).get("thingGroupProperties", {})
        )
        return made

    def delete(self, order: Order, made: Made) -> None:
        order.client("iot").delete_thing_group(thingGroupName=made.id)

    def _given(self, order: Order) -> dict[str, Any]:
        return camel(order.take("ThingGroupProperties", "Tags"), keep=["Attributes", "Tags"])  # type: ignore[no-any-return]


class Policy(ResourceType):
    replaced_by = frozenset({"PolicyName"})

    def create(self, order: Order) -> Made:
        name = order.get("PolicyName") or order.name(longest=128)
        policy = order.client("iot").create_policy(
            policyName=name,
            policyDocument=json.dumps(order["PolicyDocument"]),
            **camel(order.take("Tags"), keep=["Tags"]),
        )
        return Made(name, {"Arn": policy["policyArn"], "Id": name})

    def update(self, order: Order, made: Made, _: Mapping[str, Any]) -> Made:
        iot = order.client("iot")
        document = json.dumps(order["PolicyDocument"])
        iot.create_policy_version(policyName=made.id, policyDocument=document, setAsDefault=True)
        self._drop_versions(order, made)  # a policy keeps five versions: one is enough to go on
        return made

    def delete(self, order: Order, made: Made) -> None:
        self._drop_versions(order, made)
        order.client("iot").delete_policy(policyName=made.id)

    def _drop_versions(self, order: Order, made: Made) -> None:
        iot = order.client("iot")
        for version in iot.list_policy_versions(policyName=made.id)["policyVersions"]:
            if not version["isDefaultVersion"]:
                iot.delete_policy_version(policyName=made.id, policyVersionId=version["versionId"])


class RoleAlias(ResourceType):
    replaced_by = frozenset({"RoleAlias"})

    def create(self, order: Order) -> Made:
        name = order.get("RoleAlias") or order.name(longest=128)
        arn = order.client("iot").create_role_alias(
            roleAlias=name, roleArn=order["RoleArn"], **self._seconds(order), **camel(order.take("Tags"), keep=["Tags"])
        )["roleAliasArn"]
        return Made(name, {"RoleAliasArn": arn})

    def update(self, order: Order, made: Made, _: Mapping[str, Any]) -> Made:
        order.client("iot").update_role_alias(roleAlias=made.id, roleArn=order["RoleArn"], **self._seconds(order))
        return made

    def delete(self, order: Order, made: Made) -> None:
        order.client("iot").delete_role_alias(roleAlias=made.id)

    def _seconds(self, order: Order) -> dict[str, int]:
        seconds = order.get("CredentialDurationSeconds")
        return {} if seconds is None else {"credentialDurationSeconds": int(seconds)}


class TopicRule(ResourceType):
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iot-topicrule.html"""

    properties = frozenset({"RuleName", "TopicRulePayload", "Tags"})
    replaced_by = frozenset({"RuleName"})

    def create(self, order: Order) -> Made:
        name = order.get("RuleName") or order.name(longest=128).replace("-", "_")
        tags = {"tags": urlencode(tag_map(order["Tags"]))} if order.get("Tags") else {}
        iot = order.client("iot")
        iot.create_topic_rule(ruleName=name, topicRulePayload=self._payload(order), **tags)
        return Made(name, {"Arn": iot.get_topic_rule(ruleName=name)["ruleArn"]})

    def update(self, order: Order, made: Made, _: Mapping[str, Any]) -> Made:
        order.client("iot").replace_topic_rule(ruleName=made.id, topicRulePayload=self._payload(order))
        return made

    def delete(self, order: Order, made: Made) -> None:
        order.client("iot").delete_topic_rule(ruleName=made.id)

    def _payload(self, order: Order) -> dict[str, Any]:
        payload: dict[str, Any] = camel(order["TopicRulePayload"])
        if "ruleDisabled" in payload:
            payload["ruleDisabled"] = str(payload["ruleDisabled"]).lower() == "true"
        return payload


class ComponentVersion(ResourceType):
    """A version never changes: another recipe is another resource.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-greengrassv2-componentversion.html
    """

    properties = frozenset({"InlineRecipe", "Tags"})
    replaced_by = frozenset({"InlineRecipe"})

    def create(self, order: Order) -> Made:
        version = order.client("greengrassv2").create_component_version(
            inlineRecipe=order["InlineRecipe"].encode(), **camel(order.take("Tags"), keep=["Tags"])
        )
        names = {
            "Arn": version["arn"],
            "ComponentName": version["componentName"],
            "ComponentVersion": version["componentVersion"],
        }
        self._wait(order, version["arn"])
        return Made(version["arn"], names)

    def _wait(self, order: Order, arn: str) -> None:
        """Until the component can be deployed: the service checks a recipe after it has taken it."""
        deadline = time.monotonic() + _DEPLOYABLE_SECONDS
        while time.monotonic() < deadline:
            status = order.client("greengrassv2").describe_component(arn=arn)["status"]
            if status["componentState"] == "DEPLOYABLE":
                return
            if status["componentState"] == "FAILED":
                raise Unsupported(f"component {arn} FAILED: {status.get('message', '')} {status.get('errors', '')}")
            time.sleep(0.05)
        raise Unsupported(f"component {arn} did not become DEPLOYABLE within {_DEPLOYABLE_SECONDS} seconds")

    def update(self, _: Order, made: Made, __: Mapping[str, Any]) -> Made:
        return made

    def delete(self, order: Order, made: Made) -> None:
        order.client("greengrassv2").delete_component(arn=made.id)


class Deployment(ResourceType):
    """One deployment to a thing or a group. Everything but its tags makes another one."""

    replaced_by = frozenset(
        {"Components", "DeploymentName", "DeploymentPolicies", "IotJobConfiguration", "ParentTargetArn", "TargetArn"}
    )

    def create(self, order: Order) -> Made:
        given = camel(order.but("Components"), keep=_OWN_NAMES)
        components = {name: camel(value, keep=_OWN_NAMES) for name, value in order.get("Components", {}).items()}
        numbers = ("timeoutInSeconds", "maximumPerMinute", "baseRatePerMinute", "inProgressTimeoutInMinutes")
        deployment = order.client("greengrassv2").create_deployment(components=components, **whole(given, numbers))
        return Made(deployment["deploymentId"], {"DeploymentId": deployment["deploymentId"]})

    def update(self, _: Order, made: Made, __: Mapping[str, Any]) -> Made:
        return made

    def delete(self, order: Order, made: Made) -> None:
        greengrass = order.client("greengrassv2")
        try:
            greengrass.cancel_deployment(deploymentId=made.id)  # an active one cannot be deleted
        except ClientError as error:
            if is_absent(error):
                raise
        greengrass.delete_deployment(deploymentId=made.id)


TYPES: Mapping[str, ResourceType] = {
    "AWS::IoT::ThingGroup": ThingGroup(),
    "AWS::IoT::Policy": Policy(),
    "AWS::IoT::RoleAlias": RoleAlias(),
    "AWS::IoT::TopicRule": TopicRule(),
    "AWS::GreengrassV2::ComponentVersion": ComponentVersion(),
    "AWS::GreengrassV2::Deployment": Deployment(),
}
