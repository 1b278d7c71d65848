"""Preflight tells what blocks, what it could not see, and what to do about it."""

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from console.preflight import CHECKS, run
from console.preflight.account import bootstrap
from console.preflight.check import Finding
from console.preflight.quotas import BUILD_QUOTA, CODES, concurrent_builds, training_instance
from console.preflight.sagemaker import ground_truth, workforce
from offline.account import Account
from settings import Settings

SANDBOX = Settings.load("sandbox")
SPOT = "ml.g5.xlarge for spot training job usage"
ON_DEMAND = "ml.g5.xlarge for training job usage"


def settings(**stage: Any) -> Settings:
    return Settings.load("sandbox", context={"stages": {"sandbox": stage}})


class Recorded:
    """Answers that were recorded, by operation; a string is the code of an error."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def __call__(self, service: str) -> "Recorded":
        return self

    def can_paginate(self, operation: str) -> bool:
        return True

    def get_paginator(self, operation: str) -> "Pages":
        return Pages(self, operation)

    def __getattr__(self, operation: str) -> Any:
        def call(**parameters: Any) -> Any:
            answer = self._answers.get(operation, {})
            if callable(answer):
                answer = answer(**parameters)
            if isinstance(answer, str):
                raise ClientError({"Error": {"Code": answer, "Message": "no"}}, operation)
            return answer

        return call


class Pages:
    def __init__(self, client: Recorded, operation: str) -> None:
        self._client, self._operation = client, operation

    def paginate(self, **parameters: Any) -> list[Any]:
        return [getattr(self._client, self._operation)(**parameters)]


def quotas(**values: Any) -> Recorded:
    """Service Quotas that knows these, by name; a code is only known for what CODES has."""
    by_code = {CODES[name]: value for name, value in values.items() if name in CODES}

    def get(ServiceCode: str, QuotaCode: str) -> Any:
        return {"Quota": {"Value": by_code[QuotaCode]}} if QuotaCode in by_code else "NoSuchResourceException"

    listed = {"Quotas": [{"QuotaName": name, "Value": value} for name, value in values.items()]}
    return Recorded(get_service_quota=get, list_service_quotas=listed, list_aws_default_service_quotas={"Quotas": []})


def by_name(findings: list[Finding]) -> Mapping[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_each_check_stands_alone(account: Account) -> None:
    findings = run(account.client, SANDBOX)
    assert [finding.name for finding in findings] == [check.name for check in CHECKS]
    found = by_name(findings)
    assert found["credentials"].state == "ok"
    assert found["CDK bootstrap"].found == "no CDKToolkit stack"
    assert found["CDK bootstrap"].state == "blocks"
    assert found["model registry"].found == "free"


def test_a_denied_permission_hides_no_other_finding(account: Account) -> None:
    for operation in ("GetServiceQuota", "ListServiceQuotas"):
        account.faults.refuse(f"service-quotas:{operation}", "AccessDeniedException", "not authorized", times=9)
    found = by_name(run(account.client, SANDBOX))
    account.faults.clear()
    denied = found["training instance"]
    assert (denied.state, denied.found) == ("unknown", "could not look: AccessDeniedException (not authorized)")
    assert denied.todo == "allow servicequotas:ListServiceQuotas, or look in the console"
    assert found["credentials"].state == "ok"
    assert found["CDK bootstrap"].state == "blocks"


def test_an_old_bootstrap_stack_blocks() -> None:
    outputs = [{"OutputKey": "BootstrapVersion", "OutputValue": "5"}]
    finding = bootstrap(Recorded(describe_stacks={"Stacks": [{"Outputs": outputs}]}), SANDBOX)
    assert (finding.found, finding.state) == ("version 5", "blocks")


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({SPOT: 1.0, ON_DEMAND: 0.0}, "ok"),
        ({SPOT: 0.0, ON_DEMAND: 0.0}, "blocks"),
        ({SPOT: 0.0, ON_DEMAND: 2.0}, "blocks"),
        ({}, "unknown"),
    ],
)
def test_the_quota_of_the_kind_of_instance_that_the_settings_use_decides(values: dict[str, float], state: str) -> None:
    assert training_instance(quotas(**values), settings(training={"spot": True})).state == state


def test_without_spot_the_on_demand_quota_decides() -> None:
    finding = training_instance(quotas(**{SPOT: 1.0, ON_DEMAND: 0.0}), settings(training={"spot": False}))
    assert finding.state == "blocks"
    assert finding.found == "ml.g5.xlarge: spot 1, on demand 0"
    assert finding.todo.endswith("or set training.spot to true")


def test_an_instance_without_a_known_code_is_found_by_its_name() -> None:
    found = quotas(**{"ml.g6.xlarge for spot training job usage": 4.0})
    assert training_instance(found, settings(training={"instance_type": "ml.g6.xlarge"})).state == "ok"


def test_no_concurrent_build_blocks() -> None:
    assert concurrent_builds(quotas(**{BUILD_QUOTA: 0.0}), SANDBOX).state == "blocks"
    assert concurrent_builds(quotas(**{BUILD_QUOTA: 1.0}), SANDBOX).state == "ok"


def test_a_workforce_of_somebody_else_blocks() -> None:
    account = Recorded(
        list_workforces={"Workforces": [{"WorkforceName": "whole-company"}]},
        list_stack_resources={"StackResourceSummaries": []},
    )
    finding = workforce(account, SANDBOX)
    assert (finding.state, finding.found) == ("blocks", "whole-company")
    assert finding.todo.startswith("use it: set labeling.workforce")


def test_the_projects_own_workforce_does_not_block() -> None:
    own = {"ResourceType": "AWS::SageMaker::Workforce", "PhysicalResourceId": "reefloop"}
    account = Recorded(
        list_workforces={"Workforces": [{"WorkforceName": "reefloop"}]},
        list_stack_resources={"StackResourceSummaries": [own]},
    )
    assert workforce(account, SANDBOX).state == "ok"


def test_an_account_without_an_earlier_labeling_job_is_told_of_the_other_way() -> None:
    finding = ground_truth(Recorded(list_labeling_jobs={"LabelingJobSummaryList": []}), SANDBOX)
    assert finding.state == "unknown"
    assert 'set labeling.provider to "import"' in finding.todo


def test_with_provider_import_neither_workforce_nor_ground_truth_is_asked_for() -> None:
    stage = settings(labeling={"provider": "import"})
    account = Recorded(
        list_workforces={"Workforces": [{"WorkforceName": "whole-company"}]}, list_labeling_jobs="Denied"
    )
    assert workforce(account, stage).state == "ok"
    assert ground_truth(account, stage).state == "ok"
