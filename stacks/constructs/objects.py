from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3


def grant_objects(
    grantee: iam.IGrantable,
    bucket: s3.IBucket,
    *,
    read: Sequence[str] = (),
    write: Sequence[str] = (),
    delete: Sequence[str] = (),
) -> None:
    """Let a role list the bucket, and read, write or delete the objects of these patterns ("models/*") only.

    Bucket.grant_read and grant_put give whole families of actions (s3:GetObject*, s3:List*) where these few do.
    """
    principal = grantee.grant_principal

    def allow(actions: list[str], *resources: str) -> None:
        if resources:
            principal.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=list(resources)))

    def objects(patterns: Sequence[str]) -> list[str]:
        return [bucket.arn_for_objects(pattern) for pattern in patterns]

    # Without ListBucket a missing object answers 403 in place of 404.
    allow(["s3:ListBucket", "s3:GetBucketLocation"], bucket.bucket_arn)
    allow(["s3:GetObject"], *objects(read))
    allow(["s3:PutObject", "s3:AbortMultipartUpload"], *objects(write))
    allow(["s3:DeleteObject"], *objects(delete))
