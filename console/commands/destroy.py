"""`destroy`: what a person sees before and while things are removed."""

import argparse
import sys
from typing import Final

from console.clients import Clients, clients, is_on_this_machine, load_settings
from console.destroy import remove, retains_data
from console.errors import Failure, Refusal
from console.project import Project

_DELETES_DATA: Final = (
    "This deletes the images, labels and models of reefloop in {where}, and removes its devices, deployments and "
    "container images"
)
_KEEPS_DATA: Final = (
    "This removes the devices, deployments and container images of reefloop in {where}; its images, labels and models "
    "are kept"
)
_KEPT: Final = (
    "kept, since the stage has storage.retain: both buckets with all that is in them, and the registry's models "
    "(docs/operations.md, Destroying, says how to deploy again on top of them)"
)


def run(options: argparse.Namespace) -> int:
    account = clients(load_settings(options.stage).region)
    project = Project.find(account)
    if not project.outputs:
        print("no reefloop stack is deployed in this account and region: nothing to remove")
        return 0
    keep_data = not options.force and retains_data(account)
    if not options.yes and not is_on_this_machine(account("sts")):
        _ask(account, _KEEPS_DATA if keep_data else _DELETES_DATA)
    removed = remove(account, project, keep_data=keep_data, tell=print)
    if keep_data:
        print(_KEPT)
    if removed.problems:
        raise Failure(f"not everything could be removed: {'; '.join(removed.problems)}")
    print(f"{len(removed.lines)} removals; `cdk destroy --all` takes the stacks away")
    return 0


def _ask(account: Clients, consequence: str) -> None:
    """Let a person type the account's number, so that no habit of typing y destroys the wrong one."""
    identity, region = account("sts").get_caller_identity()["Account"], account("sts").meta.region_name
    told = consequence.format(where=f"account {identity}, {region}")
    if not sys.stdin.isatty():
        raise Refusal(f"{told}: add --yes if you mean it")
    print(f"{told}.")
    if input("Type the account's number to go on: ").strip() != identity:
        raise Refusal("that is not the account's number: nothing was removed")
