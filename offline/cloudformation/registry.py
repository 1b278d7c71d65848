"""The stacks of one account and region: finding them, and understanding what is submitted for them."""

import threading
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlparse

from offline.api import ServiceError
from offline.cloudformation.planning import Plan
from offline.cloudformation.resource import Place
from offline.cloudformation.stack import Stack
from offline.cloudformation.template import parse
from offline.state import ACCOUNT_ID, State

GONE = "DELETE_COMPLETE"


class Registry:
    """Every stack there is or was."""

    def __init__(self, state: State) -> None:
        self.place = Place(state.client, ACCOUNT_ID, state.region)
        self.stacks: dict[str, Stack] = {}
        self.lock = threading.RLock()
        """Held while a stack is looked for and added, not while it is made."""

    def living(self) -> list[Stack]:
        return [stack for stack in list(self.stacks.values()) if stack.status != GONE]

    def find(self, name: str) -> Stack | None:
        """By name a stack that exists, by id one that existed too."""
        if name in self.stacks:
            return self.stacks[name]
        return next((stack for stack in self.living() if stack.name == name), None)

    def stack(self, name: str) -> Stack:
        found = self.find(name)
        if found is None:
            raise ServiceError("ValidationError", f"Stack with id {name} does not exist")
        return found

    def add(self, given: Mapping[str, Any], plan: Plan) -> Stack:
        """A new stack with nothing in it."""
        stack = Stack(
            id=self.arn(f"stack/{given['StackName']}/{uuid.uuid4()}"),
            name=given["StackName"],
            plan=plan,
            place=self.place,
            siblings=self.living,
        )
        stack.protected = given.get("EnableTerminationProtection", False)
        carry(stack, given)
        self.stacks[stack.id] = stack
        return stack

    def arn(self, resource: str) -> str:
        return f"arn:aws:cloudformation:{self.place.region}:{self.place.account_id}:{resource}"

    def plan(self, given: Mapping[str, Any], stack: Stack | None) -> Plan:
        """What a request wants a stack to be; `stack` is the one that it changes, for what it keeps."""
        body = stack.plan.body if stack and given.get("UsePreviousTemplate") else self.body(given)
        before = stack.plan.parameters if stack else {}
        parameters = {}
        for one in given.get("Parameters", []):
            name = one["ParameterKey"]
            if not one.get("UsePreviousValue"):
                parameters[name] = one["ParameterValue"]
            elif name in before:
                parameters[name] = before[name]
        kept = stack.plan.tags if stack and "Tags" not in given else {}
        tags = {tag["Key"]: tag["Value"] for tag in given.get("Tags", [])} or kept
        return Plan(body, parse(body), parameters, tags)

    def body(self, given: Mapping[str, Any]) -> str:
        """The template's text, from the request or from the bucket that its address names."""
        if "TemplateBody" in given:
            return str(given["TemplateBody"])
        if "TemplateURL" not in given:
            raise ServiceError("ValidationError", "Either Template URL or Template Body must be specified.")
        address = urlparse(given["TemplateURL"])
        bucket, _, key = address.path.lstrip("/").partition("/")
        if not address.netloc.startswith(("s3.", "s3-", "localhost")):  # the bucket stands in the host name
            bucket, key = address.netloc.split(".")[0], address.path.lstrip("/")
        found = self.place.client("s3").get_object(Bucket=bucket, Key=key)
        return str(found["Body"].read().decode())


def carry(stack: Stack, given: Mapping[str, Any]) -> None:
    """Take over what a request says beside the template."""
    stack.role_arn = given.get("RoleARN", stack.role_arn)
    stack.capabilities = tuple(given.get("Capabilities", stack.capabilities))
