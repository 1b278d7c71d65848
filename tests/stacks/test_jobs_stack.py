"""The jobs stack: an image that is named by what it is made of, and pushed only when the audit called it clean."""

import json
from typing import Any

from console.preflight.quotas import BUILD_QUOTA
from reefloop.jobs import explain
from tests.stacks.conftest import Templates, definition, only, resources, text

BAKED = "many GPUs, streamed"


def variables(templates: Templates) -> dict[str, str]:
    given = only(templates["jobs"], "AWS::CodeBuild::Project")["Environment"]["EnvironmentVariables"]
    return {one["Name"]: text(one["Value"]) for one in given}


def commands(templates: Templates) -> list[str]:
    """All commands of the build in their order."""
    spec = json.loads(only(templates["jobs"], "AWS::CodeBuild::Project")["Source"]["BuildSpec"])
    return [command for phase in spec["phases"].values() for command in phase.get("commands", [])]


def states(templates: Templates) -> dict[str, Any]:
    found: dict[str, Any] = definition(templates["jobs"])["States"]
    return found


def test_the_image_is_looked_for_and_pushed_under_one_tag_that_never_changes(sandbox: Templates) -> None:
    tag = variables(sandbox)["IMAGE_URI"].rpartition(":")[2]
    assert states(sandbox)["FindImage"]["Parameters"]["ImageIds"] == [{"ImageTag": tag}]
    assert only(sandbox["jobs"], "AWS::ECR::Repository")["ImageTagMutability"] == "IMMUTABLE"


def test_weights_that_are_baked_in_make_another_image_of_the_same_code(configured: Any) -> None:
    plain, baked = variables(configured("sandbox")), variables(configured(BAKED))
    assert "PRETRAINED" not in plain
    assert baked["PRETRAINED"] == "resnet18.a1_in1k"
    assert plain["REVISION"] == baked["REVISION"]
    assert plain["IMAGE_URI"] != baked["IMAGE_URI"]


def test_nothing_is_pushed_that_the_audit_did_not_call_clean(sandbox: Templates) -> None:
    order = [next(i for i, one in enumerate(commands(sandbox)) if word in one) for word in (
        "docker build", "python -m jobs audit", '[[ "$AUDIT" == clean:* ]]', "docker push")]  # fmt: skip
    assert order == sorted(order)
    assert sum("docker push" in one for one in commands(sandbox)) == 1


def test_the_image_says_what_it_is_made_of(sandbox: Templates) -> None:
    [build] = [one for one in commands(sandbox) if one.startswith("docker build")]
    for label in ("base.name", "base.digest", "revision", "created"):
        assert f'--label "org.opencontainers.image.{label}=' in build
    assert '--build-arg "BASE=$BASE@$BASE_DIGEST"' in build


def test_a_busy_service_is_asked_again_and_a_failed_build_is_explained(sandbox: Templates) -> None:
    build = states(sandbox)["BuildImage"]
    assert build["Retry"][0]["ErrorEquals"] == ["CodeBuild.AWSCodeBuildException"]
    assert build["Retry"][0]["JitterStrategy"] == "FULL"
    assert build["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "ExplainBuild"}]
    assert states(sandbox)["ExplainBuild"]["Next"] == "PlanBuild"
    assert "States.TaskFailed" not in json.dumps(build["Retry"])


def test_a_build_ends_before_the_machine_does(sandbox: Templates) -> None:
    project = only(sandbox["jobs"], "AWS::CodeBuild::Project")
    minutes = project["TimeoutInMinutes"] + project["QueuedTimeoutInMinutes"]
    assert minutes * 60 < definition(sandbox["jobs"])["TimeoutSeconds"]


def test_the_build_reads_its_source_and_writes_its_repository_and_no_other(sandbox: Templates) -> None:
    statements = [
        statement
        for name, policy in resources(sandbox["jobs"], "AWS::IAM::Policy").items()
        if name.startswith("ImageBuild")
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    everywhere = [one["Action"] for one in statements if one["Resource"] == "*"]
    assert everywhere == ["ecr:GetAuthorizationToken"]


def test_the_quota_is_called_the_same_before_and_after_a_build_was_refused() -> None:
    assert explain._QUOTA == BUILD_QUOTA
