from collections.abc import Sequence
from typing import Final

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from reefloop import contracts as c
from settings import OperationsSettings
from stacks.constructs.function import Function

# The payload is no JSON, so that it is passed on in base64; a device's policy says whose name is in its topics.
_SELECT: Final = "SELECT encode(*, 'base64') AS data, topic(2) AS thing"


class Records(Construct):
    """What devices say: topic rules hand each message to a function that stores it in a table and acknowledges it.

    `table` has records of all devices, which expire. Encrypted with a key of AWS, as is all of DynamoDB.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        days: int,
        emails: Sequence[str],
        removal_policy: RemovalPolicy,
        operations: OperationsSettings,
    ) -> None:
        super().__init__(scope, construct_id)
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name=c.THING, type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name=c.ITEM, type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute=c.EXPIRES_AT,
            removal_policy=removal_policy,
        )
        CfnOutput(self, "TableName", key="RecordsTable", value=self.table.table_name)
        self.ingest = Function(
            Stack.of(self),
            "IngestFunction",
            handler="deployment.ingest",
            environment={"RECORDS_TABLE": self.table.table_name, "RECORDS_DAYS": str(days)},
            operations=operations,
            timeout=Duration.minutes(1),
            # The device sends again what is not acknowledged; Lambda's retries would only do so besides.
            retry_attempts=0,
        )
        self._allow(
            ["dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:Query"], self.table.table_arn
        )
        acknowledgements = Stack.of(self).format_arn(service="iot", resource="topic", resource_name=c.topic("*", c.ACK))
        self._allow(["iot:Publish"], acknowledgements)
        for kind in c.RECORDS:
            self._rule(kind)
        if emails:
            self._tell(emails)

    def _rule(self, kind: str) -> None:
        """One rule per kind, and none with a wildcard for it: that would take the acknowledgements too."""
        rule = iot.CfnTopicRule(
            self,
            f"{kind.title()}Rule",
            topic_rule_payload=iot.CfnTopicRule.TopicRulePayloadProperty(
                sql=f"{_SELECT} FROM '{c.topic('+', kind)}'",
                aws_iot_sql_version="2016-03-23",
                description=f"Stores and acknowledges what devices send as {kind}",
                actions=[
                    iot.CfnTopicRule.ActionProperty(
                        lambda_=iot.CfnTopicRule.LambdaActionProperty(function_arn=self.ingest.function_arn)
                    )
                ],
            ),
        )
        permission = lambda_.CfnPermission(
            self,
            f"{kind.title()}Permission",
            action="lambda:InvokeFunction",
            function_name=self.ingest.function_arn,
            principal="iot.amazonaws.com",
            source_account=Stack.of(self).account,
            source_arn=rule.attr_arn,
        )
        permission.node.add_dependency(rule)

    def _tell(self, emails: Sequence[str]) -> None:
        topic = sns.Topic(self, "Alerts", display_name="reefloop alerts", enforce_ssl=True)
        for email in emails:
            topic.add_subscription(subscriptions.EmailSubscription(email))
        self.ingest.add_environment("ALERTS_TOPIC", topic.topic_arn)
        self._allow(["sns:Publish"], topic.topic_arn)
        CfnOutput(self, "AlertsTopicArn", key="AlertsTopic", value=topic.topic_arn)

    def _allow(self, actions: list[str], resource: str) -> None:
        self.ingest.add_to_role_policy(iam.PolicyStatement(actions=actions, resources=[resource]))
