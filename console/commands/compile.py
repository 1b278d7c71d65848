"""`compile`: a model from elsewhere for devices of the table; what cannot work is said before anything is uploaded."""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import ClientError

from console import outcomes, own_model, tarballs
from console.clients import Clients, clients, load_settings
from console.errors import Failure
from console.executions import Follower
from console.following import follow, require_success
from console.own_model import Wish
from console.project import Project
from console.screen import Screen
from console.tarballs import Tarball
from reefloop.contracts import COMPILATION, model_key
from reefloop.payloads import CompilationInput


def run(options: argparse.Namespace) -> int:
    settings = load_settings(options.stage)
    wish = Wish(
        framework=own_model.framework(options.framework),
        framework_version=options.framework_version,
        data_input_config=options.input,
        targets=own_model.targets(options.targets, settings.compilation.known),
    )
    account = clients(settings.region)
    tarball = _tarball(account, wish, options.model)
    project = Project.find(account)
    version, arn = _start(account, project, wish, tarball)
    screen = Screen()
    screen.say(f"model {version} for {', '.join(target.name for target in wish.targets)}")
    screen.say(f"running {arn}")
    if not options.wait:
        screen.say(f"follow it with `python -m console watch --model {version}`")
        return 0
    execution = follow(Follower(account, project), arn)
    packages = outcomes.read(account, project.data_bucket, version, since=execution.started)
    outcomes.show(screen, packages)
    for package in packages:
        if package["key"]:
            screen.say(f"{package['target']}: s3://{project.artifact_bucket}/{package['key']}")
    require_success(execution)
    if failed := outcomes.failed(packages):
        raise Failure(f"{len(failed)} of {len(packages)} targets got no compiled model: {'; '.join(failed)}")
    return 0


def _tarball(account: Clients, wish: Wish, model: str) -> Tarball:
    """The model, once nothing that can be known is against it.

    Raises:
        Refusal: something is; what was asked for is checked before the tarball is looked at.
    """
    own_model.check(wish)
    if model.startswith("s3://"):
        return tarballs.find(account, model)
    file = tarballs.File(account, Path(model))
    own_model.check(wish, names=file.names())
    return file


def _start(account: Clients, project: Project, wish: Wish, tarball: Tarball) -> tuple[str, str]:
    """Bring the model, start its compilation; returns the model's version and the execution's ARN."""
    machine = project.output(COMPILATION, "Machine")
    version = wish.model_version(tarball.content())
    key = model_key(version, "source/model.tar.gz")
    # The version is made of the content: what lies there already is the same.
    if not _is_there(account, project.data_bucket, key):
        tarball.bring(project.data_bucket, key)
    payload = CompilationInput(
        model_version=version,
        targets=[target.name for target in wish.targets],
        model=wish.model(f"s3://{project.data_bucket}/{key}"),
    )
    started = account("stepfunctions").start_execution(
        stateMachineArn=machine,
        name=f"{version}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}",
        input=json.dumps(payload),
    )
    return version, str(started["executionArn"])


def _is_there(account: Clients, bucket: str, key: str) -> bool:
    try:
        account("s3").head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
        return False
    return True
