"""What `console destroy` removes, and what it leaves alone, in an account that has more than the project."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from console.clients import Clients
from console.destroy import remove, retains_data
from console.project import Project
from offline.account import Account
from offline.services.sagemaker.backend import backends
from offline.services.sagemaker.jobs import KINDS, Record
from tests.any import any_round, any_thing

RECIPE = {
    "RecipeFormatVersion": "2020-01-25",
    "ComponentVersion": "1.1.0",
    "ComponentPublisher": "reefloop",
    "Manifests": [{"Platform": {"os": "linux", "runtime": "*"}, "Lifecycle": {"run": "true"}}],
}


def destroy(clients: Clients, **outputs: Mapping[str, str]) -> list[str]:
    """Run `console destroy` on a project with these outputs; returns the lines that it told."""
    told: list[str] = []
    removed = remove(clients, Project(outputs), keep_data=False, tell=told.append)
    assert removed.problems == []
    assert removed.lines == told
    return told


@pytest.fixture
def groups(account: Account) -> dict[str, str]:
    """Thing groups of a project: the outputs of its deployment stack."""
    names = {output: f"{output}-{any_round()}" for output in ("BaseGroup", "CanaryGroup", "FleetGroup")}
    for name in names.values():
        account.client("iot").create_thing_group(thingGroupName=name)
    return names


def group_arn(account: Account, name: str) -> str:
    return str(account.client("iot").describe_thing_group(thingGroupName=name)["thingGroupArn"])


def make_thing(account: Account, thing: str, *groups: str) -> str:
    """A thing with a certificate of its own in some groups; returns the certificate's ARN."""
    iot = account.client("iot")
    iot.create_thing(thingName=thing)
    certificate = iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
    iot.attach_thing_principal(thingName=thing, principal=certificate)
    for group in groups:
        iot.add_thing_to_thing_group(thingGroupName=group, thingName=thing)
    return str(certificate)


def things(account: Account) -> set[str]:
    pages = account.client("iot").get_paginator("list_things").paginate()
    return {thing["thingName"] for page in pages for thing in page["things"]}


def certificates(account: Account) -> set[str]:
    return {item["certificateArn"] for item in account.client("iot").list_certificates()["certificates"]}


def make_component(account: Account, name: str) -> None:
    recipe = json.dumps({**RECIPE, "ComponentName": name}).encode()
    account.client("greengrassv2").create_component_version(inlineRecipe=recipe)


def components(account: Account) -> set[str]:
    listed = account.client("greengrassv2").list_components(scope="PRIVATE")["components"]
    return {component["componentName"] for component in listed}


def test_buckets_are_emptied_of_every_version_and_unfinished_upload(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.destroy.stored._OBJECTS_PER_CALL", 2)  # more than one call for three versions
    s3 = account.client("s3")
    for bucket in ("data", "artifacts", "somebody-elses"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket="artifacts", VersioningConfiguration={"Status": "Enabled"})
    for content in (b"first", b"second"):
        s3.put_object(Bucket="artifacts", Key="models/1/packages/linux.zip", Body=content)
    s3.delete_object(Bucket="artifacts", Key="models/1/packages/linux.zip")
    s3.put_object(Bucket="data", Key="images/upload/1.jpg", Body=b"image")
    s3.create_multipart_upload(Bucket="data", Key="images/upload/2.jpg")
    s3.put_object(Bucket="somebody-elses", Key="theirs", Body=b"theirs")

    told = destroy(account.client, storage={"DataBucket": "data", "ArtifactBucket": "artifacts"})

    assert told == ["deleted 2 objects of data", "deleted 3 objects of artifacts"]
    for bucket in ("data", "artifacts"):
        s3.delete_bucket(Bucket=bucket)  # refused unless it is empty
    assert s3.list_objects_v2(Bucket="somebody-elses")["KeyCount"] == 1


def make_endpoint(account: Account, name: str) -> None:
    """An endpoint and what it is made of, without a model that it could load."""
    sagemaker = account.client("sagemaker")
    container = {"Image": "image", "ModelDataUrl": "s3://nobody/model.tar.gz"}
    role = "arn:aws:iam::123456789012:role/any-role"
    variant = {"VariantName": "all", "ModelName": name, "InstanceType": "ml.c5.xlarge", "InitialInstanceCount": 1}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)


def hosted(account: Account) -> set[str]:
    """The names of models, endpoint configurations and endpoints that endpoints are made of, by kind."""
    sagemaker = account.client("sagemaker")
    # Other tests of this account make models that nothing serves.
    models = sagemaker.list_models(NameContains="reefloop-endpoint")["Models"]
    return {
        *(f"model {one['ModelName']}" for one in models),
        *(f"configuration {one['EndpointConfigName']}" for one in sagemaker.list_endpoint_configs()["EndpointConfigs"]),
        *(f"endpoint {one['EndpointName']}" for one in sagemaker.list_endpoints()["Endpoints"]),
    }


def test_endpoints_of_the_project_are_deleted_those_that_are_being_made_too(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.destroy.endpoints._PAUSE_SECONDS", 0.05)
    account.faults.stall_job("endpoint", match=lambda endpoint: endpoint["EndpointName"].endswith("stuck"))
    for name in ("reefloop-endpoint-stuck", "reefloop-endpoint-other", "their-reefloop-endpoint-x"):
        make_endpoint(account, name)

    told = destroy(account.client)

    assert sorted(told) == sorted(
        f"deleted {kind} reefloop-endpoint-{name}"
        for kind in ("endpoint", "endpoint configuration", "model")
        for name in ("stuck", "other")
    )
    theirs = {f"{kind} their-reefloop-endpoint-x" for kind in ("model", "configuration", "endpoint")}
    assert hosted(account) == theirs
    assert destroy(account.client) == []


def test_what_is_still_there_after_all_patience_is_told(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.destroy.endpoints.PATIENCE_SECONDS", -1)
    monkeypatch.setattr("console.destroy.endpoints._PAUSE_SECONDS", 0.05)
    account.faults.stall_job("endpoint")
    make_endpoint(account, "reefloop-endpoint-late")
    removed = remove(account.client, Project({}), keep_data=False, tell=lambda _: None)
    assert removed.problems == [
        "delete endpoints: endpoint reefloop-endpoint-late is still there after -1 s: destroy again later"
    ]
    monkeypatch.undo()
    assert "deleted endpoint reefloop-endpoint-late" in destroy(account.client)


@pytest.fixture
def stalled(account: Account) -> Iterator[Record]:
    """A processing job that runs until it is stopped."""
    account.faults.stall_job("processing")
    name = f"reefloop-processing-{any_round()}"
    account.client("sagemaker").create_processing_job(
        ProcessingJobName=name,
        RoleArn="arn:aws:iam::123456789012:role/any-role",
        AppSpecification={"ImageUri": "image"},
        ProcessingResources={
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
        },
    )
    yield backends["123456789012"][account.state.region].jobs.find(KINDS["processing"], name)
    account.faults.clear()


def end(record: Record) -> bool:
    assert record.job
    record.job.stopping.set()
    return True


def test_a_job_that_ends_just_before_it_is_told_to_stop_is_no_problem(
    account: Account, monkeypatch: pytest.MonkeyPatch, stalled: Record
) -> None:
    monkeypatch.setattr("console.destroy.running._PAUSE_SECONDS", 0.05)
    ended = "The request was rejected because the processing job is in status Stopped."
    stop = "sagemaker:StopProcessingJob"
    account.faults.refuse(stop, "ValidationException", ended, match=lambda _: end(stalled))
    assert destroy(account.client) == [f"stopped processing job {stalled.name}"]
    assert stalled.status == "Stopped"


def test_a_job_that_is_stopping_already_is_waited_for_and_not_told_again(
    account: Account, monkeypatch: pytest.MonkeyPatch, stalled: Record
) -> None:
    monkeypatch.setattr("console.destroy.running.PATIENCE_SECONDS", -1)
    monkeypatch.setattr("console.destroy.running._PAUSE_SECONDS", 0.05)
    account.faults.refuse("sagemaker:StopProcessingJob", "AccessDeniedException", "was told again")
    stalled.become("Stopping")
    removed = remove(account.client, Project({}), keep_data=False, tell=lambda _: None)
    assert removed.problems == [f"stop jobs: processing job {stalled.name} still runs -1 s after it was told to stop"]
    monkeypatch.undo()
    end(stalled)
    assert destroy(account.client) == []


def test_a_device_that_is_still_on_cannot_fill_an_emptied_bucket(account: Account) -> None:
    s3, bucket = account.client("s3"), any_round()
    s3.create_bucket(Bucket=bucket)
    tls_only = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [tls_only]}))

    for _ in range(2):
        destroy(account.client, storage={"DataBucket": bucket})

    with pytest.raises(ClientError, match="403"):
        s3.put_object(Bucket=bucket, Key="images/edge/buoy/1.jpg", Body=b"{}")
    statements = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert [statement["Sid"] for statement in statements] == ["TlsOnly", "ClosedByConsoleDestroy"]
    s3.delete_bucket(Bucket=bucket)


def test_model_packages_of_the_projects_group_are_deleted(account: Account) -> None:
    sagemaker, ours, theirs = account.client("sagemaker"), any_round(), any_round()
    for group in (ours, theirs):
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
        sagemaker.create_model_package(ModelPackageGroupName=group, ModelApprovalStatus="Approved")

    destroy(account.client, storage={"ModelPackageGroup": ours})

    def packages(group: str) -> list[Any]:
        return sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]  # type: ignore[no-any-return]

    assert packages(ours) == []
    assert len(packages(theirs)) == 1


def test_models_that_automated_labeling_made_are_deleted_with_the_rounds_that_name_them(account: Account) -> None:
    sagemaker, s3, bucket = account.client("sagemaker"), account.client("s3"), any_round()
    role = "arn:aws:iam::123456789012:role/labeling"
    ours, theirs = (sagemaker.create_model(ModelName=any_round(), ExecutionRoleArn=role)["ModelArn"] for _ in range(2))
    s3.create_bucket(Bucket=bucket)
    jobs = [{"active_learning_model_arn": arn} for arn in ("", ours, ours)]
    s3.put_object(Bucket=bucket, Key="rounds/first/labeling-jobs.json", Body=json.dumps(jobs))
    s3.put_object(Bucket=bucket, Key="rounds/second/pool.manifest", Body=b"")

    record = s3.get_object(Bucket=bucket, Key="rounds/first/labeling-jobs.json")["Body"].read()
    assert destroy(account.client, storage={"DataBucket": bucket})[0].startswith("deleted model ")
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": []}))
    s3.put_object(Bucket=bucket, Key="rounds/first/labeling-jobs.json", Body=record)
    assert destroy(account.client, storage={"DataBucket": bucket}) == [f"deleted 1 objects of {bucket}"]

    left = [model["ModelArn"] for model in sagemaker.list_models()["Models"]]
    assert (ours in left, theirs in left) == (False, True)


@pytest.mark.parametrize(
    "broken", [b"[{", b"[7]", b"7", b'{"job": 1}', b'[{"active_learning_model_arn": null}]', b"\xff"]
)
def test_a_list_of_labeling_jobs_that_is_none_is_told_and_keeps_nothing_else_from_its_removal(
    account: Account, broken: bytes
) -> None:
    sagemaker, s3, bucket = account.client("sagemaker"), account.client("s3"), any_round()
    role = "arn:aws:iam::123456789012:role/labeling"
    model = sagemaker.create_model(ModelName=any_round(), ExecutionRoleArn=role)["ModelArn"]
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="rounds/1/labeling-jobs.json", Body=broken)
    jobs = [{"active_learning_model_arn": model}, {"job": "of an earlier version"}]
    s3.put_object(Bucket=bucket, Key="rounds/2/labeling-jobs.json", Body=json.dumps(jobs))

    removed = remove(account.client, Project({"storage": {"DataBucket": bucket}}), keep_data=False, tell=lambda _: None)

    name = model.rpartition("/")[2]
    assert removed.lines == [f"deleted model {name} of automated labeling", f"deleted 2 objects of {bucket}"]
    (problem,) = removed.problems
    assert f"s3://{bucket}/rounds/1/labeling-jobs.json is no list of labeling jobs" in problem


def test_images_of_the_repository_are_deleted(account: Account) -> None:
    ecr = account.client("ecr")
    ecr.create_repository(repositoryName="jobs")
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}
    for tag in ("first", "second"):
        ecr.put_image(repositoryName="jobs", imageManifest=json.dumps({**manifest, "tag": tag}), imageTag=tag)

    assert destroy(account.client, jobs={"Repository": "jobs"}) == ["deleted 2 images of jobs"]

    ecr.delete_repository(repositoryName="jobs")  # refused unless it is empty


def test_deployments_to_canary_and_fleet_go_and_that_of_cloudformation_stays(
    account: Account, groups: dict[str, str]
) -> None:
    greengrass = account.client("greengrassv2")
    arns = {output: group_arn(account, name) for output, name in groups.items()}
    for arn in arns.values():
        greengrass.create_deployment(targetArn=arn)
    greengrass.create_deployment(targetArn=arns["FleetGroup"])  # makes the earlier one inactive

    assert len(destroy(account.client, deployment=groups)) == 3

    listed = greengrass.list_deployments(historyFilter="ALL")["deployments"]
    assert [item["targetArn"] for item in listed if item["targetArn"] in arns.values()] == [arns["BaseGroup"]]


def test_every_version_of_the_model_component_goes_and_no_other_component(account: Account) -> None:
    make_component(account, "reefloop.Model")
    make_component(account, "reefloop.Classifier")

    assert destroy(account.client, deployment={}) == ["deleted component reefloop.Model 1.1.0"]

    assert components(account) == {"reefloop.Classifier"}


def test_things_go_with_their_certificates(account: Account, groups: dict[str, str]) -> None:
    camera, lamp = any_thing(), any_thing()
    gone = make_thing(account, camera, groups["BaseGroup"], groups["FleetGroup"])
    kept = make_thing(account, lamp)

    destroy(account.client, deployment=groups)

    assert {camera, lamp} & things(account) == {lamp}
    assert {gone, kept} & certificates(account) == {kept}


def test_a_thing_that_somebody_else_groups_too_only_leaves_the_projects_groups(
    account: Account, groups: dict[str, str]
) -> None:
    iot, buoy, base = account.client("iot"), any_thing(), groups["BaseGroup"]
    iot.create_thing_group(thingGroupName="harbour")
    make_thing(account, buoy, base, "harbour")

    told = destroy(account.client, deployment=groups)

    assert told == [f"took thing {buoy} out of {base} (it is also in harbour)"]
    left = iot.list_thing_groups_for_thing(thingName=buoy)["thingGroups"]
    assert [group["groupName"] for group in left] == ["harbour"]


def test_a_certificate_that_another_thing_uses_stays(account: Account, groups: dict[str, str]) -> None:
    iot, twin = account.client("iot"), any_thing()
    certificate = make_thing(account, any_thing(), groups["BaseGroup"])
    iot.create_thing(thingName=twin)
    iot.attach_thing_principal(thingName=twin, principal=certificate)

    destroy(account.client, deployment=groups)

    assert certificate in certificates(account)


def test_one_removal_that_is_denied_does_not_keep_the_others_from_their_work(account: Account) -> None:
    s3, bucket = account.client("s3"), any_round()
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="object", Body=b"")
    account.faults.refuse("greengrassv2:ListComponents", "AccessDeniedException", "not yours")

    removed = remove(account.client, Project({"storage": {"DataBucket": bucket}}), keep_data=False, tell=lambda _: None)

    assert removed.lines == [f"deleted 1 objects of {bucket}"]
    (problem,) = removed.problems
    assert problem.startswith("remove model component: ")
    assert "not yours" in problem


def test_a_second_time_there_is_nothing_left_to_remove(account: Account, groups: dict[str, str]) -> None:
    make_thing(account, any_thing(), groups["BaseGroup"])
    assert destroy(account.client, deployment=groups)
    assert destroy(account.client, deployment=groups) == []


@pytest.fixture
def deploy_storage(account: Account) -> Iterator[Callable[[str], None]]:
    """Deploys the project's storage stack with a deletion policy for its bucket."""
    cloudformation = account.client("cloudformation")

    def deploy(policy: str) -> None:
        template = {"Resources": {"Data": {"Type": "AWS::S3::Bucket", "DeletionPolicy": policy}}}
        cloudformation.create_stack(StackName="reefloop-storage", TemplateBody=json.dumps(template))

    yield deploy
    cloudformation.delete_stack(StackName="reefloop-storage")


@pytest.mark.parametrize(("policy", "retained"), [("Retain", True), ("RetainExceptOnCreate", True), ("Delete", False)])
def test_a_stage_keeps_its_data_if_its_buckets_outlive_its_stack(
    account: Account, deploy_storage: Callable[[str], None], policy: str, retained: bool
) -> None:
    deploy_storage(policy)
    assert retains_data(account.client) == retained


def test_without_a_storage_stack_there_is_no_data_to_keep(account: Account) -> None:
    assert not retains_data(account.client)


def test_where_data_is_kept_everything_else_goes_that_is_in_the_way_of_cdk_destroy(
    account: Account, groups: dict[str, str]
) -> None:
    s3, sagemaker, ecr = (account.client(service) for service in ("s3", "sagemaker", "ecr"))
    bucket, registry, repository, thing = any_round(), any_round(), any_round(), any_thing()
    role = "arn:aws:iam::123456789012:role/labeling"
    model = sagemaker.create_model(ModelName=any_round(), ExecutionRoleArn=role)["ModelArn"]
    record = json.dumps([{"active_learning_model_arn": model}])
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="rounds/1/labeling-jobs.json", Body=record)
    sagemaker.create_model_package_group(ModelPackageGroupName=registry)
    sagemaker.create_model_package(ModelPackageGroupName=registry, ModelApprovalStatus="Approved")
    ecr.create_repository(repositoryName=repository)
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}
    ecr.put_image(repositoryName=repository, imageManifest=json.dumps(manifest), imageTag="1")
    make_thing(account, thing, groups["BaseGroup"])
    make_component(account, "reefloop.Model")
    account.client("greengrassv2").create_deployment(targetArn=group_arn(account, groups["FleetGroup"]))
    storage = {"DataBucket": bucket, "ArtifactBucket": bucket, "ModelPackageGroup": registry}
    project = Project({"storage": storage, "jobs": {"Repository": repository}, "deployment": groups})

    removed = remove(account.client, project, keep_data=True, tell=lambda _: None)

    assert removed.problems == []
    assert thing not in things(account)
    assert "reefloop.Model" not in components(account)
    assert ecr.list_images(repositoryName=repository)["imageIds"] == []
    assert any(line.startswith("deleted deployment ") for line in removed.lines)
    assert s3.get_object(Bucket=bucket, Key="rounds/1/labeling-jobs.json")["Body"].read().decode() == record
    assert len(sagemaker.list_model_packages(ModelPackageGroupName=registry)["ModelPackageSummaryList"]) == 1
    assert model in [one["ModelArn"] for one in sagemaker.list_models()["Models"]]
    s3.put_object(Bucket=bucket, Key="images/upload/1.jpg", Body=b"")  # the bucket is open
