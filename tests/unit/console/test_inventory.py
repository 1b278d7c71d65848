"""The demo's last look: whatever was not there before it is left over."""

from console.demo import inventory
from offline.account import Account


def test_what_was_made_in_between_is_left_over(account: Account) -> None:
    before = inventory.take(account.client)
    account.client("s3").create_bucket(Bucket="forgotten")
    account.client("iot").create_thing(thingName="buoy")
    account.client("logs").create_log_group(logGroupName="/aws/codebuild/images")
    assert inventory.leftovers(before, inventory.take(account.client)) == [
        "S3 bucket forgotten",
        "log group /aws/codebuild/images",
        "thing buoy",
    ]


def test_what_is_gone_is_no_leftover() -> None:
    assert inventory.leftovers({"S3 bucket": frozenset({"gone", "kept"})}, {"S3 bucket": frozenset({"kept"})}) == []
