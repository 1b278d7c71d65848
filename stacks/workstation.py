from pathlib import Path

from aws_cdk import CfnOutput, Environment, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from settings import WorkstationSettings
from stacks.constructs.gpu_instance import GpuInstance
from stacks.constructs.objects import grant_objects
from stacks.jobs import JobsStack
from stacks.storage import StorageStack

FILES = Path(__file__).parents[1] / "workstation"


class WorkstationStack(Stack):
    """A GPU instance on which a person runs the job container by hand, to see why a job failed.

    What it needs to know stands in a parameter that it reads when it starts. Were it in the user data, a deployment
    that changes the container or a file of workstation/ would restart the machine under whoever works on it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        env: Environment,
        settings: WorkstationSettings,
        storage: StorageStack,
        jobs: JobsStack,
    ) -> None:
        super().__init__(scope, construct_id, env=env)
        files = assets.Asset(self, "Files", path=str(FILES), exclude=["**/__pycache__", "*.pyc"])
        parameter = ssm.StringParameter(
            self,
            "Settings",
            description="What the workstation reads when it starts",
            string_value=self.to_json_string(
                {
                    "files": files.s3_object_url,
                    "image_uri": jobs.image_uri,
                    "idle_minutes": settings.idle_minutes,
                    "region": self.region,
                }
            ),
        )
        role = self._role()
        for action, resource in (
            ("ssm:GetParameter", parameter.parameter_arn),
            ("s3:GetObject", files.bucket.arn_for_objects(files.s3_object_key)),
        ):
            role.add_to_policy(iam.PolicyStatement(actions=[action], resources=[resource]))
        jobs.repository.grant_pull(role)
        # What the jobs that run in the container read. The machine writes nothing anywhere.
        grant_objects(
            role, storage.data_bucket, read=[f"{name}/*" for name in ("datasets", "gold", "images", "models", "rounds")]
        )
        machine = GpuInstance(
            self,
            "Machine",
            settings=settings,
            role=role,
            user_data=_user_data(parameter=parameter.parameter_name, region=self.region),
        )
        CfnOutput(self, "InstanceId", key="Instance", value=machine.instance_id)

    def _role(self) -> iam.Role:
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
        role.add_to_policy(
            # What Session Manager needs, out of the many things that AmazonSSMManagedInstanceCore allows:
            # https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
            iam.PolicyStatement(
                actions=[
                    "ssm:UpdateInstanceInformation",
                    "ssmmessages:CreateControlChannel",
                    "ssmmessages:CreateDataChannel",
                    "ssmmessages:OpenControlChannel",
                    "ssmmessages:OpenDataChannel",
                ],
                resources=["*"],  # the channels take no resource, and the instance is not known before its role
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["sagemaker:DescribeTrainingJob", "sagemaker:DescribeProcessingJob"],
                resources=[
                    self.format_arn(service="sagemaker", resource=kind, resource_name="reefloop-*")
                    for kind in ("training-job", "processing-job")
                ],
            )
        )
        return role


def _user_data(*, parameter: str, region: str) -> str:
    """The first line of the script that the machine runs at every start, what that may not guess, and the rest."""
    head, _, rest = (FILES / "boot.sh").read_text().partition("\n")
    return f"{head}\nPARAMETER={parameter}\nREGION={region}\n{rest}"
