"""The model registry: one model package group, whose newest approved package is the champion.

A package carries what the loop knows about its model as CustomerMetadataProperties, and the model version as its
description too, since only that is part of a listing.
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from reefloop import clients
from reefloop.payloads import Approval

_APPROVED: Final = "Approved"
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
_PROPERTIES: Final = 50
_VALUE_CHARACTERS: Final = 256
_DESCRIPTION_CHARACTERS: Final = 1024
_UNSPEAKABLE: Final = re.compile(r"[^A-Za-z0-9 _.:/=+\-@]+")


class RegistryInvalid(Exception):
    """The model package group holds a package that this project did not make."""


@dataclass(frozen=True)
class Model:
    """What is known of a model. `test_objects` is how many objects its test accuracy was measured on."""

    model_version: str
    dataset_version: str
    test_accuracy: float
    test_objects: int


@dataclass(frozen=True)
class Registered(Model):
    """A model in the registry; `number` is its version there: 1, 2, 3 …"""

    arn: str
    number: int
    approval: Approval

    @property
    def approved(self) -> bool:
        return self.approval == _APPROVED


def champion(group: str, *, besides: str = "") -> Registered | None:
    """The newest approved model, leaving out one model version; None when nothing was approved yet."""
    for package in _packages(group, ModelApprovalStatus=_APPROVED):
        registered = _registered(package["ModelPackageArn"])
        if registered.model_version != besides:
            return registered
    return None


def find(group: str, model_version: str) -> Registered | None:
    """The package of one model version, or None when it was never registered."""
    for package in _packages(group):
        if package.get("ModelPackageDescription") == model_version:
            return _registered(package["ModelPackageArn"])
    return None


def register(
    group: str,
    model: Model,
    *,
    approval: Approval,
    image_uri: str,
    model_uri: str,
    statistics_uri: str,
    numbers: Mapping[str, str],
) -> str:
    """Add a model to the registry, and return the ARN of its package.

    A repeated call with the same model version is answered with the first package.

    Args:
        statistics_uri: the model's metrics in SageMaker's own format, which Studio draws:
            https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-details.html
        numbers: more that is known about it; with the four of `Model` at most 50.
    """
    answer = clients.sagemaker().create_model_package(
        ModelPackageGroupName=group,
        ModelPackageDescription=model.model_version,
        ModelApprovalStatus=approval,
        InferenceSpecification={
            "Containers": [{"Image": image_uri, "ModelDataUrl": model_uri}],
            "SupportedContentTypes": ["image/jpeg", "image/png"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        ModelMetrics={"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": statistics_uri}}},
        CustomerMetadataProperties={
            **numbers,
            "model_version": model.model_version,
            "dataset_version": model.dataset_version,
            "test_accuracy": str(model.test_accuracy),
            "test_objects": str(model.test_objects),
        },
        ClientToken=hashlib.sha256(model.model_version.encode()).hexdigest()[:36],
    )
    arn: str = answer["ModelPackageArn"]
    return arn


def reject(group: str, model_version: str, reason: str) -> None:
    """Take the approval from a model, so that it is no champion. One that is not approved keeps the words it has."""
    found = find(group, model_version)
    if found and found.approved:
        clients.sagemaker().update_model_package(
            ModelPackageArn=found.arn,
            ModelApprovalStatus="Rejected",
            ApprovalDescription=" ".join(reason.split())[:_DESCRIPTION_CHARACTERS],
        )


def note(group: str, model_version: str, *, prefix: str, entries: Mapping[str, str]) -> None:
    """Write down more about a registered model, as properties whose names begin with `prefix`, in place of those there.

    The registry takes 50 properties of a model, 256 characters each of a small alphabet: the first entries have
    precedence, and what is too long is cut. A model that was never registered is left alone.
    """
    if (found := find(group, model_version)) is None:
        return
    before = clients.sagemaker().describe_model_package(ModelPackageName=found.arn)["CustomerMetadataProperties"]
    others = {name: value for name, value in before.items() if not name.startswith(prefix)}
    room = max(0, _PROPERTIES - len(others))
    noted = {
        f"{prefix}{name}": " ".join(_UNSPEAKABLE.sub(" ", value).split())[:_VALUE_CHARACTERS].strip() or "-"
        for name, value in islice(entries.items(), room)
    }
    gone = [name for name in before if name.startswith(prefix) and name not in noted]
    clients.sagemaker().update_model_package(
        ModelPackageArn=found.arn,
        CustomerMetadataProperties=others | noted,
        **({"CustomerMetadataPropertiesToRemove": gone} if gone else {}),
    )


def _packages(group: str, **filters: str) -> Iterator[dict[str, Any]]:
    pages = clients.sagemaker().get_paginator("list_model_packages")
    for page in pages.paginate(ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending", **filters):
        yield from page["ModelPackageSummaryList"]


def _registered(arn: str) -> Registered:
    package = clients.sagemaker().describe_model_package(ModelPackageName=arn)
    about = package.get("CustomerMetadataProperties", {})
    try:
        return Registered(
            model_version=about["model_version"],
            dataset_version=about["dataset_version"],
            test_accuracy=float(about["test_accuracy"]),
            test_objects=int(about["test_objects"]),
            arn=arn,
            number=package["ModelPackageVersion"],
            approval=package["ModelApprovalStatus"],
        )
    except (KeyError, ValueError) as error:
        raise RegistryInvalid(
            f"model package {arn} lacks usable metadata ({error!r}): it was not registered by this project; "
            "reject it, or keep it in a model package group of its own"
        ) from None
