"""A template as CloudFormation reads it: its text, its parameters, its references and its intrinsic functions.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

_VARIABLE = re.compile(r"\$\{([^!${}][^${}]*)\}")
_NO_VALUE = object()


class TemplateError(Exception):
    """A template, or a parameter for it, that CloudFormation would refuse; the message is what it would say."""


@dataclass
class Scope:
    """Everything that a template's values can refer to while its stack is made."""

    parameters: Mapping[str, Any]
    pseudo: Mapping[str, str]
    mappings: Mapping[str, Any] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    reference: Callable[[str], str | None] = lambda _: None
    """Logical id → what Ref gives, None when the stack has no such resource."""
    attribute: Callable[[str, str], Any] = lambda _, __: None
    export: Callable[[str], str | None] = lambda _: None
    imported: set[str] = field(default_factory=set)
    """The exports that were used, by name."""


class _Loader(yaml.SafeLoader):
    """YAML with the short forms: !Ref x is {"Ref": x}."""


def _short_form(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _short_form)
# A date in a template is its text: AWSTemplateFormatVersion and policy versions are written without quotes.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse(text: str) -> dict[str, Any]:
    """The template of this JSON or YAML text."""
    try:
        parsed = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, _Loader)  # noqa: S506
    except (ValueError, yaml.YAMLError) as error:
        raise TemplateError(f"Template format error: {error}") from error
    if not isinstance(parsed, dict) or not parsed.get("Resources"):
        raise TemplateError("Template format error: At least one Resources member must be defined.")
    return parsed


def references(value: Any) -> Iterator[str]:
    """Every logical id that a value refers to, parameters included."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if name == "Ref" and isinstance(item, str):
                yield item
            elif name == "Fn::GetAtt":
                yield _target(item)[0]
            elif name == "Fn::Sub":
                text, own = (item, {}) if isinstance(item, str) else item
                yield from (found.split(".")[0] for found in _VARIABLE.findall(text) if found not in own)
                yield from references(own)
            else:
                yield from references(item)


def evaluate(value: Any, scope: Scope) -> Any:
    """The value with every intrinsic function replaced by what it gives."""
    evaluated = _evaluate(value, scope)
    return None if evaluated is _NO_VALUE else evaluated


def condition(value: Any, scope: Scope) -> bool:
    """Whether a condition, written out or named, holds."""
    if isinstance(value, str):
        if value not in scope.conditions:
            raise TemplateError(f"Template error: unresolved condition dependency {value}")
        return condition(scope.conditions[value], scope)
    (name, operands) = next(iter(value.items()))
    if name == "Condition":
        return condition(operands, scope)
    if name == "Fn::Not":
        return not condition(operands[0], scope)
    if name in ("Fn::And", "Fn::Or"):
        return (all if name == "Fn::And" else any)(condition(operand, scope) for operand in operands)
    if name == "Fn::Equals":
        left, right = (evaluate(operand, scope) for operand in operands)
        return bool(str(left) == str(right))
    if name == "Fn::Contains":
        return evaluate(operands[1], scope) in evaluate(operands[0], scope)
    raise TemplateError(f"Template error: the offline account does not know the condition function {name}")


def _evaluate(value: Any, scope: Scope) -> Any:
    if isinstance(value, list):
        return [item for item in (_evaluate(item, scope) for item in value) if item is not _NO_VALUE]
    if isinstance(value, str) and "{{resolve:" in value:
        raise TemplateError(f"The offline account does not resolve dynamic references: {value}")
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (name, argument) = next(iter(value.items()))
        if name in _FUNCTIONS:
            return _FUNCTIONS[name](argument, scope)
        if name.startswith("Fn::"):
            raise TemplateError(f"Template error: the offline account does not know the function {name}")
    evaluated = {name: _evaluate(item, scope) for name, item in value.items()}
    return {name: item for name, item in evaluated.items() if item is not _NO_VALUE}


def _ref(name: str, scope: Scope) -> Any:
    if name == "AWS::NoValue":
        return _NO_VALUE
    for values in (scope.pseudo, scope.parameters):
        if name in values:
            return values[name]
    found = scope.reference(name)
    if found is None:
        raise TemplateError(f"Template format error: Unresolved resource dependencies [{name}] in the template")
    return found


def _get_att(argument: Any, scope: Scope) -> Any:
    return scope.attribute(*_target(argument))


def _target(argument: Any) -> tuple[str, str]:
    logical_id, _, attribute = argument.partition(".") if isinstance(argument, str) else (argument[0], "", argument[1])
    return logical_id, attribute


def _join(argument: Any, scope: Scope) -> str:
    separator, items = argument
    return str(separator).join(_text(item) for item in evaluate(items, scope))


def _sub(argument: Any, scope: Scope) -> str:
    text, own = (argument, {}) if isinstance(argument, str) else argument

    def replaced(found: re.Match[str]) -> str:
        name = found[1]
        if name in own:
            return _text(evaluate(own[name], scope))
        return _text(_get_att(name, scope) if "." in name else _ref(name, scope))

    return _VARIABLE.sub(replaced, text).replace("${!", "${")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _select(argument: Any, scope: Scope) -> Any:
    index, items = evaluate(argument, scope)
    try:
        return items[int(index)]
    except IndexError:
        raise TemplateError(f"Template error: Fn::Select cannot select nonexistent value at index {index}") from None


def _split(argument: Any, scope: Scope) -> list[str]:
    separator, text = evaluate(argument, scope)
    return str(text).split(separator)


def _if(argument: Any, scope: Scope) -> Any:
    name, then, otherwise = argument
    return _evaluate(then if condition(name, scope) else otherwise, scope)


def _find_in_map(argument: Any, scope: Scope) -> Any:
    name, first, second = (evaluate(item, scope) for item in argument)
    try:
        return scope.mappings[name][first][second]
    except KeyError as error:
        raise TemplateError(f"Template error: Unable to get mapping for {name}::{first}::{second}") from error


def _import(argument: Any, scope: Scope) -> str:
    name = evaluate(argument, scope)
    value = scope.export(name)
    if value is None:
        raise TemplateError(f"No export named {name} found.")
    scope.imported.add(name)
    return value


_FUNCTIONS: Mapping[str, Callable[[Any, Scope], Any]] = {
    "Ref": _ref,
    "Fn::GetAtt": _get_att,
    "Fn::Join": _join,
    "Fn::Sub": _sub,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::If": _if,
    "Fn::FindInMap": _find_in_map,
    "Fn::ImportValue": _import,
    "Fn::Base64": lambda argument, scope: base64.b64encode(evaluate(argument, scope).encode()).decode(),
    "Fn::GetAZs": lambda _, scope: [f"{scope.pseudo['AWS::Region']}{zone}" for zone in "abc"],
    "Fn::ToJsonString": lambda argument, scope: json.dumps(evaluate(argument, scope)),
}
