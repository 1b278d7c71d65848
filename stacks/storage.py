from aws_cdk import CfnOutput, Duration, Environment, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from settings import StorageSettings
from stacks.constructs.acknowledge import acknowledge


class StorageStack(Stack):
    """What outlives everything else: the data, the artifacts that devices download, the model registry."""

    def __init__(self, scope: Construct, construct_id: str, *, env: Environment, settings: StorageSettings) -> None:
        super().__init__(scope, construct_id, env=env)
        self.removal_policy = RemovalPolicy.RETAIN if settings.retain else RemovalPolicy.DESTROY

        self.data_bucket = self._bucket("Data", versioned=False)
        # The labeling page reads images straight from the bucket, from whatever host serves it:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/sms-cors-update.html
        self.data_bucket.add_cors_rule(
            allowed_headers=[],
            allowed_methods=[s3.HttpMethods.GET],
            allowed_origins=["*"],
            exposed_headers=["Access-Control-Allow-Origin"],
        )
        # Greengrass records the digest of an artifact once, so an object here must never change.
        self.artifact_bucket = self._bucket("Artifact", versioned=True)

        self.model_package_group = sagemaker.CfnModelPackageGroup(
            self,
            "ModelPackageGroup",
            model_package_group_name="reefloop",
            model_package_group_description="Every model that the loop trained, with the verdict on it",
        )
        self.model_package_group.apply_removal_policy(self.removal_policy)
        CfnOutput(self, "ModelPackageGroupName", key="ModelPackageGroup", value="reefloop")

    def grant_registry(self, function: lambda_.Function, *, register: bool = False, update: bool = False) -> None:
        """Let a function read the model registry; with `register` add to it, with `update` note more about what is in
        it. It learns the group's name."""
        function.add_environment("MODEL_PACKAGE_GROUP", "reefloop")
        group = self.model_package_group.attr_model_package_group_arn
        packages = self.format_arn(service="sagemaker", resource="model-package", resource_name="reefloop/*")
        actions = ["sagemaker:ListModelPackages", "sagemaker:DescribeModelPackage"]
        if register:
            actions += ["sagemaker:CreateModelPackage", "sagemaker:AddTags"]
        if update:
            actions += ["sagemaker:UpdateModelPackage"]
        function.add_to_role_policy(iam.PolicyStatement(actions=actions, resources=[group, packages]))

    def _bucket(self, name: str, *, versioned: bool) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            f"{name}Bucket",
            versioned=versioned,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            removal_policy=self.removal_policy,
            # Jobs and the console send what is large in parts. Those of an upload that broke off cost like any object,
            # and no list of objects shows them.
            lifecycle_rules=[s3.LifecycleRule(abort_incomplete_multipart_upload_after=Duration.days(7))],
        )
        acknowledge(
            bucket,
            "AwsSolutions-S1",
            "access logs are the account's choice (CloudTrail data events); a log bucket here would still be "
            "receiving logs when the stack is destroyed, which makes the destruction fail",
        )
        CfnOutput(self, f"{name}BucketName", key=f"{name}Bucket", value=bucket.bucket_name)
        return bucket
