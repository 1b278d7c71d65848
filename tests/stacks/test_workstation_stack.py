"""The workstation: nothing can connect to it, what it holds is encrypted, and a deployment leaves it alone."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Environment, Stack
from aws_cdk import aws_iam as iam
from aws_cdk.assertions import Template

import app as reefloop
from settings import Settings, SettingsError, WorkstationSettings
from stacks.constructs.gpu_instance import IMAGE, GpuInstance
from tests.stacks.conftest import Templates, listed, only, resources, statements, text


@pytest.fixture
def template(configured: Callable[[str], Templates]) -> dict[str, Any]:
    return configured("workstation")["workstation"]


def machine(template: dict[str, Any]) -> dict[str, Any]:
    return only(template, "AWS::EC2::Instance")


def settings(**workstation: Any) -> Settings:
    return Settings.load(context={"stage": "sandbox", "stages": {"sandbox": {"workstation": workstation}}})


def test_there_is_none_unless_somebody_asks_for_it(sandbox: Templates) -> None:
    assert "workstation" not in sandbox


def test_it_is_there_whatever_the_task(tmp_path: Path) -> None:
    cdk = App(outdir=str(tmp_path), analytics_reporting=False)
    reefloop.build(cdk, settings(enabled=True).model_copy(update={"task": "detection"}))
    assert cdk.node.try_find_child("reefloop-workstation")


def test_nothing_can_connect_to_it_and_it_speaks_https_only(template: dict[str, Any]) -> None:
    group = only(template, "AWS::EC2::SecurityGroup")
    assert "SecurityGroupIngress" not in group
    assert [(rule["FromPort"], rule["ToPort"], rule["IpProtocol"]) for rule in group["SecurityGroupEgress"]] == [
        (443, 443, "tcp")
    ]
    assert not resources(template, "AWS::EC2::SecurityGroupIngress")
    (name,) = resources(template, "AWS::EC2::SecurityGroup")
    assert machine(template)["SecurityGroupIds"] == [{"Fn::GetAtt": [name, "GroupId"]}]
    assert "KeyName" not in machine(template)


def test_only_the_machine_itself_can_ask_for_its_credentials(template: dict[str, Any]) -> None:
    assert machine(template)["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}


def test_its_disk_is_encrypted_and_goes_with_it(template: dict[str, Any]) -> None:
    (disk,) = machine(template)["BlockDeviceMappings"]
    assert disk["Ebs"] == {"Encrypted": True, "VolumeType": "gp3", "VolumeSize": 200, "DeleteOnTermination": True}


def test_shutting_it_down_stops_it_and_keeps_the_disk(template: dict[str, Any]) -> None:
    assert machine(template)["InstanceInitiatedShutdownBehavior"] == "stop"


def test_its_image_is_resolved_when_it_is_launched_and_not_before(template: dict[str, Any]) -> None:
    """A template that never changes leaves the instance where it is, however many images AWS publishes."""
    image = only(template, "AWS::EC2::LaunchTemplate")
    assert image == {"LaunchTemplateData": {"ImageId": f"resolve:ssm:{IMAGE}"}}
    assert "ImageId" not in machine(template)
    (name,) = resources(template, "AWS::EC2::LaunchTemplate")
    assert machine(template)["LaunchTemplate"] == {
        "LaunchTemplateId": {"Ref": name},
        "Version": {"Fn::GetAtt": [name, "LatestVersionNumber"]},
    }
    parameters = [one["Type"] for one in template["Parameters"].values() if "Image" in one["Type"]]
    assert parameters == []


def test_a_change_of_the_container_or_of_its_files_does_not_touch_it(template: dict[str, Any]) -> None:
    """A restart would end what somebody is doing there. What changes stands in the parameter, which it reads."""
    known = text(only(template, "AWS::SSM::Parameter")["Value"])
    (tag,) = re.findall(r":([0-9a-f]{64})\"", known)
    (files,) = re.findall(r"/([0-9a-f]{64})\.zip", known)
    told = text(machine(template)["UserData"]["Fn::Base64"])
    assert tag not in told
    assert files not in told
    (parameter,) = resources(template, "AWS::SSM::Parameter")
    assert f"PARAMETER=<{parameter}>\nREGION=us-east-1\n" in told
    assert len(told) < 16_000


def test_it_reads_what_jobs_read_and_writes_nothing(template: dict[str, Any]) -> None:
    allowed = {action for one in statements(template, "Role") for action in listed(one["Action"])}
    assert {action for action in allowed if action.startswith(("s3:", "sagemaker:", "ssm:", "ecr:", "logs:"))} == {
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetAuthorizationToken",
        "ecr:GetDownloadUrlForLayer",
        "s3:GetBucketLocation",
        "s3:GetObject",
        "s3:ListBucket",
        "sagemaker:DescribeProcessingJob",
        "sagemaker:DescribeTrainingJob",
        "ssm:GetParameter",
        "ssm:UpdateInstanceInformation",
    }
    assert "ManagedPolicyArns" not in only(template, "AWS::IAM::Role")


def test_nothing_of_it_costs_while_it_is_off_but_its_disk(template: dict[str, Any]) -> None:
    types = {resource["Type"] for resource in template["Resources"].values()}
    assert not types & {"AWS::EC2::NatGateway", "AWS::EC2::VPCEndpoint", "AWS::EC2::EIP", "AWS::Lambda::Function"}


def machine_alone(out: Path, **settings: Any) -> dict[str, Any]:
    """The template of a stack with nothing but the machine."""
    stack = Stack(App(outdir=str(out), analytics_reporting=False), "any", env=Environment(region="us-east-1"))
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
    GpuInstance(stack, "Machine", settings=WorkstationSettings(**settings), role=role, user_data="#!/bin/sh")
    made: dict[str, Any] = Template.from_stack(stack).to_json()
    return made


def test_two_syntheses_give_the_same_machine(tmp_path: Path) -> None:
    assert machine_alone(tmp_path / "1") == machine_alone(tmp_path / "2")


@pytest.mark.parametrize(("zone", "expected"), [(None, "<Fn::Select: [0, Fn::GetAZs: ]>"), ("c", "us-east-1c")])
def test_its_zone_can_be_chosen_where_the_first_has_no_such_gpu(
    zone: str | None, expected: str, tmp_path: Path
) -> None:
    made = machine_alone(tmp_path, zone=zone)
    assert text(only(made, "AWS::EC2::Subnet")["AvailabilityZone"]) == expected


@pytest.mark.parametrize("kind", ["g5g.xlarge", "m5.xlarge", "p3.2xlarge", "ml.g5.xlarge", "g5"])
def test_a_type_that_the_image_does_not_run_on_is_refused(kind: str) -> None:
    with pytest.raises(SettingsError, match=f"workstation.instance_type in cdk.json is '{kind}'"):
        settings(instance_type=kind)
