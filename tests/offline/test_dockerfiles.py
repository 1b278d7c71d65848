"""Dockerfiles as the offline account reads them: every line is understood or refused."""

import pytest

from offline.runners.images import Dockerfile, DockerfileError
from tests.offline.test_build import FILES


def test_arguments_are_known_where_docker_knows_them() -> None:
    text = (
        "ARG BASE=a:1\nFROM ${BASE} AS base\nARG BASE\nARG REVISION=unknown\nENV ONE=${BASE} TWO=$REVISION\n"
        'ENV THREE="$ONE $OTHER"\nLABEL base=$BASE\nENTRYPOINT ["python"]\n'
    )

    plain, given = Dockerfile.parse(text), Dockerfile.parse(text, {"BASE": "b:2", "REVISION": "3"})

    assert (plain.base, plain.environment) == ("a:1", {"ONE": "a:1", "TWO": "unknown", "THREE": "a:1 "})
    assert (given.base, given.environment["THREE"], given.labels) == ("b:2", "b:2 ", {"base": "b:2"})
    assert given.environment["TWO"] == "3"


def test_an_image_remembers_its_words() -> None:
    image = Dockerfile.parse(FILES["Dockerfile"])

    assert image.entrypoint == ["python", "-m", "jobs"]
    assert image.workdir == "/opt/reefloop"
    assert image.environment == {"PYTHONUNBUFFERED": "1", "GREETING": "hello reef"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ENTRYPOINT python -m jobs", "write the exec form"),
        ("COPY --chown=user . /opt", "without options"),
        ("ENV NAME value", "write ENV NAME=value"),
        ("ENV NAME=${OTHER:-1}", "write \\$NAME or \\${NAME}"),
        ("FROM python:3.13", "write one FROM"),
        ("ADD https://example.com/a.tar /opt", "ADD is not known here"),
    ],
)
def test_a_line_that_would_be_lost_in_silence_is_refused(line: str, said: str) -> None:
    with pytest.raises(DockerfileError, match=said):
        Dockerfile.parse(f"FROM scratch\n{line}\n")


def test_a_dockerfile_without_an_entry_point_is_refused() -> None:
    with pytest.raises(DockerfileError, match="no ENTRYPOINT"):
        Dockerfile.parse("FROM scratch\nCOPY . /opt\n")
