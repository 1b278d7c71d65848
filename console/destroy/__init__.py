"""Removes what the loop made at run time, so that `cdk destroy --all` finds nothing in its way.

CloudFormation deletes what it made and no more: a bucket must be empty, a registry group without packages, a thing
group without things. What is removed is found through the outputs of the project's stacks; what no stack names, by
names that this project alone gives: jobs and endpoints reefloop-…, the component reefloop.Model.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from console.clients import Clients
from console.destroy.endpoints import delete_endpoints
from console.destroy.greengrass import remove_deployments, remove_devices, remove_model_component
from console.destroy.running import stop_builds, stop_executions, stop_jobs
from console.destroy.stored import delete_images, delete_labeling_models, delete_model_packages, empty_buckets
from console.errors import Failure
from console.project import PREFIX, Project

Removal = Callable[[Clients, Project], Iterator[str]]
"""Removes one kind of thing and yields a line for each; idempotent, and quiet where nothing is left."""

# In this order: what runs could make more of what follows.
STEPS: Final[Sequence[Removal]] = (
    stop_executions,
    stop_jobs,
    stop_builds,
    delete_endpoints,
    remove_deployments,
    remove_devices,
    remove_model_component,
    delete_model_packages,
    delete_labeling_models,
    delete_images,
    empty_buckets,
)

# What a stage with storage.retain keeps. CloudFormation leaves the buckets and the registry there with what they hold,
# so nothing of it is in the way of `cdk destroy`; a later round goes on from a model of automated labeling.
DATA: Final[frozenset[Removal]] = frozenset({delete_model_packages, delete_labeling_models, empty_buckets})


@dataclass
class Removed:
    """What was removed, line by line, and what could not be, with the reason."""

    lines: list[str]
    problems: list[str]


def retains_data(clients: Clients) -> bool:
    """Whether the deployed stage keeps its data: its storage stack has buckets that outlive it.

    Raises:
        Failure: its template cannot be read.
    """
    try:
        template = clients("cloudformation").get_template(StackName=f"{PREFIX}storage")["TemplateBody"]
    except ClientError as error:
        if "does not exist" in error.response["Error"].get("Message", ""):
            return False
        raise Failure(f"cannot read the template of {PREFIX}storage: {error}") from error
    return any(
        resource["Type"] == "AWS::S3::Bucket" and resource.get("DeletionPolicy", "Delete") != "Delete"
        for resource in template["Resources"].values()
    )


def remove(clients: Clients, project: Project, *, keep_data: bool, tell: Callable[[str], None]) -> Removed:
    """Run every step, or all but those of DATA; one that fails does not keep the others from their work."""
    removed = Removed([], [])
    for step in STEPS:
        if keep_data and step in DATA:
            continue
        try:
            for line in step(clients, project):
                removed.lines.append(line)
                tell(line)
        except (ClientError, BotoCoreError, Failure) as error:
            removed.problems.append(f"{step.__name__.replace('_', ' ')}: {error}")
    return removed
