from aws_cdk import Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, finding: str, reason: str) -> None:
    """Accept one cdk-nag finding on one construct and what is inside it, with the reason for it.

    `finding` is exact, such as "AwsSolutions-IAM5[Resource::*]": a rule with several findings needs each accepted.
    Written as node metadata since Validations.acknowledge takes ids with "::" for something else:
    https://github.com/cdklabs/cdk-nag/issues/2351
    """
    construct.node.add_metadata(Validations.ACKNOWLEDGED_RULES_METADATA_KEY, {finding: reason})
