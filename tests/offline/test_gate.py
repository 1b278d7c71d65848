"""What AWS would refuse is refused in the service's own words; what breaks says so at once."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from offline import gate
from offline.account import Account
from tests.offline.roles import client_of, make_role

SIGNED = "AWS4-HMAC-SHA256 Credential=offline/20260101/us-east-1/logs/aws4_request, SignedHeaders=host"
ROLE = "arn:aws:iam::123456789012:role/any"


@pytest.fixture
def unchecked(account: Account) -> Callable[[str], Any]:
    """Clients that send whatever they are given, as another SDK or a state machine would; with boto3's own retries."""

    def client(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=account.endpoint,
            region_name="us-east-1",
            aws_access_key_id="offline",
            aws_secret_access_key="offline",
            config=Config(parameter_validation=False, s3={"addressing_style": "path"}),
        )

    return client


def _refused(call: Callable[..., Any], **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_missing_parameter_is_refused(unchecked: Callable[[str], Any]) -> None:
    code, message = _refused(unchecked("stepfunctions").create_state_machine, name="machine", roleArn=ROLE)
    assert code == "ValidationException"
    assert "Value null at 'definition' failed to satisfy constraint: Member must not be null" in message


def test_an_unknown_parameter_is_refused_by_name(account: Account, unchecked: Callable[[str], Any]) -> None:
    request = urllib.request.Request(  # botocore drops what it does not know
        account.endpoint,
        data=json.dumps({"logGroupName": "group", "retention": 3}).encode(),
        headers={
            "X-Amz-Target": "Logs_20140328.CreateLogGroup",
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": SIGNED,
        },
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    answer = json.loads(caught.value.read())
    assert answer["__type"].endswith("InvalidParameterException")
    assert "Unknown parameter 'retention'" in answer["Message"]


def test_an_unknown_field_of_a_form_is_refused_by_name(account: Account) -> None:
    request = urllib.request.Request(
        account.endpoint,
        data=b"Action=GetRole&Version=2010-05-08&RoleName=any&Nickname=joe",
        headers={"Authorization": SIGNED.replace("/logs/", "/iam/")},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert "Unknown parameter 'Nickname'" in caught.value.read().decode()


def test_a_mistyped_parameter_is_refused(account: Account) -> None:
    request = urllib.request.Request(
        account.endpoint,
        data=json.dumps({"logGroupName": ["group"]}).encode(),
        headers={
            "X-Amz-Target": "Logs_20140328.CreateLogGroup",
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": SIGNED,
        },
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert "'logGroupName' is a list, it must be a string" in caught.value.read().decode()


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "constraint"),
    [
        ("logs", "put_retention_policy", {"logGroupName": "a b", "retentionInDays": 1}, "regular expression pattern"),
        ("ecr", "create_repository", {"repositoryName": "a" * 257}, "length less than or equal to 256"),
        ("ecr", "create_repository", {"repositoryName": "a", "imageTagMutability": "NO"}, "enum value set: [MUTABLE"),
        ("lambda", "list_functions", {"MaxItems": 0}, "value greater than or equal to 1"),
    ],
)
def test_values_outside_of_their_bounds_are_refused(
    unchecked: Callable[[str], Any], service: str, operation: str, parameters: dict[str, Any], constraint: str
) -> None:
    _, message = _refused(getattr(unchecked(service), operation), **parameters)
    assert constraint in message


def test_a_query_service_refuses_in_its_own_form(unchecked: Callable[[str], Any]) -> None:
    code, message = _refused(unchecked("iam").create_role, RoleName="a role", AssumeRolePolicyDocument="{}")
    assert code == "ValidationError"
    assert "Value 'a role' at 'roleName'" in message


def test_s3_refuses_in_its_own_form(unchecked: Callable[[str], Any]) -> None:
    code, _ = _refused(unchecked("s3").put_bucket_acl, Bucket="bucket", ACL="open-to-all")
    assert code == "InvalidArgument"


def test_a_planned_refusal_meets_one_call_and_no_other(account: Account) -> None:
    logs = account.client("logs")
    account.faults.refuse(
        "logs:CreateLogGroup", "LimitExceededException", "Too many.", match=lambda given: given["logGroupName"] == "one"
    )
    logs.create_log_group(logGroupName="other")
    assert _refused(logs.create_log_group, logGroupName="one") == ("LimitExceededException", "Too many.")
    logs.create_log_group(logGroupName="one")


def test_an_operation_that_nobody_wrote_says_so_at_once(unchecked: Callable[[str], Any]) -> None:
    with pytest.raises(ClientError) as caught:
        unchecked("sagemaker").list_hubs()
    assert caught.value.response["Error"]["Code"] == "NotImplemented"
    assert "sagemaker:ListHubs" in caught.value.response["Error"]["Message"]
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 0


def test_a_crash_is_an_error_with_its_traceback_in_a_file(
    account: Account, unchecked: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_: object) -> dict[str, Any]:
        raise ZeroDivisionError("somebody's mistake")

    monkeypatch.setitem(gate.SERVICES, "ssm:GetParameter", crash)
    code, message = _refused(unchecked("ssm").get_parameter, Name="any")
    assert (code, "somebody's mistake" in message) == ("InternalFailure", True)
    assert "ZeroDivisionError" in (account.state.folder / "errors.log").read_text()


def test_the_list_of_requests_names_the_role_behind_each(account: Account) -> None:
    arn = make_role(account, "reader")
    client_of(account, "s3", arn).list_buckets()
    requests = [json.loads(line) for line in (account.state.folder / "requests.log").read_text().splitlines()]
    assert any(one["call"] == "s3:ListBuckets" and one["principal"] == arn and one["status"] == 200 for one in requests)


def test_bytes_of_any_kind_pass_as_they_are(account: Account) -> None:
    s3 = account.client("s3")
    s3.create_bucket(Bucket="bytes")
    content = bytes(range(256)) * 5000
    s3.put_object(Bucket="bytes", Key="a folder/ä&=?.bin", Body=content)
    assert s3.get_object(Bucket="bytes", Key="a folder/ä&=?.bin")["Body"].read() == content
    address = s3.generate_presigned_url("get_object", Params={"Bucket": "bytes", "Key": "a folder/ä&=?.bin"})
    with urllib.request.urlopen(address) as answer:
        assert answer.read() == content


def test_a_policy_that_denies_plain_connections_locks_nobody_out(account: Account) -> None:
    s3 = account.client("s3")
    s3.create_bucket(Bucket="tls-only")
    deny = {
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::tls-only", "arn:aws:s3:::tls-only/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket="tls-only", Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    s3.put_object(Bucket="tls-only", Key="key", Body=b"in")
    plain = {name: value for name, value in deny.items() if name != "Condition"}
    s3.put_bucket_policy(Bucket="tls-only", Policy=json.dumps({"Version": "2012-10-17", "Statement": [plain]}))
    with pytest.raises(ClientError, match="403"):
        s3.put_object(Bucket="tls-only", Key="key", Body=b"in")


def test_credentials_of_a_deleted_role_are_worth_nothing(account: Account) -> None:
    iam = account.client("iam")
    role = make_role(account, "buoy")
    device = client_of(account, "s3", role)
    account.client("s3").create_bucket(Bucket="frames")
    device.put_object(Bucket="frames", Key="before", Body=b"")
    iam.delete_role_policy(RoleName="buoy", PolicyName="all")
    iam.delete_role(RoleName="buoy")
    code, message = _refused(device.put_object, Bucket="frames", Key="after", Body=b"")
    assert code == "AccessDenied"
    assert f"there is no role {role}" in message
