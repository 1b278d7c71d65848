"""How images and models are made and kept: ECR, CodeBuild, the model registry."""

import json
from collections.abc import Mapping
from typing import Any

from offline.cloudformation.resource import Made, Order, ResourceType, camel, whole

_MINUTES_AND_LIMITS = ("timeoutInMinutes", "queuedTimeoutInMinutes", "concurrentBuildLimit", "gitCloneDepth")


class Repository(ResourceType):
    properties = frozenset(
        {
            "EmptyOnDelete",
            "EncryptionConfiguration",
            "ImageScanningConfiguration",
            "ImageTagMutability",
            "LifecyclePolicy",
            "RepositoryName",
            "RepositoryPolicyText",
            "Tags",
        }
    )
    replaced_by = frozenset({"RepositoryName", "EncryptionConfiguration"})

    def create(self, order: Order) -> Made:
        name = order.get("RepositoryName") or order.name(longest=256, lower=True)
        given = camel(order.take("EncryptionConfiguration", "ImageScanningConfiguration", "ImageTagMutability"))
        repository = order.client("ecr").create_repository(
            repositoryName=name, **_scanning(given), tags=order.get("Tags", [])
        )["repository"]
        made = Made(name, {"Arn": repository["repositoryArn"], "RepositoryUri": repository["repositoryUri"]})
        self._policies(order, made, {})
        return made

    def update(self, order: Order, made: Made, old: Mapping[str, Any]) -> Made:
        ecr = order.client("ecr")
        if order.get("ImageTagMutability") != old.get("ImageTagMutability"):
            mutability = order.get("ImageTagMutability", "MUTABLE")
            ecr.put_image_tag_mutability(repositoryName=made.id, imageTagMutability=mutability)
        if order.get("ImageScanningConfiguration") != old.get("ImageScanningConfiguration"):
            scanning = _scanning({"imageScanningConfiguration": camel(order.get("ImageScanningConfiguration", {}))})
            ecr.put_image_scanning_configuration(repositoryName=made.id, **scanning)
        self._policies(order, made, old)
        return made

    def delete(self, order: Order, made: Made) -> None:
        empty = str(order.get("EmptyOnDelete", False)).lower() == "true"
        order.client("ecr").delete_repository(repositoryName=made.id, force=empty)

    def _policies(self, order: Order, made: Made, old: Mapping[str, Any]) -> None:
        ecr = order.client("ecr")
        if (policy := order.get("RepositoryPolicyText")) != old.get("RepositoryPolicyText"):
            if policy:
                ecr.set_repository_policy(repositoryName=made.id, policyText=json.dumps(policy))
            else:
                ecr.delete_repository_policy(repositoryName=made.id)
        if (policy := order.get("LifecyclePolicy")) != old.get("LifecyclePolicy"):
            if policy:
                ecr.put_lifecycle_policy(repositoryName=made.id, lifecyclePolicyText=policy["LifecyclePolicyText"])
            else:
                ecr.delete_lifecycle_policy(repositoryName=made.id)


class Project(ResourceType):
    replaced_by = frozenset({"Name"})

    def create(self, order: Order) -> Made:
        project = self._call(order, "create_project", order.get("Name") or order.name(longest=150))
        return Made(project["name"], {"Arn": project["arn"]})

    def update(self, order: Order, made: Made, _: Mapping[str, Any]) -> Made:
        self._call(order, "update_project", made.id)
        return made

    def delete(self, order: Order, made: Made) -> None:
        order.client("codebuild").delete_project(name=made.id)

    def _call(self, order: Order, call: str, name: str) -> Any:
        given = camel(order.but("Name"))
        # The one word that the API writes differently: buildspec.
        source = {"buildspec" if key == "buildSpec" else key: value for key, value in given.pop("source").items()}
        given = whole(given, _MINUTES_AND_LIMITS)
        return getattr(order.client("codebuild"), call)(name=name, source=source, **given)["project"]


class ModelPackageGroup(ResourceType):
    replaced_by = frozenset({"ModelPackageGroupName", "ModelPackageGroupDescription"})

    def create(self, order: Order) -> Made:
        given = order.but("ModelPackageGroupPolicy")
        arn = order.client("sagemaker").create_model_package_group(**given)["ModelPackageGroupArn"]
        self._policy(order)
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sagemaker-modelpackagegroup.html
        return Made(arn, {"ModelPackageGroupArn": arn, "ModelPackageGroupStatus": "Completed"})

    def update(self, order: Order, made: Made, _: Mapping[str, Any]) -> Made:
        self._policy(order)
        return made

    def delete(self, order: Order, _: Made) -> None:
        order.client("sagemaker").delete_model_package_group(ModelPackageGroupName=order["ModelPackageGroupName"])

    def _policy(self, order: Order) -> None:
        if policy := order.get("ModelPackageGroupPolicy"):
            order.client("sagemaker").put_model_package_group_policy(
                ModelPackageGroupName=order["ModelPackageGroupName"], ResourcePolicy=json.dumps(policy)
            )


def _scanning(given: dict[str, Any]) -> dict[str, Any]:
    scanning = given.get("imageScanningConfiguration")
    if scanning and "scanOnPush" in scanning:
        on = str(scanning["scanOnPush"]).lower() == "true"
        return {**given, "imageScanningConfiguration": {"scanOnPush": on}}
    return given


TYPES: Mapping[str, ResourceType] = {
    "AWS::ECR::Repository": Repository(),
    "AWS::CodeBuild::Project": Project(),
    "AWS::SageMaker::ModelPackageGroup": ModelPackageGroup(),
}
