"""Requests to S3 are signed as AWS's own library signs them, and made again when an answer is lost."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from unittest.mock import patch
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from tests.workstation.commands import Commands
from workstation import s3
from workstation.machine import Problem

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


class Answers(BaseHTTPRequestHandler):
    """A service in trouble: each answer is (status, length that it promises, what it sends)."""

    left: ClassVar[list[tuple[int, int, bytes]]] = []

    def do_GET(self) -> None:
        status, length, body = self.left.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def answers(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Answers]]:
    commands.add("aws", """echo '{"AccessKeyId": "any", "SecretAccessKey": "any"}'""")
    monkeypatch.setattr("time.sleep", lambda _: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        monkeypatch.setattr(s3, "ENDPOINT", f"http://127.0.0.1:{server.server_port}/{{bucket}}")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Answers
        server.shutdown()


def test_an_answer_that_is_lost_or_ends_early_is_asked_for_again(answers: type[Answers], tmp_path: Path) -> None:
    answers.left = [(503, 0, b""), (200, 10, b"01234"), (200, 10, b"0123456789")]
    s3.S3("eu-west-1").download([("s3://any/key", "key")], tmp_path / "images")
    assert {path.name: path.read_bytes() for path in (tmp_path / "images").iterdir()} == {"key": b"0123456789"}


def test_a_service_that_stays_in_trouble_ends_with_one_sentence(answers: type[Answers]) -> None:
    answers.left = [(503, 0, b"")] * s3.ATTEMPTS
    with pytest.raises(Problem, match="s3://any/key cannot be read: HTTP Error 503"):
        s3.S3("eu-west-1").read("s3://any/key")


def test_what_the_role_may_not_read_is_not_asked_for_again(answers: type[Answers]) -> None:
    answers.left = [(403, 0, b"")]
    with pytest.raises(Problem, match="the machine's role may not read it"):
        s3.S3("eu-west-1").read("s3://any/key")


@pytest.mark.parametrize("names", [["a/b", "a"], ["x" * 300]])
def test_a_key_that_no_file_can_have_is_named(names: list[str], answers: type[Answers], tmp_path: Path) -> None:
    answers.left = [(200, 1, b"1")] * len(names)
    with pytest.raises(Problem, match=r"s3://bucket/.* cannot be a file here: (Is a directory|File name too long)"):
        s3.S3("us-east-1").download([(f"s3://bucket/{name}", name) for name in names], tmp_path)
