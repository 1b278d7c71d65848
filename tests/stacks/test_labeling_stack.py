"""What the labeling stack is for, provider by provider, stated as properties of its template."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.stacks.conftest import VENDOR, Templates, definition, listed, only, resources, statements, text


def test_ground_truth_gets_a_workforce_of_its_own_and_two_teams(sandbox: Templates) -> None:
    labeling = sandbox["labeling"]
    only(labeling, "AWS::SageMaker::Workforce")
    teams = resources(labeling, "AWS::SageMaker::Workteam").values()
    assert {team["WorkteamName"] for team in teams} == {"reefloop-labelers", "reefloop-experts"}
    domain = only(labeling, "AWS::Cognito::UserPoolDomain")["Domain"]
    assert text(domain) == "reefloop-<AWS::AccountId>"


def test_people_can_sign_in_before_there_is_work_for_them(sandbox: Templates) -> None:
    states = definition(sandbox["labeling"])["States"]
    assert states["OpenPage"]["Next"] == "ListPool"
    client = only(sandbox["labeling"], "AWS::Cognito::UserPoolClient")
    assert client["GenerateSecret"] is True
    assert "CallbackURLs" not in client


def test_an_existing_workforce_is_used_with_its_own_pool(configured: Callable[[str], Templates]) -> None:
    labeling = configured("existing workforce")["labeling"]
    assert not resources(labeling, "AWS::SageMaker::Workforce")
    assert not resources(labeling, "AWS::Cognito::UserPool")
    assert "OpenPage" not in definition(labeling)["States"]
    for team in resources(labeling, "AWS::SageMaker::Workteam").values():
        member = team["MemberDefinitions"][0]["CognitoMemberDefinition"]
        assert team["WorkforceName"] == "ours"
        assert member["CognitoUserPool"] == "us-east-1_abc123"


def test_imported_labels_need_no_people_and_change_no_other_stack(configured: Callable[[str], Templates]) -> None:
    imported, sandbox = configured("imported labels"), configured("sandbox")
    assert "CheckImport" in definition(imported["labeling"])["States"]
    assert not resources(imported["labeling"], "AWS::SageMaker::Workforce")
    for stack in ("storage", "jobs", "training", "compilation", "deployment", "loop"):
        assert imported[stack] == sandbox[stack], stack


def test_the_task_functions_are_those_of_the_region(configured: Callable[[str], Templates]) -> None:
    task = definition(configured("another region")["labeling"])["States"]["Label"]["ItemProcessor"]["States"]
    arn = task["LabelChunk"]["Parameters"]["HumanTaskConfig"]["PreHumanTaskLambdaArn"]
    assert arn == "arn:aws:lambda:eu-west-1:568282634449:function:PRE-ImageMultiClass"


def labeling_jobs(templates: Templates, state: str) -> list[dict[str, Any]]:
    """The requests of a Map's labeling jobs."""
    states = definition(templates["labeling"])["States"][state]["ItemProcessor"]["States"].values()
    return [one["Parameters"] for one in states if one.get("Resource", "").endswith("createLabelingJob.sync")]


def test_what_labelers_leave_in_doubt_goes_to_the_experts_once_more(sandbox: Templates) -> None:
    states = definition(sandbox["labeling"])["States"]
    assert states["Consolidate"]["Next"] == "WriteExpertTasks"
    assert states["LabelExpertsAtAll"]["Choices"][0]["Next"] == "Merge"
    assert states["LabelExpertsAgain"]["Choices"][0]["Next"] == "ConsolidateAgain"
    assert states["ConsolidateAgain"]["Next"] == "Merge"
    [labelers], [experts] = labeling_jobs(sandbox, "Label"), labeling_jobs(sandbox, "LabelExperts")
    assert "LabelersTeam" in labelers["HumanTaskConfig"]["WorkteamArn"]
    assert "ExpertsTeam" in experts["HumanTaskConfig"]["WorkteamArn"]


@pytest.mark.parametrize(("state", "collect"), [("Label", "CollectLabels"), ("LabelExperts", "CollectExpertLabels")])
def test_a_labeling_job_that_fails_is_collected_like_one_that_does_not(
    configuration: Templates, state: str, collect: str
) -> None:
    states = definition(configuration["labeling"])["States"]
    for map_ in [states[state]] if state in states else []:
        assert map_["Next"] == collect
        for name, item in map_["ItemProcessor"]["States"].items():
            if item["Type"] == "Task":
                assert item["Catch"] == [{"ErrorEquals": ["States.ALL"], "Next": f"{state}ChunkFailed"}], name
                assert item.get("ResultPath", "$") == "$"


def test_the_machine_lives_as_long_as_its_chained_jobs_may(configured: Callable[[str], Templates]) -> None:
    days = 24 * 3600
    assert definition(configured("sandbox")["labeling"])["TimeoutSeconds"] > 2 * 2 * 30 * days
    assert definition(configured("station")["labeling"])["TimeoutSeconds"] > 2 * 2 * 10 * days


def test_more_instances_score_a_pool_and_one_consolidates_it(configured: Callable[[str], Templates]) -> None:
    states = definition(configured("boxes")["labeling"])["States"]
    counts = {
        name: states[name]["Parameters"]["ProcessingResources"]["ClusterConfig"]["InstanceCount"]
        for name in ("Score", "Consolidate", "ConsolidateAgain", "Merge")
    }
    assert counts == {"Score": 3, "Consolidate": 1, "ConsolidateAgain": 1, "Merge": 1}


@pytest.mark.parametrize(
    ("configuration_name", "function", "attribute"),
    [
        ("boxes", "AdjustmentBoundingBox", "species-adjusted"),
        ("boxes judged", "VerificationBoundingBox", "species-verified"),
    ],
)
def test_experts_review_boxes_under_an_attribute_of_their_own(
    configured: Callable[[str], Templates], configuration_name: str, function: str, attribute: str
) -> None:
    [review] = labeling_jobs(configured(configuration_name), "LabelExperts")
    task = review["HumanTaskConfig"]
    assert task["PreHumanTaskLambdaArn"].endswith(f":PRE-{function}")
    assert task["AnnotationConsolidationConfig"]["AnnotationConsolidationLambdaArn"].endswith(f":ACS-{function}")
    assert review["LabelAttributeName"] == attribute
    drawn = labeling_jobs(configured(configuration_name), "Label")[0]
    assert drawn["HumanTaskConfig"]["PreHumanTaskLambdaArn"].endswith(":PRE-BoundingBox")
    assert drawn["LabelAttributeName"] == "species"


def test_the_own_page_may_run_its_two_functions_and_no_other(configured: Callable[[str], Templates]) -> None:
    labeling = configured("own page, vendor's team")["labeling"]
    [job] = labeling_jobs(configured("own page, vendor's team"), "Label")
    invoked = [
        text(one)
        for statement in statements(labeling, "JobRole")
        if "lambda:InvokeFunction" in listed(statement["Action"])
        for one in listed(statement["Resource"])
    ]
    task = job["HumanTaskConfig"]
    used = [
        task["PreHumanTaskLambdaArn"],
        task["AnnotationConsolidationConfig"]["AnnotationConsolidationLambdaArn"],
    ]
    assert sorted(invoked) == sorted(used)
    assert [one.partition("Function")[0] for one in used] == ["<PreAnnotation", "<ConsolidateAnnotations"]


def test_a_vendor_takes_the_labelers_place_and_experts_stay_private(configured: Callable[[str], Templates]) -> None:
    templates = configured("own page, vendor's team")
    [job], [review] = labeling_jobs(templates, "Label"), labeling_jobs(templates, "LabelExperts")
    assert job["HumanTaskConfig"]["WorkteamArn"] == VENDOR
    assert "ExpertsTeam" in review["HumanTaskConfig"]["WorkteamArn"]
    assert only(templates["labeling"], "AWS::SageMaker::Workteam")["WorkteamName"] == "reefloop-experts"


def test_the_public_gets_its_price_and_the_promise_that_it_needs(configured: Callable[[str], Templates]) -> None:
    templates = configured("automated, public")
    jobs, [review] = labeling_jobs(templates, "Label"), labeling_jobs(templates, "LabelExperts")
    assert len(jobs) == 2
    for job in jobs:
        task = job["HumanTaskConfig"]
        assert task["WorkteamArn"] == "arn:aws:sagemaker:us-east-1:394669845002:workteam/public-crowd/default"
        assert task["PublicWorkforceTaskPrice"]["AmountInUsd"] == {
            "Dollars": 0, "Cents": 3, "TenthFractionsOfACent": 6,
        }  # fmt: skip
        classifiers = job["InputConfig"]["DataAttributes"]["ContentClassifiers"]
        assert "FreeOfPersonallyIdentifiableInformation" in classifiers
    assert "PublicWorkforceTaskPrice" not in review["HumanTaskConfig"]


def test_only_chunks_with_an_algorithm_are_labeled_automatically(configured: Callable[[str], Templates]) -> None:
    templates = configured("automated, public")
    item = definition(templates["labeling"])["States"]["Label"]["ItemProcessor"]
    choice = item["States"][item["StartAt"]]
    assert choice["Choices"] == [{"Variable": "$.chunk.algorithms", "IsPresent": True, "Next": "LabelChunkAutomated"}]
    automated, plain = item["States"]["LabelChunkAutomated"]["Parameters"], item["States"]["LabelChunk"]["Parameters"]
    assert automated.pop("LabelingJobAlgorithmsConfig.$") == "$.chunk.algorithms"
    assert {**automated, "LabelingJobName.$": ""} == {**plain, "LabelingJobName.$": ""}
    assert choice["Default"] == "LabelChunk"
    write = only(templates["labeling"], "AWS::Lambda::Function", "WriteTasks")["Environment"]["Variables"]
    assert write["ALGORITHM_ARN"] == (
        "arn:aws:sagemaker:us-east-1:027400017018:labeling-job-algorithm-specification/image-classification"
    )


def test_the_role_of_automated_labeling_passes_itself_and_no_other(configured: Callable[[str], Templates]) -> None:
    for name, expected in (("automated, public", 1), ("sandbox", 0)):
        passes = [
            statement
            for statement in statements(configured(name)["labeling"], "JobRole")
            if "iam:PassRole" in listed(statement["Action"])
        ]
        assert len(passes) == expected
        assert all(text(statement["Resource"]).startswith("<JobRole") for statement in passes)


def test_a_function_that_the_account_has_no_room_for_is_called_again(configured: Callable[[str], Templates]) -> None:
    """Of a Map's 40 batches a new account can publish 10 at once; the others must not count as failed."""
    states = definition(configured("station")["labeling"])["States"]
    for state in (states["WriteTasks"], states["Label"]["ItemProcessor"]["States"]["LabelChunk"]):
        throttled = [one for one in state["Retry"] if one["ErrorEquals"] == ["Lambda.TooManyRequestsException"]]
        assert [(one["MaxAttempts"], one["JitterStrategy"]) for one in throttled] == [(8, "FULL")]


def test_the_station_publishes_a_batch_and_waits_for_its_token(configured: Callable[[str], Templates]) -> None:
    templates = configured("station")
    batch = definition(templates["labeling"])["States"]["Label"]["ItemProcessor"]["States"]["LabelChunk"]
    assert batch["Resource"].endswith("lambda:invoke.waitForTaskToken")
    assert batch["TimeoutSeconds"] == 10 * 24 * 3600
    assert batch["Parameters"]["Payload"]["token.$"] == "$$.Task.Token"
    assert not resources(templates["labeling"], "AWS::Cognito::UserPool")
    assert "OpenPage" not in definition(templates["labeling"])["States"]


def test_people_at_the_station_add_answers_and_see_no_truth(configured: Callable[[str], Templates]) -> None:
    policy = only(configured("station")["labeling"], "AWS::IAM::ManagedPolicy")["PolicyDocument"]["Statement"]
    allowed = {
        action: [text(one).partition("/")[2] for one in listed(statement["Resource"])]
        for statement in policy
        if statement["Effect"] == "Allow"
        for action in listed(statement["Action"])
    }
    assert set(allowed) == {
        "s3:ListBucket", "s3:GetObject", "s3:PutObject", "states:SendTaskSuccess", "states:SendTaskFailure",
        "cloudformation:DescribeStacks",
    }  # fmt: skip
    assert allowed["s3:PutObject"] == ["rounds/*/labeling-jobs/*/station-*/annotations/worker-response/*"]
    assert sorted(allowed["s3:GetObject"]) == ["gold/*", "images/*", "rounds/*/station/*", "rounds/*/tasks/*"]
    [denied] = [statement for statement in policy if statement["Effect"] == "Deny"]
    assert (denied["Action"], text(denied["Resource"]).partition("/")[2]) == ("s3:GetObject", "gold/gold.manifest")


def test_boxes_are_labeled_and_nothing_is_made_of_them(configured: Callable[[str], Templates]) -> None:
    assert set(configured("boxes")) == {"storage", "jobs", "labeling"}
    options = definition(configured("boxes")["labeling"])["States"]["Merge"]["Parameters"]["AppSpecification"]
    assert "'--task', 'detection'" in options["ContainerArguments.$"]


def test_folders_that_jobs_write_to_end_without_a_slash(sandbox: Templates) -> None:
    labeling = definition(sandbox["labeling"])["States"]
    chunk = labeling["Label"]["ItemProcessor"]["States"]["LabelChunk"]["Parameters"]
    folders = [chunk["OutputConfig"]["S3OutputPath.$"]]
    for job in ("Score", "Consolidate", "ConsolidateAgain", "Merge"):
        outputs = labeling[job]["Parameters"]["ProcessingOutputConfig"]["Outputs"]
        folders += [output["S3Output"]["S3Uri.$"] for output in outputs]
    assert len(folders) == 5
    assert not [folder for folder in folders if "/'" in folder]
