"""The demo's last look: whatever was not there before it is left over."""

from console.demo import inventory
from offline.account import Account


def test_what_was_made_in_between_is_left_over(account: Account) -> None:
    before = inventory.take(account.client)
    account.client("s3").create_bucket(Bucket="forgotten")
    account.client("iot").create_thing(thingName="buoy")
    account.client("logs").create_log_group(logGroupName="/aws/codebuild/images")
    after = inventory.take(account.client)
    assert inventory.leftovers(before, after) == [
        "S3 bucket forgotten",
        "log group /aws/codebuild/images",
        "thing buoy",
    ]
    assert inventory.leftovers(before, before) == []


def test_what_is_gone_is_no_leftover(account: Account) -> None:
    account.client("s3").create_bucket(Bucket="gone")
    before = inventory.take(account.client)
    account.client("s3").delete_bucket(Bucket="gone")
    assert inventory.leftovers(before, inventory.take(account.client)) == []
