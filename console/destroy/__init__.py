"""Removes what the loop made at run time, so that `cdk destroy --all` finds nothing in its way.

CloudFormation deletes what it made and no more: a bucket must be empty, a registry group without packages, a thing
group without things. Everything here is found through the outputs of the project's stacks, and only that is touched.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from console.clients import Clients
from console.destroy.endpoints import delete_endpoints
from console.destroy.greengrass import remove_deployments, remove_devices, remove_model_component
from console.destroy.running import stop_builds, stop_executions, stop_jobs
from console.destroy.stored import delete_images, delete_labeling_models, delete_model_packages, empty_buckets
from console.errors import Failure, Refusal
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


@dataclass
class Removed:
    """What was removed, line by line, and what could not be, with the reason."""

    lines: list[str]
    problems: list[str]


def refuse_retained(clients: Clients) -> None:
    """Stop here when the deployed stage keeps its data.

    Raises:
        Refusal: a bucket of the deployed storage stack has the deletion policy Retain.
    """
    try:
        template = clients("cloudformation").get_template(StackName=f"{PREFIX}storage")["TemplateBody"]
    except ClientError as error:
        if "does not exist" in error.response["Error"].get("Message", ""):
            return
        raise Failure(f"cannot read the template of {PREFIX}storage: {error}") from error
    if kept := _retained_buckets(template):
        raise Refusal(
            f"{PREFIX}storage was deployed with storage.retain: its {len(kept)} buckets hold what must outlive the "
            f"stacks; add --force if their contents may really be lost"
        )


def _retained_buckets(template: Any) -> list[str]:
    return [
        name
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::S3::Bucket" and resource.get("DeletionPolicy", "Delete") != "Delete"
    ]


def remove(clients: Clients, project: Project, *, tell: Callable[[str], None]) -> Removed:
    """Run every step; one that fails does not keep the others from their work."""
    removed = Removed([], [])
    for step in STEPS:
        try:
            for line in step(clients, project):
                removed.lines.append(line)
                tell(line)
        except (ClientError, BotoCoreError, Failure) as error:
            removed.problems.append(f"{step.__name__.replace('_', ' ')}: {error}")
    return removed
