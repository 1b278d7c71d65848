from aws_cdk import ArnFormat, CfnOutput, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

# The thing that asks, as IAM sees it. It is AWS that fills it in: a device cannot write under another's name.
THING = "${credentials-iot:ThingName}"


class DeviceAccess(Construct):
    """What a device may touch: the policy of its certificate, and the role that it exchanges its certificate for.

    https://docs.aws.amazon.com/greengrass/v2/developerguide/device-auth.html
    https://docs.aws.amazon.com/greengrass/v2/developerguide/device-service-role.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        data_bucket: s3.IBucket,
        artifact_bucket: s3.IBucket,
        code: assets.Asset,
    ) -> None:
        super().__init__(scope, construct_id)
        role = iam.Role(self, "TokenExchangeRole", assumed_by=iam.ServicePrincipal("credentials.iot.amazonaws.com"))
        self._allow(role, ["s3:GetObject"], artifact_bucket.arn_for_objects("models/*"))
        self._allow(role, ["s3:GetObject"], code.bucket.arn_for_objects(code.s3_object_key))
        self._allow(role, ["s3:PutObject"], data_bucket.arn_for_objects(f"images/edge/{THING}/*"))
        # The nucleus asks where a bucket is before it downloads from it.
        self._allow(role, ["s3:GetBucketLocation"], artifact_bucket.bucket_arn, code.bucket.bucket_arn)
        self._allow(
            role,
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
            self._arn("logs", "log-group", "/aws/greengrass/*", ArnFormat.COLON_RESOURCE_NAME),
        )
        alias = iot.CfnRoleAlias(self, "RoleAlias", role_arn=role.role_arn, credential_duration_seconds=3600)
        policy = iot.CfnPolicy(self, "DevicePolicy", policy_document=self._device_policy(alias))
        CfnOutput(self, "RoleAliasName", key="RoleAlias", value=alias.ref)
        CfnOutput(self, "PolicyName", key="IotPolicy", value=policy.ref)

    def _device_policy(self, alias: iot.CfnRoleAlias) -> dict[str, object]:
        """What every core device needs and no name of a thing limits. Thing policy variables do not work for core
        devices, since they connect under client ids that only begin with the thing's name; so what a device may say
        and hear under its own name is in a policy of its own, made when it is provisioned."""

        def statement(actions: list[str], resource: str) -> dict[str, object]:
            return {"Effect": "Allow", "Action": actions, "Resource": resource}

        return {
            "Version": "2012-10-17",
            "Statement": [
                statement(["iot:AssumeRoleWithCertificate"], alias.attr_role_alias_arn),
                statement(
                    [
                        "greengrass:GetComponentVersionArtifact",
                        "greengrass:ResolveComponentCandidates",
                        "greengrass:GetDeploymentConfiguration",
                        "greengrass:ListThingGroupsForCoreDevice",
                    ],
                    "*",  # the data plane authorizes by certificate and takes no resource
                ),
            ],
        }

    def _allow(self, role: iam.Role, actions: list[str], *resources: str) -> None:
        role.add_to_policy(iam.PolicyStatement(actions=actions, resources=list(resources)))

    def _arn(
        self, service: str, resource: str, name: str, arn_format: ArnFormat = ArnFormat.SLASH_RESOURCE_NAME
    ) -> str:
        return Stack.of(self).format_arn(service=service, resource=resource, resource_name=name, arn_format=arn_format)
