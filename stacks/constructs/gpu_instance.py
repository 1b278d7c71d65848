from typing import Final

from aws_cdk import Fn, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from settings import WorkstationSettings
from stacks.constructs.acknowledge import acknowledge

# NVIDIA's open driver, Docker and the container toolkit on Amazon Linux 2023, and no framework: that is in the
# container. https://docs.aws.amazon.com/dlami/latest/devguide/find-dlami-id.html
IMAGE: Final = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id"
ROOT_DEVICE: Final = "/dev/xvda"


class GpuInstance(Construct):
    """An instance of a Deep Learning AMI in a network of its own, that nothing can connect to but Session Manager.

    A deployment does not replace it because AWS published a new image: the launch template names the image by AWS's
    public parameter, which EC2 resolves when an instance is launched. docs/decisions/0015-workstation-image.md
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: WorkstationSettings,
        role: iam.IRole,
        user_data: str,
    ) -> None:
        super().__init__(scope, construct_id)
        network = self._network(settings.zone)
        group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=network,
            description="Nothing comes in. Out go Session Manager, S3, ECR and package registries, all HTTPS",
            allow_all_outbound=False,
        )
        group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.HTTPS, "AWS and package registries")
        # It holds what CloudFormation may not change in a running instance and nothing else: a new version of the
        # template is a new instance.
        template = ec2.CfnLaunchTemplate(
            self,
            "Image",
            launch_template_data=ec2.CfnLaunchTemplate.LaunchTemplateDataProperty(image_id=f"resolve:ssm:{IMAGE}"),
        )
        instance = ec2.CfnInstance(
            self,
            "Instance",
            launch_template=ec2.CfnInstance.LaunchTemplateSpecificationProperty(
                launch_template_id=template.ref, version=template.attr_latest_version_number
            ),
            instance_type=settings.instance_type,
            iam_instance_profile=iam.InstanceProfile(self, "Profile", role=role).instance_profile_name,
            subnet_id=network.public_subnets[0].subnet_id,
            security_group_ids=[group.security_group_id],
            block_device_mappings=[_volume(settings.volume_gib)],
            propagate_tags_to_volume_on_creation=True,
            # One hop: the machine itself may ask for its credentials, what runs in a container may not. The jobs
            # call no AWS service.
            metadata_options=ec2.CfnInstance.MetadataOptionsProperty(
                http_tokens="required", http_put_response_hop_limit=1
            ),
            instance_initiated_shutdown_behavior="stop",
            user_data=Fn.base64(user_data),
        )
        # Before the route to the internet is there the first start has nothing to load its files from.
        instance.node.add_dependency(network.internet_connectivity_established, role)
        acknowledge(instance, "AwsSolutions-EC28", "one person looks at it while it is on; metrics by the minute cost")
        acknowledge(instance, "AwsSolutions-EC29", "it goes with its stack; what is worth keeping is in S3 and in git")
        self.instance_id = instance.ref

    def _network(self, zone: str | None) -> ec2.Vpc:
        """One public subnet: a NAT gateway or endpoints would cost by the hour also while the machine is off."""
        network = ec2.Vpc(
            self,
            "Network",
            availability_zones=[Stack.of(self).region + zone] if zone else None,
            max_azs=None if zone else 1,
            nat_gateways=0,
            ip_addresses=ec2.IpAddresses.cidr("10.0.0.0/24"),
            subnet_configuration=[ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC)],
            # Emptying the default group takes a custom resource. Nothing is in that group.
            restrict_default_security_group=False,
        )
        acknowledge(
            network, "AwsSolutions-VPC7", "flow logs are the account's choice; one machine that accepts no connection"
        )
        return network


def _volume(gib: int) -> ec2.CfnInstance.BlockDeviceMappingProperty:
    return ec2.CfnInstance.BlockDeviceMappingProperty(
        device_name=ROOT_DEVICE,
        ebs=ec2.CfnInstance.EbsProperty(volume_size=gib, volume_type="gp3", encrypted=True, delete_on_termination=True),
    )
