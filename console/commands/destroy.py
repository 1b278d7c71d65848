"""`destroy`: what a person sees before and while things are removed."""

import argparse
import sys

from console.clients import Clients, clients, is_on_this_machine, load_settings
from console.destroy import refuse_retained, remove
from console.errors import Failure, Refusal
from console.project import Project


def run(options: argparse.Namespace) -> int:
    account = clients(load_settings(options.stage).region)
    project = Project.find(account)
    if not project.outputs:
        print("no reefloop stack is deployed in this account and region: nothing to remove")
        return 0
    if not options.force:
        refuse_retained(account)
    if not options.yes and not is_on_this_machine(account("sts")):
        _ask(account)
    removed = remove(account, project, tell=print)
    if removed.problems:
        raise Failure(f"not everything could be removed: {'; '.join(removed.problems)}")
    print(f"{len(removed.lines)} removals; `cdk destroy --all` takes the stacks away")
    return 0


def _ask(account: Clients) -> None:
    """Let a person type the account's number, so that no habit of typing y destroys the wrong one."""
    identity, region = account("sts").get_caller_identity()["Account"], account("sts").meta.region_name
    if not sys.stdin.isatty():
        raise Refusal(
            f"this would remove everything that the loop made in account {identity}: add --yes if you mean it"
        )
    print(f"This removes images, labels, models, devices and deployments of reefloop in account {identity}, {region}.")
    if input("Type the account's number to go on: ").strip() != identity:
        raise Refusal("that is not the account's number: nothing was removed")
