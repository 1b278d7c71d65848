"""Endpoints that answer: moto's records of models and endpoints, with a container behind each endpoint."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from moto.sagemaker.exceptions import ValidationError
from moto.sagemaker.models import FakeEndpoint, FakeEndpointConfig, Model, SageMakerModelBackend

from offline.api import Call, ServiceError
from offline.runners import Job, hosting, run
from offline.runners.hosting import Container
from offline.state import ACCOUNT_ID, State

# An endpoint is Creating for at least this long, so that no caller may count on having missed it.
_FIRST_STATE_SECONDS: Final = 0.1


@dataclass
class _Served:
    """What runs behind one endpoint."""

    job: Job
    fated: bool
    thread: threading.Thread | None = None
    containers: list[Container] = field(default_factory=list)

    def close(self) -> None:
        self.job.stopping.set()
        if self.thread:
            self.thread.join(timeout=15)
        for container in self.containers:
            container.close()


class Endpoints(SageMakerModelBackend):
    """The hosting of one region. Names are taken until what has them is deleted."""

    state: State

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._served: dict[str, _Served] = {}

    def create_model(self, model_name: str, *arguments: Any, **named: Any) -> Model:
        _check_free("model", model_name, self._models, self._arn("model", model_name))
        return super().create_model(model_name, *arguments, **named)

    def create_endpoint_config(self, endpoint_config_name: str, *arguments: Any, **named: Any) -> FakeEndpointConfig:
        arn = self._arn("endpoint-config", endpoint_config_name)
        _check_free("endpoint configuration", endpoint_config_name, self.endpoint_configs, arn)
        return super().create_endpoint_config(endpoint_config_name, *arguments, **named)

    def create_endpoint(self, endpoint_name: str, endpoint_config_name: str, tags: list[dict[str, str]]) -> Any:
        _check_free("endpoint", endpoint_name, self.endpoints, self._arn("endpoint", endpoint_name))
        endpoint = super().create_endpoint(endpoint_name, endpoint_config_name, tags)
        endpoint.endpoint_status = "Creating"
        [variant] = self.endpoint_configs[endpoint_config_name].production_variants
        model = self._models[variant["ModelName"]]
        request = {
            "EndpointName": endpoint_name,
            "VariantName": variant["VariantName"],
            "RoleArn": model.execution_role_arn,
            "PrimaryContainer": model.primary_container,
        }
        job = Job("endpoint", endpoint_name, endpoint.arn, request, self.state, lambda _: None)
        served = self._served[endpoint_name] = _Served(job, fated=job.fault is not None)
        served.thread = threading.Thread(target=self._create, args=(endpoint, served), name=endpoint.arn, daemon=True)
        served.thread.start()
        return endpoint

    def delete_endpoint(self, endpoint_name: str) -> None:
        """What is being made cannot be deleted: https://github.com/aws/amazon-sagemaker-examples/issues/3432

        An endpoint that a test lets stall fails when somebody tries: the hour that SageMaker waits is over then.
        """
        endpoint = self.endpoints.get(endpoint_name)
        if endpoint is not None and endpoint.endpoint_status == "Creating":
            if (served := self._served[endpoint_name]).fated:
                served.job.stopping.set()
            raise ValidationError(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        if endpoint is None or endpoint.endpoint_status == "Deleting":
            raise ValidationError(f'Could not find endpoint "{self._arn("endpoint", endpoint_name)}".')
        self._become(endpoint, "Deleting")
        threading.Thread(target=self._delete, args=(endpoint_name,), daemon=True).start()

    def list_endpoints(self, *arguments: Any, **named: Any) -> Any:
        """moto's clock has no time zone, and the times of requests have one."""
        utc = {name: naive(value) if isinstance(value, datetime) else value for name, value in named.items()}
        return super().list_endpoints(*arguments, **utc)

    def invoke_endpoint(self, call: Call) -> Mapping[str, Any]:
        """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html"""
        given = call.parameters
        name = given["EndpointName"]
        endpoint, served = self.endpoints.get(name), self._served.get(name)
        if endpoint is None or served is None or endpoint.endpoint_status != "InService":
            raise ServiceError("ValidationError", f"Endpoint {name} of account {ACCOUNT_ID} not found.")
        body = given.get("Body", b"")
        answer = served.containers[0].ask(
            body if isinstance(body, bytes) else body.read(), given.get("ContentType", ""), given.get("Accept", "")
        )
        if answer.status != 200:
            kind = "client" if answer.status < 500 else "server"
            raise ServiceError(
                "ModelError",
                f"Received {kind} error ({answer.status}) from primary with message "
                f'"{answer.body.decode(errors="replace")}". See /aws/sagemaker/Endpoints/{name} in account '
                f"{ACCOUNT_ID} for more information.",
            )
        variant = served.job.request["VariantName"]
        return {"Body": answer.body, "ContentType": answer.content_type, "InvokedProductionVariant": variant}

    def close_endpoints(self) -> None:
        """End every container."""
        for served in list(self._served.values()):
            served.close()

    def _create(self, endpoint: FakeEndpoint, served: _Served) -> None:
        served.job.stopping.wait(_FIRST_STATE_SECONDS)
        outcome = run(served.job, lambda job: served.containers.append(hosting.start(job)))
        if outcome.status == "Completed":
            self._become(endpoint, "InService")
        else:
            late = f"Variant {served.job.request['VariantName']} did not come into service in time. Try again later."
            self._become(endpoint, "Failed", outcome.reason or late)

    def _delete(self, name: str) -> None:
        self._served.pop(name).close()
        super().delete_endpoint(name)

    @staticmethod
    def _become(endpoint: FakeEndpoint, status: str, reason: str | None = None) -> None:
        endpoint.failure_reason = reason
        endpoint.endpoint_status = status
        endpoint.last_modified_time = naive(datetime.now(UTC))

    def _arn(self, kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:{self.region_name}:{self.account_id}:{kind}/{name}"


# Every type that the API has is let through by whoever checks requests; moto's own list is of 2020.
FakeEndpointConfig.validate_instance_type = lambda *_: None


def naive(moment: datetime) -> datetime:
    """As moto keeps times: in UTC, and without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _check_free(kind: str, name: str, taken: Mapping[str, Any], arn: str) -> None:
    if name in taken:
        raise ValidationError(f'Cannot create already existing {kind} "{arn}".')
