from pathlib import Path

from aws_cdk import ArnFormat, CfnOutput, Environment, Stack
from aws_cdk import aws_greengrassv2 as greengrass
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from constructs import Construct

from reefloop import contracts as c
from settings import DeploymentSettings, OperationsSettings
from stacks.constructs.component import Component
from stacks.constructs.device_access import DeviceAccess
from stacks.constructs.machine import Machine
from stacks.constructs.records import Records
from stacks.constructs.rollout import RolloutFunctions, rollout
from stacks.storage import StorageStack

CLASSIFIER = Path(__file__).parents[1] / "edge" / c.CLASSIFIER_COMPONENT


class DeploymentStack(Stack):
    """A model reaches the devices: a canary group first, the fleet when every canary passed its self-test.

    Code and model travel apart. The classifier comes from here, on the base group that every device is in; the model
    comes from the state machine, on the canary and fleet groups; Greengrass merges what a device's groups ask for.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        env: Environment,
        settings: DeploymentSettings,
        operations: OperationsSettings,
        storage: StorageStack,
    ) -> None:
        super().__init__(scope, construct_id, env=env)
        base, canary, fleet = (self._group(name) for name in ("base", "canary", "fleet"))
        classifier = Component(
            self,
            "Classifier",
            folder=CLASSIFIER,
            configuration={"bucket": storage.data_bucket.bucket_name, **settings.of_devices},
        )
        deployment = greengrass.CfnDeployment(
            self,
            "BaseDeployment",
            target_arn=base.attr_arn,
            deployment_name="reefloop-base",
            components={
                classifier.name: greengrass.CfnDeployment.ComponentDeploymentSpecificationProperty(
                    component_version=classifier.version,
                    # A device keeps the values that it has, whatever a new version's defaults say, unless told not to:
                    # https://docs.aws.amazon.com/greengrass/v2/developerguide/update-component-configurations.html
                    configuration_update=greengrass.CfnDeployment.ComponentConfigurationUpdateProperty(reset=[""]),
                    run_with=_limits(settings),
                )
            },
        )
        access = DeviceAccess(
            self,
            "DeviceAccess",
            data_bucket=storage.data_bucket,
            artifact_bucket=storage.artifact_bucket,
            code=classifier.asset,
        )
        # Devices fetch the code as soon as they are told of it, and a fetch that is denied fails their deployment.
        deployment.node.add_dependency(classifier.resource, access)
        records = Records(
            self,
            "Records",
            days=settings.records_days,
            emails=settings.alert_emails,
            removal_policy=storage.removal_policy,
            operations=operations,
        )
        # Devices send as soon as they run the code, and what no rule takes yet is sent again, and paid for again.
        deployment.node.add_dependency(records)
        functions = RolloutFunctions(
            self, settings=settings, operations=operations, storage=storage, table=records.table
        )
        model = self.format_arn(
            service="greengrass",
            resource="components",
            resource_name=f"{c.MODEL_COMPONENT}*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        self.machine = Machine(
            self,
            "Machine",
            definition=rollout(
                self,
                functions,
                canary_group=canary,
                fleet_group=fleet,
                settings=settings,
                operations=operations,
            ),
            statements=[iam.PolicyStatement(actions=["greengrass:DescribeComponent"], resources=[model])],
            operations=operations,
        )

    def _group(self, name: str) -> iot.CfnThingGroup:
        group = iot.CfnThingGroup(self, f"{name.title()}Group", thing_group_name=f"reefloop-{name}")
        CfnOutput(self, f"{name.title()}GroupName", key=f"{name.title()}Group", value=group.ref)
        return group


def _limits(settings: DeploymentSettings) -> greengrass.CfnDeployment.ComponentRunWithProperty:
    """What the nucleus lets the classifier take; beyond its memory the kernel kills it.

    Twice what the classifier holds itself to, since a new model is proven in a second process. Nucleus classic only:
    the pages of nucleus lite name no such limits, and there the classifier's own bound is what holds.
    https://docs.aws.amazon.com/greengrass/v2/developerguide/configure-greengrass-core-v2.html#configure-component-system-resource-limits
    """
    return greengrass.CfnDeployment.ComponentRunWithProperty(
        system_resource_limits=greengrass.CfnDeployment.SystemResourceLimitsProperty(
            cpus=settings.cpus, memory=2 * settings.memory_mib * 1024
        )
    )
