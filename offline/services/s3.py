"""S3 where moto's differs: a bucket policy that denies what came without TLS does not deny everything."""

import json
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket, s3_backends

from offline.state import State


def install(state: State) -> None:  # noqa: ARG001
    """Judge bucket policies without the statements that carry a condition."""
    FakeBucket.get_permission = _permission
    # moto's reset forgets the buckets of an earlier account, but not that their names are taken.
    s3_backends.bucket_accounts.clear()


def _permission(bucket: Any, action: str, resource: str) -> Any:
    """What the unconditional statements say of this action.

    moto evaluates no conditions and takes a conditional denial for a plain one. The conditions in use here
    (aws:SecureTransport) describe the connection, and one inside the laptop counts as secure.
    """
    if bucket.policy is None:
        return PermissionResult.NEUTRAL
    policy = json.loads(bucket.policy)
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    plain = [statement for statement in statements if not statement.get("Condition")]
    return IAMPolicy(json.dumps({**policy, "Statement": plain})).is_action_permitted(action, resource)
