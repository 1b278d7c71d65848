"""What a role may not do is refused, in the words of AWS: calls of functions, jobs and state machines."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from offline.account import Account
from offline.device import provision
from tests.offline.bench import any_name
from tests.offline.fleet import archive
from tests.offline.roles import client_of, make_role

BUCKET = "guarded"
Client = Callable[[str], Any]
Statement = Mapping[str, Any]


@pytest.fixture(scope="module", autouse=True)
def _bucket(account: Account) -> None:
    account.client("s3").create_bucket(Bucket=BUCKET)
    account.client("s3").put_object(Bucket=BUCKET, Key="models/a", Body=b"a")


def under(account: Account, *statements: Statement) -> Client:
    """Clients under a new role that may do this and nothing else; a statement without Resource is about all."""
    role = make_role(account, any_name("role"))
    allowed = [{"Effect": "Allow", "Resource": "*", **statement} for statement in statements]
    account.client("iam").put_role_policy(
        RoleName=role.rpartition("/")[2],
        PolicyName="all",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allowed}),
    )
    return lambda service: client_of(account, service, role)


def objects(*patterns: str) -> list[str]:
    return [f"arn:aws:s3:::{BUCKET}/{pattern}" for pattern in patterns]


def refused(call: Callable[..., Any], **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_what_no_statement_allows_is_refused_with_who_and_what(account: Account) -> None:
    role = make_role(account, "narrow", "s3:GetObject")
    s3 = client_of(account, "s3", role)
    assert s3.get_object(Bucket=BUCKET, Key="models/a")["Body"].read() == b"a"
    assert refused(s3.put_object, Bucket=BUCKET, Key="models/b", Body=b"") == (
        "AccessDenied",
        "User: arn:aws:sts::123456789012:assumed-role/narrow/session is not authorized to perform: s3:PutObject on "
        f"resource: arn:aws:s3:::{BUCKET}/models/b",
    )


def test_a_developer_may_do_everything(account: Account) -> None:
    account.client("s3").put_object(Bucket=BUCKET, Key="anything", Body=b"")


def test_a_service_of_json_has_its_own_word_for_it(account: Account) -> None:
    code, message = refused(
        under(account, {"Action": "s3:GetObject"})("sagemaker").describe_training_job, TrainingJobName="any"
    )
    assert code == "AccessDeniedException"
    assert message.endswith("resource: arn:aws:sagemaker:us-east-1:123456789012:training-job/any")


def test_a_policy_that_changes_counts_at_once(account: Account) -> None:
    role = make_role(account, "changing", "s3:GetObject")
    s3 = client_of(account, "s3", role)
    s3.get_object(Bucket=BUCKET, Key="models/a")
    account.client("iam").delete_role_policy(RoleName="changing", PolicyName="all")
    assert refused(s3.get_object, Bucket=BUCKET, Key="models/a")[0] == "AccessDenied"
    account.client("iam").attach_role_policy(
        RoleName="changing", PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    )
    s3.get_object(Bucket=BUCKET, Key="models/a")


def test_an_object_that_is_missing_is_told_only_to_those_who_may_list(account: Account) -> None:
    reads = {"Action": "s3:GetObject", "Resource": objects("*")}
    lists = {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{BUCKET}"}
    code, message = refused(under(account, reads)("s3").get_object, Bucket=BUCKET, Key="nothing")
    assert (code, "s3:ListBucket" in message) == ("AccessDenied", True)
    assert refused(under(account, reads, lists)("s3").get_object, Bucket=BUCKET, Key="nothing")[0] == "NoSuchKey"


COPY = {"Bucket": BUCKET, "Key": "copies/a", "CopySource": {"Bucket": BUCKET, "Key": "models/a"}}


@pytest.mark.parametrize(
    ("statement", "missing"),
    [
        ({"Action": "s3:GetObject", "Resource": objects("models/*")}, "s3:PutObject"),
        ({"Action": "s3:PutObject", "Resource": objects("copies/*")}, "s3:GetObject"),
        ({"Action": ["s3:GetObject", "s3:PutObject"], "Resource": objects("copies/*")}, "s3:GetObject"),
    ],
)
def test_a_copy_is_a_read_and_a_write(account: Account, statement: Statement, missing: str) -> None:
    assert f"perform: {missing} on" in refused(under(account, statement)("s3").copy_object, **COPY)[1]
    both = {"Action": ["s3:GetObject", "s3:PutObject"], "Resource": objects("models/*", "copies/*")}
    under(account, both)("s3").copy_object(**COPY)


def test_parts_of_an_upload_are_writes(account: Account) -> None:
    reads = {"Action": "s3:GetObject"}
    code, message = refused(under(account, reads)("s3").create_multipart_upload, Bucket=BUCKET, Key="large")
    assert (code, "perform: s3:PutObject on" in message) == ("AccessDenied", True)


def test_a_list_of_part_of_a_bucket_may_be_all_that_is_allowed(account: Account) -> None:
    s3 = under(account, {"Action": "s3:ListBucket", "Condition": {"StringLike": {"s3:prefix": ["models/*"]}}})("s3")
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="models/")["KeyCount"] == 1
    assert refused(s3.list_objects_v2, Bucket=BUCKET)[0] == "AccessDenied"


def _job(**more: Any) -> dict[str, Any]:
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
    return {
        "ProcessingJobName": any_name("processing"),
        "RoleArn": "arn:aws:iam::123456789012:role/worker",
        "AppSpecification": {"ImageUri": "image"},
        "ProcessingResources": {"ClusterConfig": cluster},
        **more,
    }


CREATES = {"Action": "sagemaker:CreateProcessingJob", "Resource": "arn:aws:sagemaker:*:*:processing-job/processing-*"}
PASSES = {
    "Action": "iam:PassRole",
    "Resource": "arn:aws:iam::123456789012:role/worker",
    "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
}


@pytest.mark.parametrize(
    ("statements", "request_", "missing"),
    [
        ([PASSES], {}, "sagemaker:CreateProcessingJob"),
        ([CREATES], {}, "iam:PassRole"),
        ([CREATES, {**PASSES, "Resource": "arn:aws:iam::123456789012:role/other"}], {}, "iam:PassRole"),
        ([CREATES, PASSES], {"Tags": [{"Key": "a", "Value": "b"}]}, "sagemaker:AddTags"),
        ([CREATES, PASSES], {"ProcessingJobName": "other"}, "sagemaker:CreateProcessingJob"),
    ],
)
def test_a_job_is_made_named_tagged_and_given_a_role_by_those_who_may(
    account: Account, statements: list[Statement], request_: dict[str, Any], missing: str
) -> None:
    create = under(account, *statements)("sagemaker").create_processing_job
    assert f"perform: {missing} on" in refused(create, **_job(**request_))[1]
    under(account, CREATES, PASSES)("sagemaker").create_processing_job(**_job())


def test_a_deployment_is_an_iot_job_in_the_callers_name(account: Account) -> None:
    group = account.client("iot").create_thing_group(thingGroupName="reef")["thingGroupArn"]
    deploys = {"Action": "greengrass:CreateDeployment"}
    code, message = refused(under(account, deploys)("greengrassv2").create_deployment, targetArn=group)
    assert (code, "perform: iot:" in message) == ("AccessDeniedException", True)
    under(account, deploys, {"Action": "iot:*"})("greengrassv2").create_deployment(targetArn=group)


def test_deployments_are_listed_with_their_jobs_and_things_in_the_callers_name(account: Account) -> None:
    greengrass = under(account, {"Action": ["greengrass:*", "iot:Describe*"]})("greengrassv2")
    code, message = refused(greengrass.list_deployments)
    assert (code, message.partition("perform: ")[2].split(" ")[0]) == ("AccessDeniedException", "iot:GetThingShadow")


def test_the_artifacts_of_a_component_are_read_in_the_callers_name(account: Account) -> None:
    manifest = {"Platform": {"os": "linux", "runtime": "*"}, "Artifacts": [{"Uri": f"s3://{BUCKET}/models/a"}]}
    recipe = {
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": "any.Guarded",
        "ComponentVersion": "1.0.0",
        "Manifests": [manifest],
    }
    creates = {"Action": "greengrass:CreateComponentVersion"}
    create = under(account, creates)("greengrassv2").create_component_version
    assert (
        f"s3:GetObject on resource: arn:aws:s3:::{BUCKET}/models/a"
        in refused(create, inlineRecipe=json.dumps(recipe).encode())[1]
    )


# ---- Who may assume a role -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role_of", "reason"),
    [
        (lambda account: make_role(account, any_name("role"), services=["lambda"]), "trust policy does not name"),
        (lambda _: "arn:aws:iam::123456789012:role/nobody", "there is no such role"),
    ],
)
def test_a_job_does_not_start_under_a_role_that_sagemaker_may_not_assume(
    account: Account, role_of: Callable[[Account], str], reason: str
) -> None:
    role, sagemaker = role_of(account), account.client("sagemaker")
    job = _job(RoleArn=role)
    sagemaker.create_processing_job(**job)
    while (found := sagemaker.describe_processing_job(ProcessingJobName=job["ProcessingJobName"]))[
        "ProcessingJobStatus"
    ] == "InProgress":
        pass
    assert f"sagemaker.amazonaws.com cannot assume {role}" in found["FailureReason"]
    assert reason in found["FailureReason"]


def test_a_function_does_not_run_under_a_role_that_lambda_may_not_assume(account: Account) -> None:
    name, functions = any_name("function"), account.client("lambda")
    functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="index.handler",
        Role=make_role(account, name, services=["sagemaker"]),
        Code={"ZipFile": archive({"index.py": "def handler(event, context): return 1"})},
    )
    code, message = refused(functions.invoke, FunctionName=name)
    assert (code, "cannot be assumed by Lambda" in message) == ("InvalidParameterValueException", True)


def test_a_state_machine_does_nothing_under_a_role_that_it_may_not_assume(account: Account) -> None:
    machines = account.client("stepfunctions")
    call = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:listBuckets", "Parameters": {}, "End": True}
    arn = machines.create_state_machine(
        name=any_name("machine"),
        definition=json.dumps({"StartAt": "List", "States": {"List": call}}),
        roleArn=make_role(account, any_name("role"), services=["lambda"]),
    )["stateMachineArn"]
    execution = machines.start_execution(stateMachineArn=arn)["executionArn"]
    while (found := machines.describe_execution(executionArn=execution))["status"] == "RUNNING":
        pass
    assert found["status"] == "FAILED"
    assert "states.amazonaws.com cannot assume" in found["cause"]


# ---- Devices ---------------------------------------------------------------------------------------------------------


def test_a_device_writes_under_its_own_name_alone(account: Account) -> None:
    role = make_role(account, "devices")
    own = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": objects("${credentials-iot:ThingName}/*")}
    document = json.dumps({"Version": "2012-10-17", "Statement": [own]})
    account.client("iam").put_role_policy(RoleName="devices", PolicyName="all", PolicyDocument=document)
    account.client("iot").create_role_alias(roleAlias="devices", roleArn=role)
    account.client("iot").create_policy(policyName="none", policyDocument=json.dumps({"Statement": []}))
    device = provision(account.state, "buoy-1", groups=[], role_alias="devices", policy="none")
    s3 = account.state.client("s3", **device.exchange().keywords)
    s3.put_object(Bucket=BUCKET, Key="buoy-1/frame", Body=b"")
    assert refused(s3.put_object, Bucket=BUCKET, Key="buoy-2/frame", Body=b"")[0] == "AccessDenied"
