"""The real CDK CLI, led to an offline account and to nothing else."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLI = ROOT / "node_modules" / ".bin" / "cdk"

# Options of each verb on top of what the caller asks for. The direct method spares a change set per stack and asks
# nothing back; the stacks are independent enough for four at once.
_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "deploy": ("--method=direct", "--require-approval=never", "--concurrency=4"),
    "destroy": ("--force",),
}


class CdkError(Exception):
    """The CLI ended with an error; the message is what it printed, its last lines."""


def environment(account: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The caller's environment with the account in it and every other way to an AWS account taken out."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    return inherited | {
        **account,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "CDK_HOME": str(folder / "cdk"),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "true",
    }


def run(verb: str, *arguments: str, environment: Mapping[str, str], output: Path, cwd: Path = ROOT) -> str:
    """Run one CLI command and return what it printed.

    Args:
        verb: bootstrap, deploy, destroy, ...
        arguments: added behind the options that every command against an offline account needs.
        output: the folder for the cloud assembly. Two runs must not share one: the CLI locks it.
        cwd: the folder of the app's cdk.json.

    Raises:
        CdkError: the CLI failed.
    """
    given = {argument.partition("=")[0] for argument in arguments}
    options = [option for option in _OPTIONS.get(verb, ()) if option.partition("=")[0] not in given]
    command = [str(CLI), verb, *options, "--no-notices", "--no-version-reporting", "--no-color"]
    if not given & {"--output", "--app"}:
        command.append(f"--output={output}")
    # A group of its own, so that an interrupt ends the CLI and the app that it runs, once.
    process = subprocess.Popen(
        [*command, *arguments],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode:
        tail = "\n".join(printed.strip().splitlines()[-40:])
        raise CdkError(f"cdk {verb} {' '.join(arguments)} ended with exit code {process.returncode}:\n{tail}")
    return printed
