"""SageMaker of one region: moto's, with jobs that work, people who label and a registry that forgets nothing."""

from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

from moto.core.base_backend import BackendDict
from moto.core.resource_tagging import TaggedResource
from moto.sagemaker import urls
from moto.sagemaker.exceptions import ConflictException, ValidationError
from moto.sagemaker.models import sagemaker_backends

from offline.compiler import request as compilation
from offline.runners import processing
from offline.runners.labeling import rules
from offline.runners.training import channels
from offline.services import events
from offline.services.sagemaker.endpoints import Endpoints
from offline.services.sagemaker.jobs import Jobs
from offline.services.sagemaker.people import People


class SageMaker(Endpoints):
    """Everything of SageMaker that one region holds."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.jobs = Jobs(region_name, account_id)
        self.people = People(region_name, account_id)

    @property
    def _url_module(self) -> ModuleType:
        return urls  # type: ignore[no-any-return]

    def _get_resource_from_arn(self, arn: str) -> Any:
        """What carries the tags of an ARN: moto knows neither these jobs and people nor a package of a group."""
        if (record := self.jobs.by_arn(arn)) is not None:
            return record
        if arn in self.people.tags:
            return SimpleNamespace(tags=self.people.tags[arn])
        resource = self.model_packages.get(arn) or super()._get_resource_from_arn(arn)
        resource.tags = resource.tags or []
        return resource

    def iter_tagged_resources(self) -> Iterator[Any]:
        yield from super().iter_tagged_resources()
        for record in self.jobs:
            tags = {tag["Key"]: tag["Value"] for tag in record.tags}
            yield TaggedResource(arn=record.arn, tags=tags, resource_type=f"sagemaker:{record.kind.kind}-job")

    def create_model_package(self, *arguments: Any, **named: Any) -> str:
        arn: str = super().create_model_package(*arguments, **named)
        self._tell(arn)
        return arn

    def _tell(self, model_package_arn: str, *updated: str) -> None:
        """Send the event of a package that was made or changed.

        https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html#eventbridge-model-package
        """
        package = self.model_packages[model_package_arn]
        detail = {**package.gen_response_object(), "UpdatedModelPackageFields": list(updated)}
        if self.state.events:
            self.state.events.send("aws.sagemaker", events.MODEL_PACKAGE, resource=package.arn, detail=detail)

    def update_model_package(
        self,
        model_package_arn: str,
        model_approval_status: str | None,
        approval_description: str | None,
        customer_metadata_properties: dict[str, str] | None,
        *arguments: Any,
        **named: Any,
    ) -> Any:
        """Change what is given and keep the rest, which moto forgets."""
        package = self.describe_model_package(model_package_arn)
        arn = super().update_model_package(
            model_package_arn,
            model_approval_status or package.model_approval_status,
            approval_description or package.approval_description,
            {**(package.customer_metadata_properties or {}), **(customer_metadata_properties or {})},
            *arguments,
            **named,
        )
        given = {
            "ModelApprovalStatus": model_approval_status,
            "ApprovalDescription": approval_description,
            "CustomerMetadataProperties": customer_metadata_properties,
        }
        self._tell(package.arn, *(name for name, value in given.items() if value))
        return arn

    def delete_model_package(self, model_package_name: str) -> None:
        package = self.describe_model_package(model_package_name)
        del self.model_packages[package.arn]
        self.model_package_name_mapping.pop(package.arn, None)

    def delete_model_package_group(self, model_package_group_name: str) -> None:
        group = self.describe_model_package_group(model_package_group_name)
        if any(package.model_package_group_name == group.model_package_group_name for package in self.packages()):
            raise ConflictException(f"Model package group {group.arn} cannot be deleted: it has model packages")
        del self.model_package_groups[group.model_package_group_name]

    def packages(self) -> list[Any]:
        return list(self.model_packages.values())

    def close(self) -> None:
        """Stop every job and endpoint and wait until their processes are gone."""
        self.jobs.close()
        self.close_endpoints()

    def check_labeling(self, request: dict[str, Any]) -> None:
        """Refuse what CreateLabelingJob refuses before there is a job."""

        def team_exists(arn: str) -> bool:
            return self.people.has_team(arn) or arn in self.state.vendor_workteams

        def model_exists(arn: str) -> bool:
            return any(model.arn == arn for model in self._models.values())

        try:
            rules.check(request, self.region_name, team_exists=team_exists, model_exists=model_exists)
        except rules.Refused as error:
            raise ValidationError(str(error)) from None

    def check_training(self, request: dict[str, Any]) -> None:
        """Refuse what CreateTrainingJob refuses before there is a job.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html
        """
        condition = request["StoppingCondition"]
        runs, waits = condition.get("MaxRuntimeInSeconds", 24 * 3600), condition.get("MaxWaitTimeInSeconds")
        if request.get("EnableManagedSpotTraining"):
            if waits is None or waits < runs:
                raise ValidationError(f"Invalid MaxWaitTimeInSeconds. It must be present and be >= {runs}")
        elif waits is not None:
            # https://github.com/Kenza-AI/sagify/issues/111
            raise ValidationError(
                "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true"
            )
        if refusal := channels.refusal(request):
            raise ValidationError(refusal)

    def check_processing(self, request: dict[str, Any]) -> None:
        """Refuse what CreateProcessingJob refuses before there is a job."""
        if refusal := processing.refusal(request):
            raise ValidationError(refusal)

    def check_compilation(self, request: dict[str, Any]) -> None:
        """Refuse what CreateCompilationJob refuses before there is a job."""
        if refusal := compilation.refusal(request, self.region_name):
            raise ValidationError(refusal)


backends: BackendDict = sagemaker_backends
