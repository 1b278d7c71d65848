"""The endpoint test of compilation's machine: nothing that it makes may stay, and nobody may do more than it needs."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reefloop.tarball import Limits
from tests.stacks.conftest import Templates, definition, listed, only, resources, statements, text

States = dict[str, Any]


@pytest.fixture
def template(configured: Callable[[str], Templates]) -> dict[str, Any]:
    return configured("endpoint")["compilation"]


@pytest.fixture
def states(template: dict[str, Any]) -> States:
    found: States = definition(template)["States"]["Targets"]["ItemProcessor"]["States"]
    return found


def following(state: dict[str, Any]) -> Iterator[str]:
    """The states that a state can lead to."""
    choices = [*state.get("Catch", []), *state.get("Choices", [])]
    yield from (one["Next"] for one in choices)
    yield from (state[key] for key in ("Next", "Default") if key in state)


def endings(states: States, start: str, *, without: str) -> set[str]:
    """The states in which the way from `start` can end that does not pass `without`."""
    seen, ends, left = set[str](), set[str](), [start]
    while left:
        name = left.pop()
        if name == without or name in seen:
            continue
        seen.add(name)
        ways = list(following(states[name]))
        left += ways
        if not ways:
            ends.add(name)
    return ends


MADE = ("CreateModel", "CreateEndpointConfig", "CreateEndpoint", "TryEndpoint")


@pytest.mark.parametrize("state", MADE)
def test_from_everything_that_is_made_every_way_leads_to_unhost(states: States, state: str) -> None:
    assert endings(states, state, without="Unhost") == set()


@pytest.mark.parametrize("state", MADE)
def test_whatever_fails_is_caught(states: States, state: str) -> None:
    [catch] = states[state]["Catch"]
    assert catch["ErrorEquals"] == ["States.ALL"]


def test_model_configuration_and_endpoint_share_a_name_that_is_made_once(states: States) -> None:
    assert "$$.Execution.Id" in states["NameEndpoint"]["Parameters"]["name.$"]
    for kind in ("Model", "EndpointConfig", "Endpoint"):
        assert states[f"Create{kind}"]["Parameters"][f"{kind}Name.$"] == "$.endpoint.name"


def test_what_is_not_compiled_or_not_for_an_endpoint_is_not_hosted(states: States) -> None:
    [choice] = states["IsHosted"]["Choices"]
    wanted = {condition["Variable"]: condition["StringEquals"] for condition in choice["And"]}
    assert wanted == {"$.packaged.package.outcome": "compiled", "$.packaged.package.delivery": "endpoint"}
    assert endings(states, states["IsHosted"]["Default"], without="NameEndpoint") == {"Packaged"}


def test_an_endpoint_is_asked_until_its_time_is_over_and_deleted_for_two_hours(states: States) -> None:
    for loop, seconds, exhausted in (("Endpoint", 1800, "UnhostingBegin"), ("Unhosting", 7200, "EndpointDone")):
        pauses = re.findall(r"\d+", states[f"{loop}Pause"]["Parameters"]["seconds.$"])
        assert seconds <= sum(map(int, pauses)) < 1.1 * seconds
        late = states[f"{loop}Decide"]["Choices"][-1]
        assert late == {"Variable": "$.poll.pauses", "NumericGreaterThanEquals": len(pauses), "Next": exhausted}


def test_what_was_made_is_deleted_before_anything_is_waited_for(states: States) -> None:
    assert states["UnhostingBegin"]["Next"] == "Unhost"


def test_every_function_that_fetches_a_model_has_room_for_the_largest(template: dict[str, Any]) -> None:
    largest_mib = Limits().stream_bytes / 2**20
    for name in ("PrepareFunction", "PackageFunction", "JudgeFunction", "HostFunction", "TryEndpointFunction"):
        function = only(template, "AWS::Lambda::Function", name)
        assert function["EphemeralStorage"]["Size"] > largest_mib, name


def test_every_hour_somebody_sweeps_up(template: dict[str, Any]) -> None:
    [rule] = resources(template, "AWS::Events::Rule").values()
    assert rule["ScheduleExpression"] == "rate(1 hour)"
    assert "Sweep" in text(rule["Targets"][0]["Arn"])


@pytest.mark.parametrize("role", ["Unhost", "Sweep", "TryEndpoint", "Machine"])
def test_who_has_to_do_with_endpoints_touches_those_of_the_test_alone(template: dict[str, Any], role: str) -> None:
    allowed = [
        (action, text(resource))
        for statement in statements(template, role)
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if "Endpoint" in action or action.endswith("Model")
    ]
    assert allowed
    others = {action for action, resource in allowed if "/reefloop-endpoint-" not in resource}
    assert others <= {"sagemaker:ListEndpoints", "sagemaker:ListModels"}


def test_the_container_reads_what_was_compiled_and_writes_nothing(template: dict[str, Any]) -> None:
    allowed = statements(template, "EndpointJobRole")
    objects = [
        (action, text(resource).rpartition("/models/")[2])
        for statement in allowed
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if action.startswith("s3:") and "Object" in action
    ]
    assert objects == [("s3:GetObject", "*/compiled/*"), ("s3:GetObject", "*/endpoint/*")]


def test_without_the_setting_there_is_nothing_of_it(sandbox: Templates) -> None:
    template = sandbox["compilation"]
    assert resources(template, "AWS::Events::Rule") == {}
    assert not [name for name in resources(template, "AWS::Lambda::Function") if "host" in name.lower()]
    assert not set(MADE) & set(definition(template)["States"]["Targets"]["ItemProcessor"]["States"])
