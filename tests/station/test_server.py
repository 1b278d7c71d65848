"""What the page's server answers, and to whom."""

import http.client
import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from tests.station.batches import Publish, Published, Serve, Serving

JSON: Final = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def batch(untouched: tuple[Published, Published, Serve]) -> Published:
    return untouched[0]


@pytest.fixture(scope="module")
def serving(untouched: tuple[Published, Published, Serve]) -> Serving:
    return untouched[2](untouched[0])


@pytest.fixture(scope="module")
def boxes(untouched: tuple[Published, Published, Serve]) -> Serving:
    return untouched[2](untouched[1])


def ask(
    serving: Serving, path: str, *, given: Any = None, headers: Mapping[str, str] = {}, secret: str | None = None
) -> tuple[int, Mapping[str, str], bytes]:
    """The status, headers and body of a request; a POST where something is given."""
    connection = http.client.HTTPConnection("127.0.0.1", serving.server.server_port, timeout=10)
    try:
        body = None if given is None else json.dumps(given)
        path = f"/{serving.server.secret if secret is None else secret}/{path}"
        connection.request("POST" if body else "GET", path, body, {**(JSON if body else {}), **headers})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_it_listens_on_the_loopback_interface_alone(serving: Serving) -> None:
    assert serving.server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("path", ["", "page.js", "state", "images/0/0"])
def test_every_answer_forbids_what_the_page_does_not_need(serving: Serving, path: str) -> None:
    status, headers, _ = ask(serving, path)
    assert status == 200
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; ")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1.evil.example:{port}", ""]
)
def test_a_name_that_resolves_to_this_machine_does_not_lead_to_the_page(serving: Serving, host: str) -> None:
    host = host.format(port=serving.server.server_port)
    status, _, body = ask(serving, "state", headers={"Host": host})
    assert status == 421
    assert b"ana" not in body


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_loopback_interface_leads_to_the_page(serving: Serving, host: str) -> None:
    assert ask(serving, "state", headers={"Host": f"{host}:{serving.server.server_port}"})[0] == 200


@pytest.mark.parametrize("secret", ["", "x", "%C3%A9", "../..", "x" * 43])
def test_who_does_not_know_the_address_gets_nothing(serving: Serving, secret: str) -> None:
    assert ask(serving, "state", secret=secret)[0] == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Length": str(2**21)}, 413),
        ({"Content-Length": "-1"}, 413),
    ],
)
def test_other_pages_cannot_answer(serving: Serving, batch: Published, headers: Mapping[str, str], status: int) -> None:
    given = {"ref": [0, 0], "answer": "crab", "accepted": 0, "submitted": 1, "seconds": 1}
    assert ask(serving, "answer", given=given, headers=headers)[0] == status
    assert batch.answers() == []


@pytest.mark.parametrize(
    "path",
    [
        "images/0/2",
        "images/1/0",
        "images/0/-1",
        "images/0/0/..",
        "images/../images/0/0",
        "images/upload/x.png",
        "../state",
        "index.html",
        "%2e%2e/state",
        "page.py",
    ],
)
def test_there_is_nothing_but_the_page_and_the_images_of_the_batch(serving: Serving, path: str) -> None:
    assert ask(serving, path)[0] == 404


def test_a_manifest_leads_to_no_other_bucket(publish: Publish, serve: Serve) -> None:
    elsewhere = ["s3://elsewhere/secret.png", "https://example.com/x.png", 7, None]
    lines = {number: {"source-ref": source} for number, source in enumerate(elsewhere)}
    serving = serve(publish(len(elsewhere), votes=2, lines=lines))
    for number in range(len(elsewhere)):
        status, _, body = ask(serving, f"images/0/{number}")
        assert status == 410
        assert json.loads(body) == {"error": "its line in the tasks manifest names no image of this bucket"}


BOX: Final = {"label": "crab", "left": 0, "top": 0, "width": 64, "height": 48}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "crab",
        [{**BOX, "label": "whale"}],
        [{**BOX, "label": None}],
        [{**BOX, "left": -1}],
        [{**BOX, "left": 1}],
        [{**BOX, "height": 49}],
        [{**BOX, "width": 0}],
        [{**BOX, "top": 0.5}],
        [{**BOX, "top": True}],
        [{"label": "crab"}],
        ["box"],
        [BOX] * 1001,
    ],
)
def test_boxes_that_are_none_are_refused(
    boxes: Serving, untouched: tuple[Published, Published, Serve], answer: object
) -> None:
    given = {"ref": [0, 0], "answer": answer, "accepted": 0, "submitted": 1, "seconds": 1}
    assert ask(boxes, "answer", given=given)[0] == 422
    assert untouched[1].answers() == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"answer": "whale"}, 422),
        ({"answer": ["crab"]}, 422),
        ({"seconds": -1}, 422),
        ({"seconds": "nan"}, 422),
        ({"submitted": "now"}, 422),
        ({"accepted": 1e30}, 422),
        ({"ref": [0, 2]}, 404),
        ({"ref": "0/0"}, 404),
    ],
)
def test_answers_that_are_none_are_refused(
    serving: Serving, batch: Published, change: Mapping[str, object], status: int
) -> None:
    given = {"ref": [0, 0], "answer": "crab", "accepted": 0, "submitted": 1, "seconds": 1}
    assert ask(serving, "answer", given={**given, **change})[0] == status
    assert batch.answers() == []


def test_an_answer_of_the_page_is_taken(publish: Publish, serve: Serve) -> None:
    batch = publish(1, votes=2)
    given = {"ref": [0, 0], "answer": "crab", "accepted": 0, "submitted": 1, "seconds": 1}
    assert ask(serve(batch), "answer", given=given)[0] == 200
    assert batch.labels() == {0: ["crab"]}
