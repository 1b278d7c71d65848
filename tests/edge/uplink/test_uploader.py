"""Frames on their way to S3: which goes, what an error means for it and for the others, and what it costs."""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
from classifier import spool as spools
from classifier.budget import Budget
from classifier.clock import ManualClock
from classifier.spool import Upload
from classifier.uplink.uploader import (
    ASIDE_SECONDS,
    CONNECT_BYTES,
    DENIED_SECONDS,
    LAST_RETRY_SECONDS,
    METADATA_CHARACTERS,
    OVERHEAD_BYTES,
    Bucket,
    Fault,
    NotUploaded,
    Uploader,
    ascii_only,
    room,
)

from offline.broker import Broker, Link
from offline.device.credentials import Credentials
from offline.device.token_exchange import TokenExchange
from offline.device.tokens import Tokens
from offline.state import State

BOOT = "1800000000000-00000001"
JPEG = b"\xff\xd8 a frame"


class Store:
    """Takes what it is given, unless `fault` says otherwise of a key."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.tried: list[str] = []
        self.fault: Callable[[str], Fault | None] = lambda _: None

    def put(self, key: str, content: bytes, metadata: Mapping[str, str]) -> None:
        self.tried.append(key)
        if fault := self.fault(key):
            raise NotUploaded(fault, "because")
        self.objects[key] = (content, dict(metadata))


class Rig:
    def __init__(self, folder: Path) -> None:
        self.clock, self.store = ManualClock(), Store()
        self.spool = spools.open(folder, clock=self.clock, boot=BOOT, max_bytes=1 << 24)
        self.budget = Budget(self.spool, self.clock, per_hour=1_000_000, per_day=10_000_000)
        self.uploader = Uploader(self.store.put, self.spool, self.budget, self.clock)

    def add(self, key: str, *, value: float = 1.0, size: int = 100) -> None:
        self.spool.add([Upload(key, b"x" * size, {"reason": "uncertain"}, value)])

    def run(self, seconds: float) -> None:
        until = self.clock.elapsed() + seconds
        while self.clock.elapsed() < until:
            self.clock.advance(min(self.uploader.step(), until - self.clock.elapsed()))

    @property
    def waiting(self) -> int:
        return self.spool.depth().frames


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.spool.close()


# ---- Which goes, and when -------------------------------------------------------------------------------------------


def test_a_frame_leaves_the_spool_once_the_bucket_has_it(rig: Rig) -> None:
    rig.add("images/edge/reef-1/a.jpg")
    rig.uploader.step()
    assert rig.store.objects == {"images/edge/reef-1/a.jpg": (b"x" * 100, {"reason": "uncertain"})}
    assert (rig.waiting, rig.uploader.uploaded) == (0, 1)


def test_what_is_worth_most_goes_first(rig: Rig) -> None:
    for key, value in (("b", 1.0), ("c", 0.5), ("a", 2.0)):
        rig.add(key, value=value)
    rig.run(1.0)
    assert rig.store.tried == ["a", "b", "c"]


@pytest.mark.parametrize("fault", [Fault.OFFLINE, Fault.LOST, Fault.BUSY, Fault.EXPIRED])
def test_after_a_failure_the_link_gets_a_growing_rest_and_nothing_is_lost(rig: Rig, fault: Fault) -> None:
    rig.store.fault = lambda _: fault
    rig.add("a")
    rig.run(3600.0)
    assert 12 <= len(rig.store.tried) <= 40
    assert fault.value in rig.uploader.trouble
    rig.store.fault = lambda _: None
    rig.run(LAST_RETRY_SECONDS)
    assert (rig.waiting, rig.uploader.trouble) == (0, "")


def test_what_only_a_person_can_mend_is_said_and_tried_four_times_an_hour(rig: Rig) -> None:
    rig.store.fault = lambda _: Fault.DENIED
    rig.add("a")
    rig.run(3600.0)
    assert len(rig.store.tried) == 4
    assert "S3 takes nothing from this device: because" in rig.uploader.trouble
    rig.store.fault = lambda _: None
    rig.run(DENIED_SECONDS + 1)
    assert rig.waiting == 0


def test_a_frame_that_s3_refuses_for_itself_holds_up_no_other_and_is_tried_again_another_day(rig: Rig) -> None:
    rig.store.fault = lambda key: Fault.REFUSED if key == "bad" else None
    rig.add("bad", value=9.0)
    rig.add("good")
    rig.run(10.0)
    assert list(rig.store.objects) == ["good"]
    assert rig.waiting == 1
    rig.run(600.0)
    assert rig.store.tried.count("bad") == 1
    rig.clock.advance(ASIDE_SECONDS)
    rig.store.fault = lambda _: None
    rig.run(10.0)
    assert rig.waiting == 0


# ---- The budget -----------------------------------------------------------------------------------------------------


def test_every_attempt_is_paid_for(rig: Rig) -> None:
    rig.store.fault = lambda _: Fault.LOST
    rig.add("a", size=10_000)
    rig.run(60.0)
    attempts = len(rig.store.tried)
    assert attempts > 2
    assert rig.budget.used()[0] == attempts * (10_500 + OVERHEAD_BYTES)


def test_a_day_without_a_link_leaves_the_budget_to_the_day_after(rig: Rig) -> None:
    rig.store.fault = lambda _: Fault.OFFLINE
    rig.add("a", size=60_000)
    rig.run(86_400.0)
    assert rig.budget.used()[1] == len(rig.store.tried) * CONNECT_BYTES
    rig.store.fault = lambda _: None
    rig.run(LAST_RETRY_SECONDS)
    assert rig.waiting == 0


def test_a_frame_waits_for_the_budget_and_then_goes(rig: Rig) -> None:
    assert rig.budget.spend("frame", 590_000)
    rig.add("a", size=10_000)
    rig.run(1800.0)
    assert rig.store.tried == []
    rig.run(1900.0)
    assert rig.waiting == 0


def test_a_frame_that_could_never_be_paid_for_is_given_up_counted_and_told(rig: Rig) -> None:
    rig.add("huge", value=9.0, size=700_000)
    assert rig.uploader.step() == 0
    assert re.search(r"700000 bytes is lost.* 743192, and bytes_per_hour and .* at most 600000", rig.uploader.trouble)
    rig.add("small")
    rig.run(2.0)
    assert rig.store.tried == ["small"]
    assert rig.spool.evicted["frame"] == 1
    assert rig.waiting == 0


@pytest.mark.parametrize(("per_hour", "per_day"), [(1_000_000, 10_000_000), (50_000, 50_000), (10**9, 100_000)])
def test_a_frame_that_has_room_leaves_beside_the_messages_of_the_hour(rig: Rig, per_hour: int, per_day: int) -> None:
    rig.budget.configure(per_hour=per_hour, per_day=per_day)
    assert rig.budget.spend("health", min(per_hour, per_day) // 5)
    rig.add("a", size=room(per_hour=per_hour, per_day=per_day))
    rig.uploader.step()
    assert list(rig.store.objects) == ["a"]


def test_where_the_budget_is_too_small_for_any_frame_there_is_no_room() -> None:
    assert room(per_hour=10_000, per_day=10_000) == 0


# ---- S3 -------------------------------------------------------------------------------------------------------------


class S3:
    """A bucket on a loopback port that answers each request with the next of `answers`: (status, code), None: mute."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, str] | None] = []
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.over = threading.Event()


@contextmanager
def serving(s3: S3) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            s3.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            answer = s3.answers.pop(0) if s3.answers else (200, "")
            if answer is None:
                s3.over.wait(10.0)
                self.close_connection = True
                return
            status, code = answer
            content = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode() if code else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        s3.over.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    s3 = S3()
    with serving(s3) as url:
        for name, value in {
            "AWS_ENDPOINT_URL_S3": url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        yield s3


def test_an_object_arrives_with_its_type_and_metadata(s3: S3) -> None:
    metadata = {"reason": "uncertain", "label": "Poisson-clown à trois bandes", "of": "12"}
    Bucket("data").put("images/edge/reef-1/0a1b.jpg", JPEG, metadata)
    path, headers, body = s3.requests[0]
    assert (path, body) == ("/data/images/edge/reef-1/0a1b.jpg", JPEG)
    assert headers["content-type"] == "image/jpeg"
    assert {name: unquote(headers[f"x-amz-meta-{name}"]) for name in metadata} == metadata


@pytest.mark.parametrize(
    ("status", "code", "fault"),
    [
        (503, "SlowDown", Fault.BUSY),
        (500, "InternalError", Fault.BUSY),
        (502, "", Fault.BUSY),
        (400, "RequestTimeout", Fault.BUSY),
        (400, "ExpiredToken", Fault.EXPIRED),
        (403, "InvalidAccessKeyId", Fault.EXPIRED),
        (403, "AccessDenied", Fault.DENIED),
        (404, "NoSuchBucket", Fault.DENIED),
        (403, "RequestTimeTooSkewed", Fault.DENIED),
        (400, "AuthorizationHeaderMalformed", Fault.DENIED),
        (418, "WhoKnows", Fault.DENIED),
        (400, "EntityTooLarge", Fault.REFUSED),
        (400, "InvalidRequest", Fault.REFUSED),
        (400, "MetadataTooLarge", Fault.REFUSED),
    ],
)
def test_what_an_answer_of_s3_means(s3: S3, status: int, code: str, fault: Fault) -> None:
    s3.answers = [(status, code)]
    bucket = Bucket("data")
    with pytest.raises(NotUploaded, match=code or str(status)) as refused:
        bucket.put("a.jpg", JPEG, {})
    assert refused.value.fault is fault
    bucket.put("a.jpg", JPEG, {})
    assert len(s3.requests) == 2  # and none more: whoever asks for another attempt pays for it


def test_a_bucket_that_does_not_answer_is_given_up_in_time(s3: S3) -> None:
    s3.answers = [None]
    started = time.monotonic()
    with pytest.raises(NotUploaded) as mute:
        Bucket("data", read_seconds=0.05).put("a.jpg", JPEG, {})
    assert mute.value.fault is Fault.LOST
    assert time.monotonic() - started < 60


def test_where_nobody_listens_the_device_is_offline(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(NotUploaded) as refused:
        Bucket("data").put("a.jpg", JPEG, {})
    assert refused.value.fault is Fault.OFFLINE


def test_credentials_come_from_the_token_exchange_service_as_soon_as_it_has_some(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0.0)
    given: list[str] = []

    def exchange() -> Credentials:
        given.append(f"key{len(given)}")
        return Credentials(given[-1], "secret", "token", datetime.now(UTC) + timedelta(hours=1))

    tokens, link = Tokens(), Link(Broker(State(tmp_path)), "reef-1")
    service = TokenExchange(exchange, tokens=tokens, link=link)
    service.start()
    for name, value in service.variables("reefloop.Classifier").items():
        monkeypatch.setenv(name, value)
    bucket = Bucket("data")
    link.cut()
    with pytest.raises(NotUploaded) as offline:
        bucket.put("a.jpg", JPEG, {})
    assert offline.value.fault is Fault.OFFLINE
    link.restore()
    s3.answers = [(200, ""), (400, "ExpiredToken")]
    bucket.put("a.jpg", JPEG, {})
    with pytest.raises(NotUploaded):
        bucket.put("b.jpg", JPEG, {})
    bucket.put("b.jpg", JPEG, {})
    service.stop()
    keys = [headers["authorization"].split("Credential=")[1].split("/")[0] for _, headers, _ in s3.requests]
    assert keys == ["key0", "key0", "key1"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "crab",
        "100 %",
        "Poisson-clown à trois bandes",
        "蟹",
        "a\r\nx-amz-acl: public-read",
        "\x00\x7f",
        "é" * 500,
        "\ud800",
    ],
)
def test_any_text_is_safe_in_a_header_and_can_be_read_back(text: str) -> None:
    encoded = ascii_only(text)
    assert encoded.isascii()
    assert encoded.isprintable()
    assert len(encoded) <= METADATA_CHARACTERS
    assert text.replace("\ud800", "?").startswith(unquote(encoded, errors="strict"))
