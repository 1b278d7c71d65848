"""`device`: make a device of the project, or undo it."""

import argparse
from pathlib import Path

from console import provisioning
from console.clients import clients, load_settings
from console.project import Project
from console.provisioning import installing
from console.provisioning.boards import Boards


def add(options: argparse.Namespace) -> int:
    settings = load_settings(options.stage)
    boards = Boards.of(settings)
    if options.board:
        boards.check(options.board)
    account = clients(settings.region)
    project = Project.find(account)
    folder = options.out or Path("devices") / options.thing
    identity = provisioning.add(account, project, options.thing, group=options.group, folder=folder)
    print(f"{options.thing} is a device of the {options.group} group")
    if options.board:
        print(f"nucleus lite cannot say which board it is on: with it, the device {boards.without(options.board)}")
    elif boards.platforms:
        print(
            f"--board names its board, which can be {', '.join(boards.platforms)}; a device that names none "
            f"{boards.without()}"
        )
    print(installing.prepare(account, project, options.thing, identity, board=options.board), end="")
    return 0


def remove(options: argparse.Namespace) -> int:
    account = clients(load_settings(options.stage).region)
    for line in provisioning.remove(account, Project.find(account), options.thing):
        print(line)
    print("what it sent stays; on the device, stop the nucleus and delete its key")
    return 0
