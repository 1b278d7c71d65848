"""A small CDK app in the variants that a stack goes through: first, changed, broken."""

from pathlib import Path
from typing import Literal

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

Variant = Literal["first", "changed", "broken"]


class Storage(cdk.Stack):
    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id, stack_name="sample-storage")
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            versioned=True,
            enforce_ssl=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )


class Greeting(cdk.Stack):
    def __init__(
        self, scope: Construct, construct_id: str, *, bucket: s3.IBucket, code: Path, variant: Variant
    ) -> None:
        super().__init__(scope, construct_id, stack_name="sample-greeting")
        group = logs.LogGroup(self, "Logs", removal_policy=cdk.RemovalPolicy.DESTROY)
        function = lambda_.Function(
            self,
            "Function",
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="greeting.handler",
            timeout=cdk.Duration.minutes(1),
            code=lambda_.Code.from_asset(str(code)),
            environment={"BUCKET": bucket.bucket_name, "GREETING": "hello" if variant == "first" else "good morning"},
            log_group=group,
        )
        bucket.grant_read_write(function)
        machine = sfn.StateMachine(
            self,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(
                tasks.LambdaInvoke(self, "Greet", lambda_function=function, payload_response_only=True)
            ),
        )
        if variant == "broken":
            role = iam.Role(self, "Extra", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
            sqs.Queue(self, "Queue").node.add_dependency(role)
        cdk.CfnOutput(self, "FunctionName", value=function.function_name)
        cdk.CfnOutput(self, "MachineArn", value=machine.state_machine_arn)


def synthesize(folder: Path, *, code: Path, variant: Variant) -> Path:
    """The cloud assembly of one variant of the app, in `folder`."""
    app = cdk.App(outdir=str(folder), analytics_reporting=False, context={"aws:cdk:enable-path-metadata": False})
    storage = Storage(app, "Storage")
    Greeting(app, "Greeting", bucket=storage.bucket, code=code, variant=variant)
    app.synth()
    return folder
