"""The books of Greengrass V2: component versions, deployments, core devices, and the rules between them."""

import base64
import copy
import hashlib
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from moto.core.base_backend import BackendDict, BaseBackend
from moto.iot.models import iot_backends
from moto.s3.models import s3_backends

from offline.services.greengrassv2.errors import Conflict, InvalidRequest, NotFound
from offline.services.greengrassv2.recipes import Recipe, RecipeError, bucket_and_key, parse, version_order
from offline.services.greengrassv2.records import (
    PUBLIC_COMPONENTS,
    TERMINAL,
    ComponentVersion,
    Core,
    Deployment,
    EffectiveDeployment,
    InstalledComponent,
    now,
)


class GreengrassV2Backend(BaseBackend):
    """The service in one region of one account. Every public method may be called from any thread."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.lock = threading.RLock()
        self.components: dict[tuple[str, str], ComponentVersion] = {}
        self.deployments: dict[str, Deployment] = {}
        self.cores: dict[str, Core] = {}
        self._answers: dict[str, Any] = {}

    # ---- Components --------------------------------------------------------------------------------------------------

    def create_component_version(self, text: bytes, tags: dict[str, str], client_token: str) -> ComponentVersion:
        try:
            recipe = parse(text)
        except RecipeError as error:
            raise InvalidRequest(f"Invalid Input: {error}") from None
        with self.lock:
            if isinstance(known := self._answers.get(client_token), ComponentVersion):
                return known
            if (recipe.name, recipe.version) in self.components:
                label = f"[{recipe.name} : {recipe.version}]"
                message = f"Component {label} for account [{self.account_id}] already exists with state: [DEPLOYABLE]"
                raise Conflict("component", self._arn(recipe.name, recipe.version), message)
            self._seal(recipe)
            made = ComponentVersion(self._arn(recipe.name, recipe.version), recipe, now(), dict(tags))
            self.components[recipe.name, recipe.version] = self._answers[client_token] = made
            return made

    def component(self, arn: str) -> ComponentVersion:
        with self.lock:
            for version in self.components.values():
                if version.arn == arn:
                    return version
        raise NotFound("Component", arn)

    def versions(self, name: str) -> list[ComponentVersion]:
        """The versions of one component, newest first."""
        with self.lock:
            found = [version for (of, _), version in self.components.items() if of == name]
        return sorted(found, key=lambda version: version_order(version.recipe.version), reverse=True)

    def delete_component(self, arn: str) -> None:
        with self.lock:
            version = self.component(arn)
            del self.components[version.recipe.name, version.recipe.version]
            self._answers = {token: made for token, made in self._answers.items() if made is not version}

    # ---- Deployments -------------------------------------------------------------------------------------------------

    def create_deployment(self, request: Mapping[str, Any]) -> Deployment:
        target = request["targetArn"]
        with self.lock:
            if isinstance(known := self._answers.get(request.get("clientToken", "")), Deployment):
                return known
            self._check_target(target)
            for name, terms in (request.get("components") or {}).items():
                self._check_deployable(name, terms["componentVersion"])
            earlier = [deployment for deployment in self.deployments.values() if deployment.target_arn == target]
            for deployment in earlier:
                deployment.latest = False
                if deployment.status == "ACTIVE":
                    deployment.status = "INACTIVE"
            revision = max((deployment.revision for deployment in earlier), default=0) + 1
            job = f"arn:aws:iot:{self.region_name}:{self.account_id}:job/{uuid.uuid4()}"
            tags = dict(request.get("tags") or {})
            made = Deployment(str(uuid.uuid4()), target, revision, copy.deepcopy(dict(request)), job, now(), tags)
            self.deployments[made.id] = made
            if token := request.get("clientToken"):
                self._answers[token] = made
            return made

    def deployment(self, deployment_id: str) -> Deployment:
        with self.lock:
            if deployment_id not in self.deployments:
                raise NotFound("Deployment", deployment_id)
            return self.deployments[deployment_id]

    def cancel_deployment(self, deployment_id: str) -> None:
        with self.lock:
            deployment = self.deployment(deployment_id)
            if deployment.status != "ACTIVE":
                message = f"Deployment [{deployment_id}] is {deployment.status}; only an ACTIVE one can be canceled"
                raise Conflict("deployment", deployment_id, message)
            deployment.status = "CANCELED"

    def delete_deployment(self, deployment_id: str) -> None:
        """Forget a deployment. Devices keep what it brought them.

        https://docs.aws.amazon.com/greengrass/v2/APIReference/API_DeleteDeployment.html
        """
        with self.lock:
            deployment = self.deployment(deployment_id)
            if deployment.status == "ACTIVE":
                message = f"Deployment [{deployment_id}] is ACTIVE: cancel it before you delete it"
                raise Conflict("deployment", deployment_id, message)
            del self.deployments[deployment_id]
            self._answers = {token: made for token, made in self._answers.items() if made is not deployment}

    # ---- Core devices ------------------------------------------------------------------------------------------------

    def core(self, thing: str) -> Core:
        with self.lock:
            if thing not in self.cores:
                raise NotFound("CoreDevice", thing)
            return self.cores[thing]

    def delete_core(self, thing: str) -> None:
        with self.lock:
            self.core(thing)
            del self.cores[thing]

    def things_of(self, group_arn: str) -> set[str]:
        """Names of the things in a thing group."""
        group = self._iot.thing_groups.get(group_arn)
        return {thing.thing_name for thing in list(group.things.values())} if group else set()

    # ---- What core devices say and ask; these have no public API ---------------------------------------------------

    def register(self, core: Core) -> None:
        """A core device connects. What an earlier life of it reported stays."""
        with self.lock:
            known = self.cores.get(core.thing)
            if known:
                core.effective, core.installed, core.tags = known.effective, known.installed, known.tags
            self.cores[core.thing] = core

    def pending(self, thing: str) -> list[Deployment]:
        """The deployments that the thing should run, oldest first: the active one of itself and of each group."""
        own = f"arn:aws:iot:{self.region_name}:{self.account_id}:thing/{thing}"
        targets = {own, *self.groups_of(thing)}
        with self.lock:
            active = [d for d in self.deployments.values() if d.latest and d.status in ("ACTIVE", "COMPLETED")]
        return sorted((d for d in active if d.target_arn in targets), key=lambda d: d.created)

    def groups_of(self, thing: str) -> list[str]:
        """ARNs of the thing groups that the thing is in."""
        groups = list(self._iot.thing_groups.values())
        return [group.arn for group in groups if thing in self.things_of(group.arn)]

    def report_deployment(
        self,
        thing: str,
        deployment: Deployment,
        status: str,
        *,
        reason: str = "",
        error_stack: Iterable[str] = (),
        error_types: Iterable[str] = (),
    ) -> None:
        """A core device says how a deployment fares."""
        with self.lock:
            effective = self.core(thing).effective
            created = effective[deployment.id].created if deployment.id in effective else now()
            effective[deployment.id] = EffectiveDeployment(
                deployment, status, created, now(), reason, tuple(error_stack), tuple(error_types)
            )
            if status in TERMINAL and ":thing/" in deployment.target_arn and deployment.status == "ACTIVE":
                deployment.status = "COMPLETED"
            if status in TERMINAL:
                self._abort_if_too_many_failed(deployment)

    def report_components(self, thing: str, components: Iterable[InstalledComponent], status: str) -> None:
        """A core device says what it runs and whether it is HEALTHY or UNHEALTHY."""
        with self.lock:
            core = self.core(thing)
            before = {(item["componentName"], item["lifecycleState"]): item for item in core.installed}
            core.installed = [self._stamped(component, before) for component in components]
            core.status, core.updated = status, now()

    @staticmethod
    def _stamped(component: InstalledComponent, before: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
        known = before.get((component.componentName, component.lifecycleState))
        changed = known["lastStatusChangeTimestamp"] if known else now()
        return {**asdict(component), "lastStatusChangeTimestamp": changed, "lastReportedTimestamp": now()}

    def _abort_if_too_many_failed(self, deployment: Deployment) -> None:
        """Cancel a deployment by its abort criteria.

        https://docs.aws.amazon.com/iot/latest/developerguide/jobs-configurations-details.html
        """
        outcomes = [
            core.effective[deployment.id].status for core in self.cores.values() if deployment.id in core.effective
        ]
        ended = [outcome for outcome in outcomes if outcome in TERMINAL]
        abort = (deployment.request.get("iotJobConfiguration") or {}).get("abortConfig") or {}
        for criterion in abort.get("criteriaList", []):
            kinds = TERMINAL - {"SUCCEEDED"} if criterion["failureType"] == "ALL" else {criterion["failureType"]}
            share = 100 * sum(outcome in kinds for outcome in ended) / len(ended)
            enough = len(ended) >= criterion["minNumberOfExecutedThings"]
            if enough and share >= criterion["thresholdPercentage"] and deployment.status == "ACTIVE":
                deployment.status = "CANCELED"

    def _seal(self, recipe: Recipe) -> None:
        """Write the digests of the artifacts into the recipe, as the service does once and for all."""
        unreachable = []
        for artifact in recipe.artifacts:
            bucket, key = bucket_and_key(artifact["Uri"])
            buckets = s3_backends[self.account_id]["aws"].buckets
            found = s3_backends[self.account_id]["aws"].get_object(bucket, key) if bucket in buckets else None
            if found is None:
                unreachable.append(f"{artifact['Uri']} = Specified artifact resource cannot be accessed")
                continue
            artifact["Digest"] = base64.b64encode(hashlib.sha256(found.value).digest()).decode()
            artifact["Algorithm"] = "SHA-256"
        if unreachable:
            # Word for word what the service says: https://github.com/aws/aws-cli/issues/6261
            raise InvalidRequest(
                f"Invalid Input: Encountered following errors in Artifacts: {{{', '.join(unreachable)}}}"
            )

    def _check_target(self, arn: str) -> None:
        things = {thing.arn for thing in list(self._iot.things.values())}
        if arn not in self._iot.thing_groups and arn not in things:
            raise NotFound("Target", arn)

    def _check_deployable(self, name: str, version: str) -> None:
        if name in PUBLIC_COMPONENTS:
            return
        found = self.components.get((name, version))
        if found is None:
            raise NotFound("Component", f"{name}:{version}")
        if found.status["componentState"] != "DEPLOYABLE":
            raise InvalidRequest(f"Component [{name}:{version}] is {found.status['componentState']}, not DEPLOYABLE")

    def _arn(self, name: str, version: str) -> str:
        return f"arn:aws:greengrass:{self.region_name}:{self.account_id}:components:{name}:versions:{version}"

    @property
    def _iot(self) -> Any:
        return iot_backends[self.account_id][self.region_name]


greengrassv2_backends = BackendDict(GreengrassV2Backend, "greengrassv2")
