"""Who makes, asks and deletes the endpoint of an endpoint test, and what each of them may do."""

from collections.abc import Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from reefloop import contracts as c
from settings import CompilationSettings, OperationsSettings
from stacks.constructs.function import Function
from stacks.constructs.objects import grant_objects
from stacks.constructs.sagemaker import JobRole
from stacks.storage import StorageStack

# https://docs.aws.amazon.com/sagemaker/latest/dg/neo-deployment-hosting-services-container-images.html
_REPOSITORIES = ("sagemaker-neo-*", "sagemaker-inference-*", "xgboost-neo")
# How long an execution itself sees to what it made, after the endpoint had its time (endpoint.py), and more.
_WATCHED_SECONDS = 3 * 3600


class EndpointFunctions:
    """The functions, each with the calls that it makes, and `role`, under which the container runs."""

    def __init__(
        self,
        scope: Construct,
        *,
        settings: CompilationSettings,
        operations: OperationsSettings,
        storage: StorageStack,
    ) -> None:
        self._scope, self._operations, self._storage = scope, operations, storage
        timeout_seconds = settings.endpoint.timeout_seconds
        bucket = storage.data_bucket
        self.role = self._container_role()

        self.host = self._function("Host", "host", TIMEOUT_SECONDS=str(timeout_seconds), scratch_mib=8192)
        grant_objects(self.host, bucket, read=["models/*"], write=["models/*/endpoint/*"])

        # It unpacks the golden images from the model's own tarball, of 2 GB at most (reefloop.tarball.Limits).
        self.try_endpoint = self._function("TryEndpoint", "try_endpoint", scratch_mib=3072)
        grant_objects(self.try_endpoint, bucket, read=["models/*/model.tar.gz"])
        _allow(self.try_endpoint, ["DescribeEndpoint", "InvokeEndpoint"], self._named("endpoint"))

        self.unhost = self._function("Unhost", "unhost")
        self.sweep = self._function("Sweep", "sweep", AGE_SECONDS=str(timeout_seconds + _WATCHED_SECONDS))
        for function in (self.unhost, self.sweep):
            _allow(function, ["DescribeEndpoint", "DeleteEndpoint"], self._named("endpoint"))
            _allow(function, ["DeleteEndpointConfig"], self._named("endpoint-config"))
            _allow(function, ["DeleteModel"], self._named("model"))
        _allow(self.sweep, ["ListModels", "ListEndpoints"], ["*"])

    @property
    def statements(self) -> list[iam.PolicyStatement]:
        """What the state machine's role needs on top.

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html
        """
        made = self._named("model", "endpoint-config", "endpoint")
        creates = ("CreateModel", "CreateEndpointConfig", "CreateEndpoint", "AddTags")
        return [
            iam.PolicyStatement(actions=[f"sagemaker:{action}" for action in creates], resources=made),
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[self.role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
        ]

    def _container_role(self) -> JobRole:
        """https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createmodel-perms"""
        role = JobRole(self._scope, "EndpointJobRole")
        grant_objects(role, self._storage.data_bucket, read=["models/*/compiled/*", "models/*/endpoint/*"])
        stack = Stack.of(self._scope)
        images = [
            # Neo's containers are in accounts of AWS, another one in each region.
            stack.format_arn(service="ecr", account="*", resource="repository", resource_name=name)
            for name in _REPOSITORIES
        ]
        pulls = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
        role.add_to_policy(iam.PolicyStatement(actions=[f"ecr:{action}" for action in pulls], resources=images))
        role.add_to_policy(iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"]))
        return role

    def _function(self, name: str, handler: str, *, scratch_mib: int = 512, **environment: str) -> Function:
        return Function(
            self._scope,
            f"{name}Function",
            handler=f"compilation.{handler}",
            environment={"DATA_BUCKET": self._storage.data_bucket.bucket_name, **environment},
            timeout=Duration.minutes(10),
            memory_mib=1024,
            scratch_mib=scratch_mib,
            operations=self._operations,
        )

    def _named(self, *kinds: str) -> list[str]:
        stack = Stack.of(self._scope)
        return [stack.format_arn(service="sagemaker", resource=kind, resource_name=f"{c.ENDPOINTS}*") for kind in kinds]


def _allow(function: Function, actions: Sequence[str], resources: list[str]) -> None:
    function.add_to_role_policy(
        iam.PolicyStatement(actions=[f"sagemaker:{action}" for action in actions], resources=resources)
    )
