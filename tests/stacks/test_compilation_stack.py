"""The compilation stack: how a job is asked for and followed, and that whatever fails in a target ends in a package."""

import json
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefloop.compilation.targets import TARGETS
from reefloop.payloads import Package, PackageInput
from settings import Settings
from stacks.constructs.compilation_job import AROUND_SECONDS
from stacks.constructs.polling import growing
from tests.stacks.conftest import Templates, definition, listed, only, resources, statements, text

EVERY = "every target, tried"


def machine(templates: Templates) -> dict[str, Any]:
    found: dict[str, Any] = definition(templates["compilation"])["States"]
    return found


def item(templates: Templates) -> dict[str, Any]:
    """The states of one target."""
    found: dict[str, Any] = machine(templates)["Targets"]["ItemProcessor"]["States"]
    return found


def following(state: dict[str, Any]) -> Iterator[str]:
    """The states that a state can lead to."""
    for branch in (state, *state.get("Choices", []), *state.get("Catch", [])):
        if "Next" in branch:
            yield branch["Next"]
    if "Default" in state:
        yield state["Default"]


# ---- The targets -----------------------------------------------------------------------------------------------------


def test_prepare_gets_the_executions_input_and_the_records_of_the_configured_targets(sandbox: Templates) -> None:
    event = machine(sandbox)["Prepare"]["Parameters"]
    assert event["input.$"] == "$"
    chosen = Settings.load("sandbox").compilation.chosen
    assert event["targets"] == json.loads(json.dumps([target.record() for target in chosen]))
    assert event["own_targets"] == []


def test_prepare_knows_every_target_of_ones_own(configured: Callable[[str], Templates]) -> None:
    event = machine(configured(EVERY))["Prepare"]["Parameters"]
    assert [target["name"] for target in event["own_targets"]] == ["buoy"]
    assert "buoy" not in [target["name"] for target in event["targets"]]


def test_the_model_of_a_measured_target_is_compared_on_the_processing_jobs_instances(sandbox: Templates) -> None:
    function = only(sandbox["compilation"], "AWS::Lambda::Function", "PrepareFunction")
    assert function["Environment"]["Variables"]["INSTANCE_TYPE"] == Settings.load("sandbox").jobs.instance_type
    measure = item(sandbox)["Measure"]["Parameters"]
    assert measure["ProcessingResources"]["ClusterConfig"]["InstanceType.$"] == "$.target.instance_type"
    assert measure["ProcessingInputs.$"] == "$.packaged.processing_inputs"


def test_only_what_can_be_measured_is(sandbox: Templates) -> None:
    [choice] = item(sandbox)["Measurable"]["Choices"]
    named, given_ = choice["And"]
    assert named == {"Not": {"Variable": "$.target.instance_type", "StringEquals": ""}}
    assert given_ == {"Variable": "$.packaged.processing_inputs[0]", "IsPresent": True}
    assert choice["Next"] == "Image"
    assert item(sandbox)["Measurable"]["Default"] == "Packaged"


# ---- Every target fails alone ----------------------------------------------------------------------------------------


def test_nothing_that_can_fail_in_a_target_fails_the_others(configured: Callable[[str], Templates]) -> None:
    for name in ("sandbox", EVERY):
        for state_name, state in item(configured(name)).items():
            if state["Type"] == "Task":
                assert "States.ALL" in [error for catch in state["Catch"] for error in catch["ErrorEquals"]], state_name
            assert state["Type"] != "Fail"


def test_every_way_through_a_target_ends_with_a_package(configured: Callable[[str], Templates]) -> None:
    states = item(configured(EVERY))
    ends = {name for name, state in states.items() if state.get("End") or not list(following(state))}
    assert ends == {"Packaged", "NotPackaged"}
    assert states["Packaged"]["InputPath"] == "$.packaged.package"
    told = {name.removesuffix(".$") for name in states["NotPackaged"]["Parameters"]}
    assert told == set(get_type_hints(Package))


def test_a_target_that_cannot_be_compiled_makes_no_job(sandbox: Templates) -> None:
    possible = item(sandbox)["Possible"]
    assert possible["Choices"] == [{"Variable": "$.target.refusal", "StringEquals": "", "Next": "Create"}]
    assert possible["Default"] == "PackageImpossible"
    assert item(sandbox)["PackageImpossible"]["Parameters"]["failure_reason.$"] == "$.target.refusal"


def test_what_was_not_compiled_is_packaged_without_it_and_with_a_reason(sandbox: Templates) -> None:
    states = {name: state["Parameters"] for name, state in item(sandbox).items() if name.startswith("Package")
              and state["Type"] == "Task"}  # fmt: skip
    compiled = states.pop("Package")
    assert compiled["artifact_uri.$"] == "$.job.ModelArtifacts.S3ModelArtifacts"
    assert compiled["failure_reason"] == ""
    assert set(states) == {"PackageImpossible", "PackageRefused", "PackageFailed", "PackageTimedOut", "PackageUnjudged"}
    for name, event in states.items():
        assert event["artifact_uri"] == "", name
        assert event.get("failure_reason.$") or event["failure_reason"], name
        assert {key.removesuffix(".$") for key in event} == set(get_type_hints(PackageInput)), name


# ---- The job ---------------------------------------------------------------------------------------------------------


def test_a_job_that_is_there_already_is_followed_like_one_that_was_just_made(sandbox: Templates) -> None:
    create = item(sandbox)["Create"]
    there, anything = create["Catch"]
    assert there["ErrorEquals"] == ["SageMaker.ResourceInUseException"]
    assert there["Next"] == create["Next"] == "CompilationBegin"
    assert there["ResultPath"] is None, "the job's name must stay in the payload"
    assert anything["Next"] == "PackageRefused"


@pytest.mark.parametrize("state", ["Create", "Measure"])
def test_an_account_without_room_is_asked_again_after_pauses_that_grow(sandbox: Templates, state: str) -> None:
    room = item(sandbox)[state]["Retry"][0]
    assert room["ErrorEquals"] == ["SageMaker.ResourceLimitExceededException"]
    assert (room["IntervalSeconds"], room["BackoffRate"] > 1, room["MaxAttempts"]) == (60, True, 6)


def test_a_job_is_looked_at_with_pauses_that_grow_and_stopped_when_its_time_is_over(sandbox: Templates) -> None:
    states, settings = item(sandbox), Settings.load("sandbox")
    pauses = growing(settings.operations.poll_seconds, settings.compilation.max_runtime_seconds + AROUND_SECONDS)
    assert states["CompilationBegin"]["Result"] == {"seconds": pauses[0], "pauses": 1}
    listed_ = ", ".join(map(str, pauses))
    next_pause = states["CompilationPause"]["Parameters"]["seconds.$"]
    assert next_pause == f"States.ArrayGetItem(States.Array({listed_}), $.poll.pauses)"
    assert states["CompilationWait"]["SecondsPath"] == "$.poll.seconds"
    ended, failed, late = states["CompilationDecide"]["Choices"]
    assert (ended["Next"], failed["Next"]) == ("WithInferenceImage", "WithFailureReason")
    assert late == {"Variable": "$.poll.pauses", "NumericGreaterThanEquals": len(pauses), "Next": "Stop"}
    assert sum(pauses) > states["Create"]["Parameters"]["StoppingCondition"]["MaxRuntimeInSeconds"]
    assert set(following(states["Stop"])) == {"PackageTimedOut"}


@pytest.mark.parametrize("field", ["InferenceImage", "FailureReason"])
def test_what_the_service_leaves_out_of_a_description_is_empty(sandbox: Templates, field: str) -> None:
    states = item(sandbox)
    [there] = states[f"With{field}"]["Choices"]
    assert (there["Variable"], there["IsPresent"]) == (f"$.job.{field}", True)
    empty = states[states[f"With{field}"]["Default"]]
    assert (empty["Result"], empty["ResultPath"], empty["Next"]) == ("", f"$.job.{field}", there["Next"])


@given(first=st.integers(1, 3600), total=st.integers(60, 25 * 3600))
def test_pauses_grow_and_add_up_to_the_time_that_there_is(first: int, total: int) -> None:
    pauses = growing(first, total)
    assert pauses[0] == first
    assert pauses == sorted(pauses)
    assert sum(pauses) >= total
    assert sum(pauses[:-1]) < total or len(pauses) == 1
    assert len(pauses) <= 40


def test_all_targets_for_a_day_take_less_events_than_an_execution_may_have(
    configured: Callable[[str], Templates],
) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html: 25,000; a task has 5, others 2."""
    states = item(configured(EVERY))
    instances = sum(target.delivery == "endpoint" for target in TARGETS.values())
    once = sum(5 if state["Type"] == "Task" else 2 for state in states.values())
    events = len(TARGETS) * once
    for loop, targets in {"Compilation": len(TARGETS), "Endpoint": instances, "Unhosting": instances}.items():
        looks = states[f"{loop}Decide"]["Choices"][-1]["NumericGreaterThanEquals"]
        events += targets * looks * (5 + 2 + 2 + 2)
    assert events < 25_000


def test_no_loop_of_a_target_waits_with_pauses_that_never_grow(configured: Callable[[str], Templates]) -> None:
    waits = {name: state for name, state in item(configured(EVERY)).items() if state["Type"] == "Wait"}
    assert set(waits) == {"CompilationWait", "EndpointWait", "UnhostingWait"}
    assert all("SecondsPath" in state for state in waits.values())


# ---- What they may do ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "read", "written"),
    [
        ("ComparisonJobRole", {"datasets/*", "images/*", "models/*"}, {"models/*/comparisons/*"}),
        ("PrepareFunctionRole", {"models/*"}, {"models/*/source/*"}),
        ("PackageFunctionRole", {"models/*", "datasets/*"}, {"models/*"}),
        ("JudgeFunctionRole", {"models/*"}, {"models/*"}),
        ("SummarizeFunctionRole", set(), {"models/*/compilation.json"}),
    ],
)
def test_each_reads_what_it_works_on_and_writes_what_it_makes(
    sandbox: Templates, role: str, read: set[str], written: set[str]
) -> None:
    found: dict[str, set[str]] = {}
    for statement in statements(sandbox["compilation"], role):
        for action in listed(statement["Action"]):
            found.setdefault(action, set()).update(text(one).partition("/")[2] for one in listed(statement["Resource"]))
    assert found.get("s3:GetObject", set()) == read
    assert found["s3:PutObject"] == written
    assert "s3:DeleteObject" not in found


def test_packages_are_written_into_the_artifact_bucket_and_nowhere_else(sandbox: Templates) -> None:
    for role in ("PackageFunctionRole", "JudgeFunctionRole"):
        buckets = {
            text(resource).rpartition(":")[2]
            for statement in statements(sandbox["compilation"], role)
            for resource in listed(statement["Resource"])
            if "s3:PutObject" in listed(statement["Action"])
        }
        assert len(buckets) == 1
        assert "ArtifactBucket" in buckets.pop()


def test_neo_reads_sources_and_writes_what_it_compiles(sandbox: Templates) -> None:
    [policy] = [
        policy["PolicyDocument"]["Statement"]
        for name, policy in resources(sandbox["compilation"], "AWS::IAM::Policy").items()
        if name.startswith("JobRole")
    ]
    objects = {
        action: text(resource).partition("/")[2]
        for statement in policy
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if action in ("s3:GetObject", "s3:PutObject")
    }
    assert objects == {"s3:GetObject": "models/*/source/*", "s3:PutObject": "models/*/compiled/*"}


def test_summarize_notes_what_the_targets_got_in_the_registry_and_registers_nothing(sandbox: Templates) -> None:
    actions = {one for statement in statements(sandbox["compilation"], "SummarizeFunctionRole")
               for one in listed(statement["Action"]) if one.startswith("sagemaker:")}  # fmt: skip
    assert actions == {"sagemaker:ListModelPackages", "sagemaker:DescribeModelPackage", "sagemaker:UpdateModelPackage"}


def test_endpoints_are_made_only_where_they_are_asked_for(configured: Callable[[str], Templates]) -> None:
    made = {"CreateModel", "CreateEndpointConfig", "CreateEndpoint"}
    assert made <= set(item(configured(EVERY)))
    assert not made & set(item(configured("sandbox")))
    allowed = json.dumps(configured("sandbox")["compilation"])
    assert "sagemaker:CreateEndpoint" not in allowed
