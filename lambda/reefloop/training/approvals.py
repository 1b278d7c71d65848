"""Models that wait until a person approves or rejects them in the registry.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-approve.html
"""

import json
from typing import Any, Final, cast

from botocore.exceptions import ClientError

from reefloop import clients, contracts, storage
from reefloop.payloads import Approval, AwaitApprovalInput, Verdict

_DECIDED: Final = {"Approved": "approved", "Rejected": "rejected"}
# A token that was used, ran out or never was: https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html
_NOBODY_WAITS: Final = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})


def wait(bucket: str, waiting: AwaitApprovalInput) -> None:
    """Note under which token a model's verdict is awaited, and let it go on at once if a person has decided already.

    In this order: who decides before the token is noted is seen here, who decides after it is seen by ApprovalChanged.
    A token that was noted before is worth nothing any more.
    """
    storage.write_json(bucket, _key(waiting["verdict"]["model_package_arn"]), waiting)
    # What is noted may be gone by now: who was busy with the token before this one deletes the note under the same key.
    _settle(bucket, waiting)


def changed(bucket: str, model_package_arn: str) -> None:
    """Let go on what waits for this model, if anything does and a person has decided."""
    key = _key(model_package_arn)
    if storage.find(bucket, key) is not None:
        _settle(bucket, storage.read_json(bucket, key))


def _settle(bucket: str, waiting: AwaitApprovalInput) -> None:
    """The registry is asked, whatever event led here: SageMaker sends one more than once, and two may overtake each
    other. https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
    """
    arn = waiting["verdict"]["model_package_arn"]
    package = clients.sagemaker().describe_model_package(ModelPackageName=arn)
    if package["ModelApprovalStatus"] not in _DECIDED:
        return
    try:
        clients.client("stepfunctions").send_task_success(
            taskToken=waiting["token"], output=json.dumps(_decided(waiting["verdict"], package))
        )
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NOBODY_WAITS:
            raise
    storage.delete(bucket, _key(arn))


def _decided(verdict: Verdict, package: dict[str, Any]) -> Verdict:
    status = cast(Approval, package["ModelApprovalStatus"])
    said = f"{_DECIDED[status]} in the registry by a person"
    if words := package.get("ApprovalDescription"):
        said += f": {words}"
    return Verdict(
        accepted=status == "Approved",
        reasons=[*verdict["reasons"], said],
        approval=status,
        model_package_arn=verdict["model_package_arn"],
    )


def _key(model_package_arn: str) -> str:
    return contracts.approval_key(model_package_arn.rpartition("/")[2])
