"""The operations of Greengrass V2: requests in, answers out, in the shapes of the service's own model.

https://docs.aws.amazon.com/greengrass/v2/APIReference/API_Operations.html
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

from moto.core.responses import ActionResult, BaseResponse, EmptyResult

from offline.services.greengrassv2 import recipes
from offline.services.greengrassv2.errors import InvalidRequest, NotFound
from offline.services.greengrassv2.models import GreengrassV2Backend, greengrassv2_backends
from offline.services.greengrassv2.records import PUBLIC_COMPONENTS, ComponentVersion, Core, Deployment
from offline.state import State

_PAGE = 100


class GreengrassV2Response(BaseResponse):
    """One request. moto calls the method that is named like the operation."""

    state: ClassVar[State]

    def __init__(self) -> None:
        super().__init__(service_name="greengrassv2")
        self.automated_parameter_parsing = True

    @property
    def _books(self) -> GreengrassV2Backend:
        found: GreengrassV2Backend = greengrassv2_backends[self.current_account][self.region]
        return found

    def _given(self, name: str, default: Any = None) -> Any:
        value = self._get_param(name)
        return default if value is None else value

    def _page(self, key: str, items: list[dict[str, Any]]) -> ActionResult:
        start = int(self._given("nextToken", 0))
        size = int(self._given("maxResults", _PAGE))
        following = {"nextToken": str(start + size)} if start + size < len(items) else {}
        return ActionResult({key: items[start : start + size], **following})

    # ---- Components --------------------------------------------------------------------------------------------------

    def create_component_version(self) -> ActionResult:
        if self._given("lambdaFunction"):
            raise InvalidRequest("this account makes components from recipes only: give inlineRecipe")
        recipe = self._given("inlineRecipe") or b""
        text = recipe if isinstance(recipe, bytes) else recipe.encode()
        made = self._books.create_component_version(text, self._given("tags", {}), self._given("clientToken", ""))
        return ActionResult(
            {
                "arn": made.arn,
                "componentName": made.recipe.name,
                "componentVersion": made.recipe.version,
                "creationTimestamp": made.created,
                "status": {**made.status, "componentState": "REQUESTED"},
            }
        )

    def describe_component(self) -> ActionResult:
        found = self._component()
        return ActionResult(
            {
                "arn": found.arn,
                "componentName": found.recipe.name,
                "componentVersion": found.recipe.version,
                "creationTimestamp": found.created,
                "status": found.status,
                "tags": found.tags,
                **_summary(found),
            }
        )

    def get_component(self) -> ActionResult:
        found = self._component()
        form = self._given("recipeOutputFormat", "YAML")
        recipe = recipes.render(found.recipe.document, form)
        return ActionResult({"recipeOutputFormat": form, "recipe": recipe, "tags": found.tags})

    def list_components(self) -> ActionResult:
        if self._given("scope", "PRIVATE") == "PUBLIC":
            public = [
                {"arn": f"arn:aws:greengrass:{self.region}:aws:components:{name}", "componentName": name}
                for name in sorted(PUBLIC_COMPONENTS)
            ]
            return self._page("components", public)
        names = sorted({name for name, _ in list(self._books.components)})
        latest = [versions[0] for name in names if (versions := self._books.versions(name))]
        return self._page("components", [_listed(version) for version in latest])

    def list_component_versions(self) -> ActionResult:
        name = self._arn().split(":components:")[-1].partition(":")[0]
        listed = [
            {"componentName": name, "componentVersion": version.recipe.version, "arn": version.arn}
            for version in self._books.versions(name)
        ]
        if not listed:
            raise NotFound("Component", self._arn())
        return self._page("componentVersions", listed)

    def delete_component(self) -> ActionResult:
        self._books.delete_component(self._arn())
        return EmptyResult()

    def get_component_version_artifact(self) -> ActionResult:
        name = unquote(self._given("artifactName", ""))
        for artifact in self._component().recipe.artifacts:
            bucket, key = recipes.bucket_and_key(artifact["Uri"])
            if name in (key, key.rpartition("/")[2]):
                where = {"Bucket": bucket, "Key": key}
                url = self.state.client("s3").generate_presigned_url("get_object", Params=where, ExpiresIn=3600)
                return ActionResult({"preSignedUrl": url})
        raise NotFound("Artifact", name)

    # ---- Deployments -------------------------------------------------------------------------------------------------

    def create_deployment(self) -> ActionResult:
        made = self._books.create_deployment(self._get_params())
        return ActionResult({"deploymentId": made.id, **_job(made)})

    def get_deployment(self) -> ActionResult:
        found = self._books.deployment(self._given("deploymentId"))
        asked = ("deploymentPolicies", "iotJobConfiguration", "parentTargetArn")
        return ActionResult(
            {
                **_deployment(found),
                **_job(found),
                **{key: found.request[key] for key in asked if found.request.get(key)},
                "components": found.components,
                "tags": found.tags,
            }
        )

    def list_deployments(self) -> ActionResult:
        target, history = self._given("targetArn"), self._given("historyFilter", "LATEST_ONLY")
        found = sorted(list(self._books.deployments.values()), key=lambda d: d.created, reverse=True)
        listed = [
            _deployment(deployment)
            for deployment in found
            if target in (None, deployment.target_arn) and (history == "ALL" or deployment.latest)
        ]
        return self._page("deployments", listed)

    def cancel_deployment(self) -> ActionResult:
        deployment_id = self._given("deploymentId")
        self._books.cancel_deployment(deployment_id)
        return ActionResult({"message": f"Deployment [{deployment_id}] is canceled"})

    def delete_deployment(self) -> ActionResult:
        self._books.delete_deployment(self._given("deploymentId"))
        return EmptyResult()

    # ---- Core devices ------------------------------------------------------------------------------------------------

    def list_core_devices(self) -> ActionResult:
        """With a group: the core devices on which a deployment to it succeeded, members or not.

        https://docs.aws.amazon.com/greengrass/v2/APIReference/API_ListCoreDevices.html
        """
        group, status, runtime = (self._given(name) for name in ("thingGroupArn", "status", "runtime"))
        listed = [
            _core(core)
            for core in list(self._books.cores.values())
            if (group is None or core.took_from(group))
            and status in (None, core.status)
            and runtime in (None, core.runtime)
        ]
        return self._page("coreDevices", listed)

    def get_core_device(self) -> ActionResult:
        found = self._core_device()
        return ActionResult({**_core(found), "coreVersion": found.version, "tags": found.tags})

    def delete_core_device(self) -> ActionResult:
        self._books.delete_core(self._core_device().thing)
        return EmptyResult()

    def list_effective_deployments(self) -> ActionResult:
        reports = sorted(self._core_device().effective.values(), key=lambda report: report.modified, reverse=True)
        listed = [
            {
                "deploymentId": report.deployment.id,
                "deploymentName": report.deployment.name,
                "targetArn": report.deployment.target_arn,
                **_job(report.deployment),
                "coreDeviceExecutionStatus": report.status,
                "reason": report.reason,
                "creationTimestamp": report.created,
                "modifiedTimestamp": report.modified,
                "statusDetails": {"errorStack": list(report.error_stack), "errorTypes": list(report.error_types)},
            }
            for report in reports
        ]
        return self._page("effectiveDeployments", listed)

    def list_installed_components(self) -> ActionResult:
        only_roots = self._given("topologyFilter", "ROOT") == "ROOT"
        listed = [item for item in self._core_device().installed if item["isRoot"] or not only_roots]
        return self._page("installedComponents", listed)

    # ---- Tags --------------------------------------------------------------------------------------------------------

    def tag_resource(self) -> ActionResult:
        self._tags().update(self._given("tags", {}))
        return EmptyResult()

    def untag_resource(self) -> ActionResult:
        tags = self._tags()
        for key in self._given("tagKeys", []):
            tags.pop(key, None)
        return EmptyResult()

    def list_tags_for_resource(self) -> ActionResult:
        return ActionResult({"tags": self._tags()})

    def _tags(self) -> dict[str, str]:
        arn = unquote(self._given("resourceArn", ""))
        kind, _, name = arn.split(":", 5)[-1].partition(":")
        found: Mapping[str, Callable[[], Any]] = {
            "components": lambda: self._books.component(arn),
            "deployments": lambda: self._books.deployment(name),
            "coreDevices": lambda: self._books.core(name),
        }
        if kind not in found:
            raise NotFound("Resource", arn)
        tags: dict[str, str] = found[kind]().tags
        return tags

    def _arn(self) -> str:
        return unquote(self._given("arn", ""))

    def _component(self) -> ComponentVersion:
        return self._books.component(self._arn())

    def _core_device(self) -> Core:
        return self._books.core(unquote(self._given("coreDeviceThingName", "")))


def _summary(version: ComponentVersion) -> dict[str, Any]:
    document = version.recipe.document
    told = {"publisher": document.get("ComponentPublisher"), "description": document.get("ComponentDescription")}
    return {"platforms": version.recipe.platforms, **{key: value for key, value in told.items() if value}}


def _listed(version: ComponentVersion) -> dict[str, Any]:
    latest = {"arn": version.arn, "componentVersion": version.recipe.version, "creationTimestamp": version.created}
    return {
        "arn": version.arn.partition(":versions:")[0],
        "componentName": version.recipe.name,
        "latestVersion": {**latest, **_summary(version)},
    }


def _deployment(deployment: Deployment) -> dict[str, Any]:
    return {
        "targetArn": deployment.target_arn,
        "revisionId": str(deployment.revision),
        "deploymentId": deployment.id,
        "deploymentName": deployment.name,
        "creationTimestamp": deployment.created,
        "deploymentStatus": deployment.status,
        "isLatestForTarget": deployment.latest,
    }


def _job(deployment: Deployment) -> dict[str, str]:
    return {"iotJobId": deployment.job_arn.rpartition("/")[2], "iotJobArn": deployment.job_arn}


def _core(core: Core) -> dict[str, Any]:
    return {
        "coreDeviceThingName": core.thing,
        "status": core.status,
        "lastStatusUpdateTimestamp": core.updated,
        "platform": core.platform,
        "architecture": core.architecture,
        "runtime": core.runtime,
    }
