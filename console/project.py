"""Finds what was deployed, by the outputs of the project's stacks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from console.clients import Clients
from console.errors import Failure

PREFIX: Final = "reefloop-"
STAGES: Final = ("labeling", "training", "compilation", "deployment")
"""The stages that have a state machine of their own, in the order of the loop."""


@dataclass(frozen=True)
class Project:
    """The deployed stacks: name without the prefix, to output, to value."""

    outputs: Mapping[str, Mapping[str, str]]

    @classmethod
    def find(cls, clients: Clients, *, stack: str = "") -> "Project":
        """Read the outputs of every reefloop stack, or of one: somebody may be allowed to read that one alone.

        Raises:
            Failure: CloudFormation cannot be asked.
        """
        named = {"StackName": f"{PREFIX}{stack}"} if stack else {}
        try:
            pages = clients("cloudformation").get_paginator("describe_stacks").paginate(**named)
            stacks = [stack for page in pages for stack in page["Stacks"]]
        except (ClientError, BotoCoreError) as error:
            # CloudFormation has no error code of its own for a stack that does not exist.
            if not (stack and "does not exist" in str(error)):
                raise Failure(f"cannot read the stacks of this account: {error}") from error
            stacks = []
        return cls({_short(stack): _outputs(stack) for stack in stacks if stack["StackName"].startswith(PREFIX)})

    def output(self, stack: str, name: str) -> str:
        """One output of one stack.

        Raises:
            Failure: the stack is not there, or has no such output.
        """
        if not self.outputs:
            raise Failure("no reefloop stack is deployed in this account and region: run `make deploy` first")
        if value := self.outputs.get(stack, {}).get(name):
            return value
        raise Failure(f"stack {PREFIX}{stack} has no output {name!r}: deploy it again, or wait until it is deployed")

    def optional(self, stack: str, name: str) -> str:
        """One output, or "" where the stack or the output is not there (a half-deployed project)."""
        return self.outputs.get(stack, {}).get(name, "")

    def resources(self, clients: Clients, stack: str) -> Mapping[str, list[str]]:
        """The resources of one deployed stack; empty where it is not deployed."""
        return stack_resources(clients, stack) if stack in self.outputs else {}

    @property
    def data_bucket(self) -> str:
        return self.output("storage", "DataBucket")

    @property
    def artifact_bucket(self) -> str:
        return self.output("storage", "ArtifactBucket")

    @property
    def loop_machine(self) -> str:
        return self.output("loop", "Machine")

    @property
    def machines(self) -> Mapping[str, str]:
        """Every deployed state machine: stack to ARN."""
        return {stack: outputs["Machine"] for stack, outputs in self.outputs.items() if "Machine" in outputs}

    @property
    def thing_groups(self) -> Mapping[str, str]:
        """The project's thing groups: output name to name or ARN, as the stack gives it."""
        names = ("BaseGroup", "CanaryGroup", "FleetGroup")
        return {name: self.outputs["deployment"][name] for name in names if name in self.outputs.get("deployment", {})}


def stack_resources(clients: Clients, stack: str) -> dict[str, list[str]]:
    """What CloudFormation lists as a stack's resources: type to physical ids; empty where there is no such stack."""
    found: dict[str, list[str]] = {}
    try:
        pages = clients("cloudformation").get_paginator("list_stack_resources").paginate(StackName=f"{PREFIX}{stack}")
        for resource in (resource for page in pages for resource in page["StackResourceSummaries"]):
            found.setdefault(resource["ResourceType"], []).append(resource.get("PhysicalResourceId", ""))
    except ClientError as error:
        # CloudFormation has no error code of its own for a stack that does not exist.
        if "does not exist" not in error.response["Error"].get("Message", ""):
            raise
    return found


def _short(stack: Mapping[str, Any]) -> str:
    return str(stack["StackName"]).removeprefix(PREFIX)


def _outputs(stack: Mapping[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
