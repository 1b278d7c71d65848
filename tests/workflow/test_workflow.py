"""The synthesized state machines, executed: a whole turn of the loop, and how each stage fails."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from offline.account import Account
from offline.crew import Crew
from reefloop.contracts import model_key, package_key
from reefloop.payloads import Package
from settings import Settings
from tests.any import any_package
from tests.workflow.deployed import SPECIES, Deployed, synthesize


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    truth: dict[str, str] = {}
    folder = tmp_path_factory.mktemp("workflow")
    with Account(folder / "account", crew=Crew(truth=truth)) as account:
        loop = Deployed(account, truth, folder)
        gate = {"minimum_accuracy": 0.01, "champion": "better"}
        assembly = synthesize(folder / "assembly", training={"epochs": 2, "image_pixels": 32, "gate": gate})
        account.bootstrap()
        loop.deploy(assembly)
        loop.bring_gold()
        yield loop


@pytest.fixture(scope="module")
def turned(deployed: Deployed) -> dict[str, Any]:
    """The first turn of the loop: its execution. Every test below comes after it."""
    deployed.upload()
    return deployed.run("loop", {"round": "first"}, "first")


@pytest.fixture(autouse=True)
def _no_faults_left(deployed: Deployed) -> Iterator[None]:
    yield
    deployed.account.faults.clear()


# ---- The happy path --------------------------------------------------------------------------------------------------


def test_a_turn_of_the_loop_ends_with_a_model_on_its_way_to_the_devices(
    deployed: Deployed, turned: dict[str, Any]
) -> None:
    assert turned["status"] == "SUCCEEDED", turned
    output = turned["output"]
    assert output["labeling"]["objects"] == 48
    assert output["training"]["accepted"] is True
    assert output["deployment"]["component_version"] == "1.1.0"
    components = deployed.client("greengrassv2").list_components(scope="PRIVATE")["components"]
    assert {"reefloop.Classifier", "reefloop.Model"} == {component["componentName"] for component in components}


def test_the_dataset_holds_what_people_said_about_each_new_image(deployed: Deployed, turned: dict[str, Any]) -> None:
    version = turned["output"]["labeling"]["dataset_version"]
    lines = [
        line for split in ("train", "validation", "test")
        for line in deployed.read_lines(f"datasets/{version}/{split}.manifest")
    ]  # fmt: skip
    uncertain = 48 - len(lines)
    right = sum(line["species-metadata"]["class-name"] == deployed.truth_of(line["source-ref"]) for line in lines)
    assert uncertain <= 5
    assert right / len(lines) >= 0.9
    assert all("gold/" not in line["source-ref"] for line in lines)


def test_people_are_led_back_to_the_labeling_page_once_they_have_signed_in(
    deployed: Deployed, turned: dict[str, Any]
) -> None:
    workforce = deployed.client("sagemaker").describe_workforce(WorkforceName="reefloop")["Workforce"]
    cognito = deployed.client("cognito-idp")
    found = {"UserPoolId": workforce["CognitoConfig"]["UserPool"], "ClientId": workforce["CognitoConfig"]["ClientId"]}
    client = cognito.describe_user_pool_client(**found)["UserPoolClient"]
    assert client["CallbackURLs"] == [f"https://{workforce['SubDomain']}/oauth2/idpresponse"]
    assert client["LogoutURLs"] == [f"https://{workforce['SubDomain']}/logout"]
    assert client["AllowedOAuthFlowsUserPoolClient"] is True
    assert client["ClientName"]
    assert client["ClientSecret"]


def test_worker_answers_lie_where_ground_truth_writes_them(deployed: Deployed, turned: dict[str, Any]) -> None:
    (job,) = {key.split("/")[4] for key in deployed.keys("rounds/first/labeling-jobs/labelers/")}
    folder = f"rounds/first/labeling-jobs/labelers/{job}"
    output = deployed.read_lines(f"{folder}/manifests/output/output.manifest")
    responses = deployed.keys(f"{folder}/annotations/worker-response/iteration-1/")
    assert len({key.split("/")[-2] for key in responses}) == len(output)
    answers = deployed.read_json(responses[0])["answers"]
    assert len({answer["workerId"] for answer in answers}) == 3
    assert answers[0]["answerContent"]["crowd-image-classifier"]["label"] in SPECIES


def test_every_target_gets_a_package_that_a_device_can_check(deployed: Deployed, turned: dict[str, Any]) -> None:
    packages = turned["output"]["compilation"]["packages"]
    assert [package["target"] for package in packages] == list(Settings.load("laptop").compilation.targets)
    assert {package["outcome"] for package in packages} == {"compiled"}
    assert [package["target"] for package in packages if package["parity"]] == ["linux-x86_64"]
    body = deployed.read(packages[0]["key"], bucket=deployed.project.artifact_bucket)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        sums = dict(reversed(line.split(maxsplit=1)) for line in archive.read("SHA256SUMS").decode().splitlines())
        assert {"model.onnx", "labels.json", "model.json"} <= set(sums)
        for name, expected in sums.items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == expected, name


def test_a_round_without_new_images_ends_well_and_trains_nothing(deployed: Deployed, turned: dict[str, Any]) -> None:
    execution = deployed.run("loop", {"round": "idle"}, "idle")
    assert execution["status"] == "SUCCEEDED"
    assert deployed.states(execution["executionArn"])[-1] == "NothingNew"


def test_a_model_that_is_no_better_than_the_champion_is_registered_and_goes_nowhere(
    deployed: Deployed, turned: dict[str, Any]
) -> None:
    """The same data, recipe and seed as the champion's: it cannot be better, as the settings ask for here."""
    execution = deployed.run("training", {"dataset_version": "first"}, "no-better")
    assert execution["status"] == "SUCCEEDED", execution
    assert execution["output"]["accepted"] is False
    champion = turned["output"]["training"]["model_version"]
    assert any(champion in reason for reason in execution["output"]["reasons"]), execution["output"]["reasons"]
    newest = deployed.client("sagemaker").list_model_packages(
        ModelPackageGroupName="reefloop", SortBy="CreationTime", SortOrder="Descending"
    )["ModelPackageSummaryList"][0]
    assert newest["ModelApprovalStatus"] == "Rejected"


def test_a_round_that_nobody_labeled_says_why_and_is_started_again_by_its_name(
    deployed: Deployed, turned: dict[str, Any]
) -> None:
    deployed.upload(per_class=2)
    deployed.account.faults.fail_job("labeling", "the workforce went home")
    failed = deployed.run("labeling", {"round": "again"}, "nobody")
    assert (failed["status"], failed["error"]) == ("FAILED", "LabelingFailed")
    assert "the workforce went home" in failed["cause"]
    (first,) = names_of(deployed, "again")

    again = deployed.run("labeling", {"round": "again"}, "somebody")
    assert again["status"] == "SUCCEEDED", again
    assert again["output"]["objects"] == 8
    assert names_of(deployed, "again") > {first}


def names_of(deployed: Deployed, round_: str) -> set[str]:
    """The labeling jobs of a round."""
    describe = deployed.client("sagemaker").describe_labeling_job
    jobs = [describe(LabelingJobName=name) for name in deployed.job_names("Labeling")]
    return {job["LabelingJobName"] for job in jobs if f"/rounds/{round_}/" in job["OutputConfig"]["S3OutputPath"]}


# ---- How each stage fails --------------------------------------------------------------------------------------------


def test_labeling_fails_with_the_reason_of_its_processing_job(deployed: Deployed, turned: dict[str, Any]) -> None:
    deployed.upload(per_class=1)
    deployed.account.faults.fail_job("processing", "the disk is full")
    execution = deployed.run("labeling", {"round": "no-score"}, "no-score")
    assert execution["status"] == "FAILED"
    assert "the disk is full" in execution["cause"]


def test_training_fails_with_the_reason_of_its_job(deployed: Deployed, turned: dict[str, Any]) -> None:
    deployed.account.faults.fail_job("training", "AlgorithmError: the loss is not a number")
    execution = deployed.run("training", {"dataset_version": "first"}, "nan")
    assert execution["status"] == "FAILED"
    assert "the loss is not a number" in execution["cause"]


def test_training_on_a_dataset_that_is_not_there_says_so_before_it_costs_anything(
    deployed: Deployed, turned: dict[str, Any]
) -> None:
    before = deployed.job_names("Training")
    execution = deployed.run("training", {"dataset_version": "nowhere"}, "nowhere")
    assert execution["status"] == "FAILED"
    assert execution["error"] == "DatasetMissing"
    assert "datasets/nowhere" in execution["cause"]
    assert deployed.job_names("Training") == before


@pytest.fixture
def no_image(deployed: Deployed, turned: dict[str, Any]) -> str:
    """The repository of the jobs' container, without the image of this deployment."""
    repository = deployed.project.output("jobs", "Repository")
    images = deployed.client("ecr").list_images(repositoryName=repository)["imageIds"]
    if images:
        deployed.client("ecr").batch_delete_image(repositoryName=repository, imageIds=images)
    return repository


def test_a_build_that_fails_ends_the_execution_with_its_reason_and_the_next_one_builds_again(
    deployed: Deployed, no_image: str
) -> None:
    deployed.account.faults.fail_job("build", "pip could not reach its index")
    broken = deployed.run("jobs", {}, "broken-build")
    assert (broken["status"], broken["error"]) == ("FAILED", "BuildFailed")
    assert "pip could not reach its index" in broken["cause"]
    assert deployed.run("jobs", {}, "mended-build")["status"] == "SUCCEEDED"
    assert len(deployed.client("ecr").list_images(repositoryName=no_image)["imageIds"]) == 1


def test_a_driver_in_the_image_is_refused_before_the_push_with_what_to_do(deployed: Deployed, no_image: str) -> None:
    codebuild, s3 = deployed.client("codebuild"), deployed.client("s3")
    [name] = codebuild.list_projects()["projects"]
    bucket, _, key = codebuild.batch_get_projects(names=[name])["projects"][0]["source"]["location"].partition("/")
    source = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    planted = io.BytesIO(source)
    with zipfile.ZipFile(planted, "a") as archive:
        archive.writestr("training/libcuda.so.580.65.06", b"\x7fELF")
    s3.put_object(Bucket=bucket, Key=key, Body=planted.getvalue())
    try:
        refused = deployed.run("jobs", {}, "driver-in-the-image")
    finally:
        s3.put_object(Bucket=bucket, Key=key, Body=source)
    assert (refused["status"], refused["error"]) == ("FAILED", "ImageRefused")
    assert "a library of the NVIDIA driver: opt/reefloop/jobs/training/libcuda.so.580.65.06" in refused["cause"]
    assert "To do: install the CUDA toolkit only" in refused["cause"]
    assert deployed.client("ecr").list_images(repositoryName=no_image)["imageIds"] == []


def test_an_account_that_may_not_build_is_told_which_quota_to_ask_for(deployed: Deployed, no_image: str) -> None:
    deployed.account.faults.refuse(
        "codebuild:StartBuild",
        "AccountLimitExceededException",
        "Cannot have more than 0 builds in queue for the account",
    )
    refused = deployed.run("jobs", {}, "no-builds")
    assert (refused["status"], refused["error"]) == ("FAILED", "BuildsNotAllowed")
    assert "ask Service Quotas for 1 'Concurrently running builds for Linux/Medium environment'" in refused["cause"]
    # The quota was raised. The tests after this one go on with the image.
    deployed.client("stepfunctions").redrive_execution(executionArn=refused["executionArn"])
    assert deployed.end_of(refused["executionArn"])["status"] == "SUCCEEDED"


def test_a_model_that_fails_on_the_canary_goes_back_and_never_reaches_the_fleet(
    deployed: Deployed, turned: dict[str, Any]
) -> None:
    version = turned["output"]["training"]["model_version"]
    good = {"model_version": version, "packages": turned["output"]["compilation"]["packages"]}
    packages = [broken_package(deployed, good["packages"][0]["key"], version, "broken")]
    broken = deployed.register("broken", test_accuracy="0.5", test_objects="10")
    with ExitStack() as ending:
        ending.callback(reject, deployed, broken)
        ending.enter_context(deployed.device("buoy-1"))
        assert deployed.run("deployment", good, "good-model")["status"] == "SUCCEEDED"
        fleet = deployed_model(deployed, "FleetGroup")

        execution = deployed.run("deployment", {"model_version": "broken", "packages": packages}, "bad-model")

        assert execution["status"] == "FAILED"
        assert execution["error"] == "CanaryFailed"
        assert "buoy-1" in execution["cause"]
        assert deployed_model(deployed, "FleetGroup") == fleet
        assert deployed_model(deployed, "CanaryGroup") == fleet
        package = deployed.client("sagemaker").describe_model_package(ModelPackageName=broken)
        assert package["ModelApprovalStatus"] == "Rejected"
        assert "buoy-1: the self-test of broken failed" in package["ApprovalDescription"]
        status = deployed.devices.status("buoy-1")
        assert status
        model = status.body["model"]
        assert model["self_test"] == "failed" or model["version"] == version


def test_canaries_that_nobody_could_judge_go_back_and_the_model_stays_approved(
    deployed: Deployed, turned: dict[str, Any]
) -> None:
    deployed.device("buoy-2")  # which is never turned on
    canaries = {"thingName": "buoy-2", "thingGroupName": deployed.project.thing_groups["CanaryGroup"]}
    packages = turned["output"]["compilation"]["packages"]
    unjudged = deployed.register("unjudged", test_accuracy="0.5", test_objects="10")
    with ExitStack() as ending:
        ending.callback(reject, deployed, unjudged)
        ending.callback(deployed.client("iot").remove_thing_from_thing_group, **canaries)
        deployed.account.faults.refuse("greengrassv2:ListEffectiveDeployments", "AccessDeniedException", "not today")

        execution = deployed.run("deployment", {"model_version": "unjudged", "packages": packages}, "unjudged")

        assert (execution["status"], execution["error"]) == ("FAILED", "CanaryFailed")
        assert "which go back to the fleet's: version 1." in execution["cause"]
        assert "CheckCanary ended with" in execution["cause"]
        assert "not today" in execution["cause"]
        assert deployed_model(deployed, "CanaryGroup") == deployed_model(deployed, "FleetGroup")
        package = deployed.client("sagemaker").describe_model_package(ModelPackageName=unjudged)
        assert package["ModelApprovalStatus"] == "Approved"


def reject(deployed: Deployed, package: str) -> None:
    """So that it is nobody's champion. It is not deleted: its number names a component version."""
    deployed.client("sagemaker").update_model_package(ModelPackageArn=package, ModelApprovalStatus="Rejected")


def deployed_model(deployed: Deployed, group: str) -> str:
    """The version of the model component that a group is to have."""
    iot, greengrass = deployed.client("iot"), deployed.client("greengrassv2")
    name = deployed.project.thing_groups[group]
    arn = iot.describe_thing_group(thingGroupName=name)["thingGroupArn"]
    (latest,) = greengrass.list_deployments(targetArn=arn, historyFilter="LATEST_ONLY")["deployments"]
    components = greengrass.get_deployment(deploymentId=latest["deploymentId"])["components"]
    return str(components["reefloop.Model"]["componentVersion"])


def broken_package(deployed: Deployed, package: str, version: str, broken: str) -> Package:
    """The package of a good model with other golden answers, as a package of the model version `broken`."""
    bucket, key = deployed.project.artifact_bucket, package_key(broken, "linux-x86_64", "0a1b")
    source = zipfile.ZipFile(io.BytesIO(deployed.read(package, bucket=bucket)))
    files = {name: source.read(name) for name in source.namelist() if name != "SHA256SUMS"}
    golden = json.loads(files["golden/golden.json"])
    for answer in golden:
        answer["logits"] = [value + 5.0 for value in reversed(answer["logits"])]
    files["golden/golden.json"] = json.dumps(golden).encode()
    files["model.json"] = files["model.json"].replace(version.encode(), broken.encode())
    sums = "".join(f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in sorted(files.items()))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, body in {**files, "SHA256SUMS": sums.encode()}.items():
            archive.writestr(name, body)
    client = deployed.client("s3")
    client.put_object(Bucket=bucket, Key=key, Body=target.getvalue())
    client.put_object(
        Bucket=deployed.project.data_bucket, Key=model_key(broken, "model.json"), Body=files["model.json"]
    )
    return any_package("linux-x86_64", key=key, bytes=len(target.getvalue()))
