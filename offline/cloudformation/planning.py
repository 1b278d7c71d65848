"""What a stack is to be: its template with parameters, and the order in which its resources are made."""

import graphlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from offline.cloudformation.resource import Place
from offline.cloudformation.template import Scope, TemplateError, condition, evaluate, references


@dataclass(frozen=True)
class Plan:
    """What was submitted for a stack."""

    body: str
    template: Mapping[str, Any]
    parameters: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Export:
    stack_id: str
    name: str
    value: str


def parameters(plan: Plan, place: Place) -> dict[str, Any]:
    """The parameters' values, each of its declared type; SSM ones looked up.

    Raises:
        TemplateError: a value is missing, unknown or not allowed.
    """
    declared = plan.template.get("Parameters", {})
    if unknown := sorted(set(plan.parameters) - set(declared)):
        raise TemplateError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    values: dict[str, Any] = {}
    for name, parameter in declared.items():
        value = plan.parameters.get(name, parameter.get("Default"))
        if value is None:
            raise TemplateError(f"Parameters: [{name}] must have values")
        if "AllowedValues" in parameter and value not in parameter["AllowedValues"]:
            raise TemplateError(f"Parameter '{name}' must be one of {parameter['AllowedValues']}")
        values[name] = _typed(value, parameter["Type"], place)
    return values


def in_order(template: Mapping[str, Any], scope: Scope) -> list[str]:
    """The resources whose conditions hold, each behind those that it refers to."""
    resources = {
        name: resource
        for name, resource in template["Resources"].items()
        if "Condition" not in resource or condition(resource["Condition"], scope)
    }
    graph = {name: {need for need in needs(resource) if need in resources} for name, resource in resources.items()}
    try:
        return list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        raise TemplateError(f"Circular dependency between resources: [{', '.join(error.args[1])}]") from error


def needs(resource: Mapping[str, Any]) -> Iterator[str]:
    """Everything that a resource's template refers to."""
    yield from references(resource.get("Properties", {}))
    depends = resource.get("DependsOn", [])
    yield from [depends] if isinstance(depends, str) else depends


def check_rules(template: Mapping[str, Any], scope: Scope) -> None:
    """Refuse what an assertion of the template itself refuses; CDK asserts the version of the bootstrap stack."""
    for name, rule in template.get("Rules", {}).items():
        for assertion in rule["Assertions"]:
            if not condition(assertion["Assert"], scope):
                raise TemplateError(f"Rule {name} failed: {assertion.get('AssertDescription', '')}")


def outputs(template: Mapping[str, Any], scope: Scope, stack_id: str) -> tuple[list[dict[str, str]], dict[str, Export]]:
    """The outputs as DescribeStacks tells them, and the exports among them."""
    described, exports = [], {}
    for key, output in (template.get("Outputs") or {}).items():
        if "Condition" in output and not condition(output["Condition"], scope):
            continue
        told = {"OutputKey": key, "OutputValue": str(evaluate(output["Value"], scope))}
        if "Description" in output:
            told["Description"] = output["Description"]
        if "Export" in output:
            told["ExportName"] = evaluate(output["Export"]["Name"], scope)
            exports[told["ExportName"]] = Export(stack_id, told["ExportName"], told["OutputValue"])
        described.append(told)
    return described, exports


def _typed(value: Any, kind: str, place: Place) -> Any:
    if kind.startswith("AWS::SSM::Parameter::Value"):
        try:
            return place.client("ssm").get_parameter(Name=value)["Parameter"]["Value"]
        except ClientError as error:
            message = f"Unable to fetch parameters [{value}] from parameter store for this account."
            raise TemplateError(message) from error
    return str(value).split(",") if kind == "CommaDelimitedList" or kind.startswith("List<") else value
