"""Publish: one version of the model component, for every kind of device."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from reefloop import clients, contracts, environment, registry
from reefloop.deployment import recipe
from reefloop.payloads import Component, DeploymentInput

_FINGERPRINT = f"{contracts.PROJECT}:recipe"


class ModelNotApproved(Exception):
    """The model is not in the registry, or not approved there."""


class ComponentChanged(Exception):
    """The component version exists with another recipe; a version can never change."""


@dataclass(frozen=True)
class Environment:
    artifact_bucket: str
    model_package_group: str


def handler(event: DeploymentInput, _context: object) -> Component:
    """Create version 1.<number of the model in the registry>.0 of the model component, or find it made already.

    One that Greengrass could not make, and so calls FAILED, is made again.

    Raises:
        ModelNotApproved, NothingToDeploy, RecipeTooLarge, ComponentChanged: the message says what to do.
    """
    env = environment.read(Environment)
    model = registry.find(env.model_package_group, event["model_version"])
    if model is None or not model.approved:
        raise ModelNotApproved(
            f"model {event['model_version']!r} is {model.approval if model else 'not registered'} in "
            f"{env.model_package_group}: train it, or approve its package there, then start the deployment again"
        )
    version = f"1.{model.number}.0"
    content = recipe.render(
        model_version=event["model_version"],
        component_version=version,
        packages=event["packages"],
        bucket=env.artifact_bucket,
    )
    try:
        arn = _create(content)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConflictException":
            raise
        arn = _existing(model.arn, content)
    return Component(component_arn=arn, component_version=version)


def _create(content: Mapping[str, Any]) -> str:
    made = clients.greengrass().create_component_version(
        inlineRecipe=recipe.encode(content), tags={_FINGERPRINT: recipe.fingerprint(content)}
    )
    return str(made["arn"])


def _existing(neighbour_arn: str, content: Mapping[str, Any]) -> str:
    """The version that is there already; made anew if it FAILED, since no deployment could ever use it."""
    # A conflict does not say the ARN; the model package is in the same partition, region and account.
    partition, _, region, account = neighbour_arn.split(":")[1:5]
    name, version = content["ComponentName"], content["ComponentVersion"]
    arn = f"arn:{partition}:greengrass:{region}:{account}:components:{name}:versions:{version}"
    found = clients.greengrass().describe_component(arn=arn)
    if found["status"]["componentState"] == "FAILED":
        clients.greengrass().delete_component(arn=arn)
        return _create(content)
    if found.get("tags", {}).get(_FINGERPRINT) != recipe.fingerprint(content):
        raise ComponentChanged(
            f"{arn} exists with another recipe: train a new model version, which gets a new component version; "
            "or delete this one if no deployment ever used it"
        )
    return arn
