"""`device`: make a device of the project, or undo it."""

import argparse
from pathlib import Path

from console import provisioning
from console.clients import clients, load_settings
from console.project import Project
from console.provisioning import installing


def add(options: argparse.Namespace) -> int:
    account = clients(load_settings(options.stage).region)
    project = Project.find(account)
    folder = options.out or Path("devices") / options.thing
    identity = provisioning.add(account, project, options.thing, group=options.group, folder=folder)
    print(f"{options.thing} is a device of the {options.group} group")
    print(installing.prepare(account, project, options.thing, identity), end="")
    return 0


def remove(options: argparse.Namespace) -> int:
    account = clients(load_settings(options.stage).region)
    for line in provisioning.remove(account, Project.find(account), options.thing):
        print(line)
    print("what it sent stays; on the device, stop the nucleus and delete its key")
    return 0
