"""Requests to S3 are signed as AWS's own library signs them."""

from datetime import UTC, datetime
from unittest.mock import patch
from urllib.parse import quote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from workstation import s3

NOW = datetime(2026, 11, 22, 8, 9, 10, tzinfo=UTC)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), st.booleans())
def test_the_signature_of_any_key_is_that_of_botocore(key: str, temporary: bool) -> None:
    url = f"https://any-bucket.s3.eu-west-1.amazonaws.com/{quote(key, safe='/~')}"
    keys = {"AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "a/secret", "SessionToken": "a+token" if temporary else ""}
    request = AWSRequest("GET", url)
    with patch("botocore.auth.get_current_datetime", return_value=NOW):
        S3SigV4Auth(Credentials(*keys.values()), "s3", "eu-west-1").add_auth(request)
    ours = s3.signed(url, "eu-west-1", keys, now=NOW)
    assert ours["authorization"] == request.headers["Authorization"]
