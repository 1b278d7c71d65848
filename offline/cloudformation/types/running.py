"""What runs: Lambda functions and state machines."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from offline.cloudformation.resource import Made, Order, ResourceType, Unsupported, camel, tag_map, whole

_CODE = ("S3Bucket", "S3Key", "S3ObjectVersion", "ZipFile", "ImageUri")
_NUMBERS = ("Timeout", "MemorySize", "Size")


class Function(ResourceType):
    replaced_by = frozenset({"FunctionName", "PackageType"})

    def create(self, order: Order) -> Made:
        name = order.get("FunctionName") or order.name(longest=64)
        given = whole(order.but("FunctionName", "Code", "Tags", "ReservedConcurrentExecutions"), _NUMBERS)
        tags = tag_map(order.get("Tags"))
        order.client("lambda").create_function(
            FunctionName=name, Code=_code(order["Code"]), **given, **({"Tags": tags} if tags else {})
        )
        made = Made(name, {"Arn": order.arn("lambda", f"function:{name}")})
        self._concurrency(order, made, {})
        return made

    def update(self, order: Order, made: Made, old: Mapping[str, Any]) -> Made:
        functions = order.client("lambda")
        if order["Code"] != old["Code"] or order.get("Architectures") != old.get("Architectures"):
            functions.update_function_code(FunctionName=made.id, **_code(order["Code"]), **order.take("Architectures"))
        settings = order.but(
            "FunctionName", "Code", "Tags", "ReservedConcurrentExecutions", "Architectures", "PackageType"
        )
        if "Environment" not in settings:
            settings["Environment"] = {"Variables": {}}
        functions.update_function_configuration(FunctionName=made.id, **whole(settings, _NUMBERS))
        before, now = tag_map(old.get("Tags")), tag_map(order.get("Tags"))
        if gone := sorted(before.keys() - now.keys()):
            functions.untag_resource(Resource=made.attributes["Arn"], TagKeys=gone)
        if now != before and now:
            functions.tag_resource(Resource=made.attributes["Arn"], Tags=now)
        self._concurrency(order, made, old)
        return made

    def delete(self, order: Order, made: Made) -> None:
        order.client("lambda").delete_function(FunctionName=made.id)

    def _concurrency(self, order: Order, made: Made, old: Mapping[str, Any]) -> None:
        reserved = order.get("ReservedConcurrentExecutions")
        if reserved is not None:
            order.client("lambda").put_function_concurrency(
                FunctionName=made.id, ReservedConcurrentExecutions=int(reserved)
            )
        elif "ReservedConcurrentExecutions" in old:
            order.client("lambda").delete_function_concurrency(FunctionName=made.id)


class Permission(ResourceType):
    """A statement in a function's own policy. Every change replaces it."""

    def create(self, order: Order) -> Made:
        statement = order.name(longest=100)
        order.client("lambda").add_permission(StatementId=statement, **order.properties)
        return Made(statement, {"Id": statement})

    def delete(self, order: Order, made: Made) -> None:
        order.client("lambda").remove_permission(FunctionName=order["FunctionName"], StatementId=made.id)


class EventInvokeConfig(ResourceType):
    """What becomes of asynchronous events. Here one that failed is not tried again, so that nothing else can be asked.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-eventinvokeconfig.html
    """

    properties = frozenset({"FunctionName", "Qualifier", "MaximumRetryAttempts"})
    replaced_by = frozenset({"FunctionName", "Qualifier"})

    def create(self, order: Order) -> Made:
        return self.update(order, Made(f"{order['FunctionName']}|{order['Qualifier']}", {}), {})

    def update(self, order: Order, made: Made, _: Mapping[str, Any]) -> Made:
        attempts = order.get("MaximumRetryAttempts", 2)
        if str(attempts) != "0":
            raise Unsupported(f"MaximumRetryAttempts is {attempts}; events that fail are not tried again here: say 0")
        if order["Qualifier"] != "$LATEST":
            raise Unsupported(f"Qualifier is {order['Qualifier']}; functions have $LATEST alone here")
        order.client("lambda").put_function_event_invoke_config(
            FunctionName=order["FunctionName"], MaximumRetryAttempts=0
        )
        return made

    def delete(self, order: Order, _: Made) -> None:
        order.client("lambda").delete_function_event_invoke_config(FunctionName=order["FunctionName"])


class StateMachine(ResourceType):
    properties = frozenset(
        {
            "Definition",
            "DefinitionString",
            "DefinitionSubstitutions",
            "LoggingConfiguration",
            "RoleArn",
            "StateMachineName",
            "StateMachineType",
            "Tags",
            "TracingConfiguration",
        }
    )
    replaced_by = frozenset({"StateMachineName", "StateMachineType"})

    def create(self, order: Order) -> Made:
        name = order.get("StateMachineName") or order.name(longest=80)
        arn = order.client("stepfunctions").create_state_machine(
            name=name,
            type=order.get("StateMachineType", "STANDARD"),
            tags=camel(order.get("Tags", [])),
            **self._settings(order),
        )["stateMachineArn"]
        return Made(arn, {"Arn": arn, "Name": name})

    def update(self, order: Order, made: Made, _: Mapping[str, Any]) -> Made:
        order.client("stepfunctions").update_state_machine(stateMachineArn=made.id, **self._settings(order))
        return made

    def delete(self, order: Order, made: Made) -> None:
        order.client("stepfunctions").delete_state_machine(stateMachineArn=made.id)

    def _settings(self, order: Order) -> dict[str, Any]:
        settings = {"definition": _definition(order), "roleArn": order["RoleArn"]}
        for name in ("LoggingConfiguration", "TracingConfiguration"):
            if name in order.properties:
                settings |= camel({name: order[name]})
        return settings


def _definition(order: Order) -> str:
    """The definition with ${name} replaced by the value of each substitution.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-stepfunctions-statemachine.html
    """
    definition = order.get("DefinitionString") or json.dumps(order["Definition"])
    for name, value in order.get("DefinitionSubstitutions", {}).items():
        definition = definition.replace(f"${{{name}}}", str(value))
    return str(definition)


def _code(code: Mapping[str, Any]) -> dict[str, Any]:
    """Where the code is; source written into the template becomes a zip of one index file, as CloudFormation does."""
    given = {name: code[name] for name in _CODE if name in code}
    if "ZipFile" in given:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(zipfile.ZipInfo("index.py"), given["ZipFile"])
        given["ZipFile"] = packed.getvalue()
    return given


TYPES: Mapping[str, ResourceType] = {
    "AWS::Lambda::Function": Function(),
    "AWS::Lambda::Permission": Permission(),
    "AWS::Lambda::EventInvokeConfig": EventInvokeConfig(),
    "AWS::StepFunctions::StateMachine": StateMachine(),
}
