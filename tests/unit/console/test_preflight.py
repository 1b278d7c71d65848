"""Preflight tells what blocks, what it could not see, and what to do about it."""

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from console.preflight import CHECKS, run
from console.preflight.account import bootstrap
from console.preflight.check import Finding
from console.preflight.quotas import (
    BUILD_QUOTA,
    CODES,
    cloud_targets,
    concurrent_builds,
    processing_instance,
    training_instances,
)
from console.preflight.sagemaker import ground_truth, workforce
from offline.account import Account
from settings import Settings

SANDBOX = Settings.load("sandbox")
SPOT = "ml.g5.xlarge for spot training job usage"
ON_DEMAND = "ml.g5.xlarge for training job usage"
OTHER = "ml.g6.xlarge for spot training job usage"
OTHER_ON_DEMAND = "ml.g6.xlarge for training job usage"


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
    denied = found["training instances"]
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
        ({SPOT: 0.0, ON_DEMAND: 2.0}, "ok"),
        ({SPOT: 0.0, ON_DEMAND: 0.0, OTHER: 1.0}, "ok"),
        ({SPOT: 0.0, ON_DEMAND: 0.0, OTHER: 0.0, OTHER_ON_DEMAND: 0.0}, "blocks"),
        ({SPOT: 0.0, ON_DEMAND: 0.0}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_one_quota_that_lets_a_training_run_is_enough(values: dict[str, float], state: str) -> None:
    assert training_instances(quotas(**values), settings()).state == state


def test_what_is_missing_before_the_instances_that_a_training_gets_is_told() -> None:
    finding = training_instances(quotas(**{SPOT: 0.0, ON_DEMAND: 2.0}), settings())
    assert finding.found == (
        "ml.g5.xlarge spot 0; ml.g6.xlarge spot not listed; ml.g5.xlarge on demand 2; ml.g6.xlarge on demand not listed"
    )
    assert finding.todo == (
        f"trainings run as ml.g5.xlarge on demand; for the first choice ask Service Quotas for 1 '{SPOT}'"
    )
    assert training_instances(quotas(**{SPOT: 1.0}), settings()).todo == ""


def test_without_spot_no_spot_quota_counts() -> None:
    finding = training_instances(
        quotas(**{SPOT: 1.0, ON_DEMAND: 0.0}),
        settings(training={"spot": False, "instance_types": ["ml.g5.xlarge"]}),
    )
    assert (finding.state, finding.found) == ("blocks", "ml.g5.xlarge on demand 0")
    assert finding.todo == f"ask Service Quotas for 1 '{ON_DEMAND}'"


def test_a_training_on_many_instances_needs_a_quota_for_all_of_them() -> None:
    many = settings(training={"instance_count": 4, "instance_types": ["ml.g5.xlarge"]})
    finding = training_instances(quotas(**{SPOT: 3.0, ON_DEMAND: 2.0}), many)
    assert (finding.state, finding.needed) == ("blocks", "4 of one of these")
    assert finding.todo == f"ask Service Quotas for 4 '{SPOT}', or set training.instance_count to 3"


def test_a_listing_is_read_once_for_all_names() -> None:
    account = quotas(**{OTHER: 4.0, OTHER_ON_DEMAND: 1.0})
    seen: list[str] = []
    listed = account._answers["list_service_quotas"]
    account._answers["list_service_quotas"] = lambda ServiceCode: seen.append(ServiceCode) or listed
    assert training_instances(account, settings(training={"instance_types": ["ml.g6.xlarge"]})).state == "ok"
    assert seen == ["sagemaker"]


def test_instances_that_share_a_pool_are_counted() -> None:
    name = "ml.m5.xlarge for processing job usage"
    assert processing_instance(quotas(**{name: 2.0}), settings(jobs={"instance_count": 2})).state == "ok"
    finding = processing_instance(quotas(**{name: 2.0}), settings(jobs={"instance_count": 3}))
    assert (finding.state, finding.todo) == ("blocks", f"ask Service Quotas for 3 '{name}'")


def cloud(*targets: str, endpoint: bool = True) -> Settings:
    return settings(compilation={"targets": targets, "endpoint": {"enabled": endpoint}})


def test_without_targets_that_are_instances_none_is_needed() -> None:
    assert cloud_targets(quotas(), cloud("linux-x86_64")) == Finding("", "none", "nothing: no target is an instance")


@pytest.mark.parametrize(("endpoint", "state"), [(True, "blocks"), (False, "ok")])
def test_an_instance_for_an_endpoint_is_needed_where_there_is_one(endpoint: bool, state: str) -> None:
    name = "ml.c5.xlarge for endpoint usage"
    account = quotas(**{"ml.c5.xlarge for processing job usage": 1.0, name: 0.0})
    finding = cloud_targets(account, cloud("linux-x86_64", "ml_c5", endpoint=endpoint))
    assert finding.state == state
    if endpoint:
        assert finding.found == "ml.c5.xlarge for processing job 1; ml.c5.xlarge for endpoint 0"
        assert finding.todo == f"ask Service Quotas for 1 '{name}', or take its target out of compilation.targets"


def test_a_quota_that_is_not_listed_is_unknown() -> None:
    assert cloud_targets(quotas(), cloud("ml_g4dn")).state == "unknown"


def test_no_concurrent_build_blocks() -> None:
    finding = concurrent_builds(quotas(**{BUILD_QUOTA: 0.0}), SANDBOX)
    assert finding.state == "blocks"
    assert finding.todo.startswith(
        f"ask Service Quotas for 1 '{BUILD_QUOTA}'; CodeBuild lets a new account build nothing"
    )


def test_a_quota_for_builds_is_no_proof_that_a_new_account_may_build() -> None:
    finding = concurrent_builds(quotas(**{BUILD_QUOTA: 1.0}), SANDBOX)
    assert finding.state == "ok"
    assert "Cannot have more than 0 builds in queue" in finding.todo


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
    assert 'set labeling.provider to "station" and label here, or to "import"' in finding.todo


def test_with_provider_import_neither_workforce_nor_ground_truth_is_asked_for() -> None:
    stage = settings(labeling={"provider": "import"})
    account = Recorded(
        list_workforces={"Workforces": [{"WorkforceName": "whole-company"}]}, list_labeling_jobs="Denied"
    )
    assert workforce(account, stage).state == "ok"
    assert ground_truth(account, stage).state == "ok"
