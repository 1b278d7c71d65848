from collections.abc import Sequence

from aws_cdk import Aws, CfnOutput, RemovalPolicy, Stack
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from reefloop import contracts as c
from settings import OperationsSettings, WorkforceSettings
from stacks.constructs.acknowledge import acknowledge
from stacks.constructs.function import Function, FunctionTask

TEAMS = {
    c.LABELERS: "Everyone who labels",
    c.EXPERTS: "The experienced, who see what the labelers could not settle",
}


class Workforce(Construct):
    """The people: one Cognito group and one workteam for each of `teams`.

    An account has one private workforce per region. Where there is one already it is used, with its own user pool
    and client; otherwise all three are made here.
    https://docs.aws.amazon.com/sagemaker/latest/dg/sms-workforce-create-private-cognito.html
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, existing: WorkforceSettings | None, teams: Sequence[str]
    ) -> None:
        super().__init__(scope, construct_id)
        workforce = None if existing else self._workforce()
        self._member_of = existing or WorkforceSettings.model_construct(
            name="reefloop", user_pool_id=self._pool.user_pool_id, client_id=self._client.user_pool_client_id
        )
        self.teams = {name: self._team(name, TEAMS[name], workforce) for name in teams}
        CfnOutput(self, "PoolId", key="UserPool", value=self._member_of.user_pool_id)

    def open_page(self, operations: OperationsSettings) -> FunctionTask:
        """A state that lets people sign in; not for an existing workforce, whose people can."""
        function = Function(
            self,
            "OpenPageFunction",
            handler="labeling.open_page",
            environment={"WORKFORCE": self._member_of.name},
            operations=operations,
        )
        workforce = Stack.of(self).format_arn(
            service="sagemaker", resource="workforce", resource_name=self._member_of.name
        )
        for actions, resource in (
            (["sagemaker:DescribeWorkforce"], workforce),
            (["cognito-idp:DescribeUserPoolClient", "cognito-idp:UpdateUserPoolClient"], self._pool.user_pool_arn),
        ):
            function.add_to_role_policy(iam.PolicyStatement(actions=actions, resources=[resource]))
        return FunctionTask(self, "OpenPage", function=function, event={}, result=c.PAGE)

    def _workforce(self) -> sagemaker.CfnWorkforce:
        self._pool = cognito.UserPool(
            self,
            "Pool",
            self_sign_up_enabled=False,
            sign_in_aliases=cognito.SignInAliases(email=True),
            password_policy=cognito.PasswordPolicy(
                min_length=12, require_digits=True, require_lowercase=True, require_symbols=True, require_uppercase=True
            ),
            mfa=cognito.Mfa.OPTIONAL,
            mfa_second_factor=cognito.MfaSecondFactor(sms=False, otp=True),
            account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
            removal_policy=RemovalPolicy.DESTROY,
        )
        acknowledge(self._pool, "AwsSolutions-COG2", "a second factor is offered, not forced: labelers share laptops")
        acknowledge(self._pool, "AwsSolutions-COG8", "threat protection is a paid tier; only the invited can sign in")
        # Where people may sign in from is known only once there is a workforce: open_page says so.
        self._client = self._pool.add_client("Client", generate_secret=True, disable_o_auth=True)
        domain = self._pool.add_domain(
            "Domain",
            # Domain prefixes are unique in a region across all of AWS.
            cognito_domain=cognito.CognitoDomainOptions(domain_prefix=f"reefloop-{Aws.ACCOUNT_ID}"),
        )
        workforce = sagemaker.CfnWorkforce(
            self,
            "Workforce",
            workforce_name="reefloop",
            cognito_config=sagemaker.CfnWorkforce.CognitoConfigProperty(
                client_id=self._client.user_pool_client_id, user_pool=self._pool.user_pool_id
            ),
        )
        workforce.node.add_dependency(domain)
        return workforce

    def _team(self, name: str, description: str, workforce: sagemaker.CfnWorkforce | None) -> sagemaker.CfnWorkteam:
        group = cognito.CfnUserPoolGroup(
            self,
            f"{name.title()}Group",
            user_pool_id=self._member_of.user_pool_id,
            group_name=name,
            description=description,
        )
        member = sagemaker.CfnWorkteam.MemberDefinitionProperty(
            cognito_member_definition=sagemaker.CfnWorkteam.CognitoMemberDefinitionProperty(
                cognito_client_id=self._member_of.client_id,
                cognito_user_group=name,
                cognito_user_pool=self._member_of.user_pool_id,
            )
        )
        team = sagemaker.CfnWorkteam(
            self,
            f"{name.title()}Team",
            workteam_name=f"reefloop-{name}",
            workforce_name=self._member_of.name,
            description=description,
            member_definitions=[member],
        )
        team.node.add_dependency(group)
        if workforce:
            team.node.add_dependency(workforce)
        return team
