"""Who we are, where we are, and whether the CDK has been here before."""

from typing import Final

from botocore.exceptions import ClientError, NoCredentialsError

from console.clients import Clients
from console.preflight.check import Finding, blocks, ok
from settings import Settings

# What an app synthesized with aws-cdk-lib 2 asks of the bootstrap stack:
# https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html
BOOTSTRAP_VERSION: Final = 6


def credentials(clients: Clients, _: Settings) -> Finding:
    needed = "an identity that may deploy"
    try:
        identity = clients("sts").get_caller_identity()
    except NoCredentialsError:
        return blocks("none", needed, "set AWS_PROFILE, or run `aws configure sso`")
    return ok(f"account {identity['Account']} as {identity['Arn'].rsplit(':', 1)[1]}", needed)


def bootstrap(clients: Clients, settings: Settings) -> Finding:
    needed = f"version {BOOTSTRAP_VERSION} or newer"
    todo = f"run `cdk bootstrap` for this account and {settings.region}"
    try:
        (stack,) = clients("cloudformation").describe_stacks(StackName="CDKToolkit")["Stacks"]
    except ClientError as error:
        # CloudFormation has no error code of its own for a stack that does not exist.
        if "does not exist" not in error.response["Error"].get("Message", ""):
            raise
        return blocks("no CDKToolkit stack", needed, todo)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    version = int(outputs.get("BootstrapVersion", 0))
    if version >= BOOTSTRAP_VERSION:
        return ok(f"version {version}", needed)
    return blocks(f"version {version}", needed, todo)
