"""Dockerfiles, and the images of the account: a folder with the files that were copied and the words about them."""

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from offline.runners import JobFailed

# Known and not executed: the laptop's Python with the project's packages stands in for what they install.
_SKIPPED: Final = ("RUN", "USER", "SHELL")
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))|\$\{")


class DockerfileError(Exception):
    """A Dockerfile that this account cannot build; the message names the line."""


@dataclass
class Dockerfile:
    """What a Dockerfile says: copies as (source in the build context, destination), the rest as Docker names it."""

    arguments: Mapping[str, str] = field(default_factory=dict)
    """What the build was given; a default of the Dockerfile's own applies where it was given nothing."""
    base: str = ""
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    copies: list[tuple[str, str]] = field(default_factory=list)
    _before: dict[str, str] = field(default_factory=dict)
    """Arguments before FROM, which are not known after it until they are named again."""
    _known: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, arguments: Mapping[str, str] | None = None) -> "Dockerfile":
        """Read a Dockerfile.

        Raises:
            DockerfileError: an instruction, or a form of it, that would be lost in silence.
        """
        dockerfile = cls(dict(arguments or {}))
        for number, line in _lines(text):
            instruction, _, rest = line.partition(" ")
            try:
                dockerfile._take(instruction.upper(), rest.strip())
            except ValueError as error:
                raise DockerfileError(f"Dockerfile line {number}: {error}") from None
        if not dockerfile.entrypoint:
            raise DockerfileError("the Dockerfile has no ENTRYPOINT: a job would not know what to run")
        if unused := arguments and arguments.keys() - dockerfile._before.keys() - dockerfile._known.keys():
            raise DockerfileError(f"no ARG takes the build arguments {sorted(unused)}")
        return dockerfile

    def _take(self, instruction: str, rest: str) -> None:
        if instruction in _SKIPPED:
            return
        if instruction not in _INSTRUCTIONS:
            raise ValueError(f"{instruction} is not known here; known are {' '.join((*_INSTRUCTIONS, *_SKIPPED))}")
        _INSTRUCTIONS[instruction](self, rest)

    def _from(self, rest: str) -> None:
        reference, *others = shlex.split(self._filled(rest, self._before))
        if self.base or (others and others[0].upper() != "AS"):
            raise ValueError(f"FROM {rest}: write one FROM, and no options")
        self.base = reference

    def _argument(self, rest: str) -> None:
        name, given, default = rest.partition("=")
        known = self._known if self.base else self._before
        value = self.arguments.get(name, shlex.split(default or "''")[0] if given else self._before.get(name, ""))
        known[name] = self._filled(value, known)

    def _env(self, rest: str) -> None:
        self.environment |= self._pairs("ENV", rest)

    def _label(self, rest: str) -> None:
        self.labels |= self._pairs("LABEL", rest)

    def _pairs(self, instruction: str, rest: str) -> dict[str, str]:
        if "=" not in rest.split(" ")[0]:
            raise ValueError(f"{instruction} {rest}: write {instruction} NAME=value")
        values = self._known | self.environment
        return {
            name: self._filled(value, values) for name, _, value in (one.partition("=") for one in shlex.split(rest))
        }

    def _workdir(self, rest: str) -> None:
        self.workdir = _joined(self.workdir, rest)

    def _copy(self, rest: str) -> None:
        *sources, target = shlex.split(rest)
        if not sources or any(part.startswith("--") for part in sources):
            raise ValueError(f"COPY {rest}: write COPY source... destination, without options")
        self.copies += [(source, _joined(self.workdir, target)) for source in sources]

    def _entrypoint(self, rest: str) -> None:
        self.entrypoint = _exec_form("ENTRYPOINT", rest)

    def _command(self, rest: str) -> None:
        self.command = _exec_form("CMD", rest)

    def _filled(self, text: str, values: Mapping[str, str]) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            if name is None:
                raise ValueError(f"{text}: write $NAME or ${{NAME}}; other forms are not known here")
            return values.get(name, "")

        return _VARIABLE.sub(value, text)


_INSTRUCTIONS: Final[Mapping[str, Callable[[Dockerfile, str], None]]] = {
    "FROM": Dockerfile._from,
    "ARG": Dockerfile._argument,
    "ENV": Dockerfile._env,
    "LABEL": Dockerfile._label,
    "WORKDIR": Dockerfile._workdir,
    "COPY": Dockerfile._copy,
    "ENTRYPOINT": Dockerfile._entrypoint,
    "CMD": Dockerfile._command,
}


def _lines(dockerfile: str) -> list[tuple[int, str]]:
    """(number, text) of each instruction, continued lines joined."""
    found: list[tuple[int, str]] = []
    going_on = False
    for number, raw in enumerate(dockerfile.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if going_on:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.removesuffix(chr(92)).strip()}")
        else:
            found.append((number, line.removesuffix("\\").strip()))
        going_on = line.endswith("\\")
    return found


def _joined(base: str, path: str) -> str:
    ends = "/" if path.endswith("/") else ""
    return str(Path(base, path)) + (ends if path != "/" else "")


def _exec_form(instruction: str, rest: str) -> list[str]:
    try:
        words = json.loads(rest)
    except ValueError:
        words = None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(
            f'{instruction} {rest}: write the exec form, {instruction} ["python", ...]; a shell would keep SIGTERM '
            "from the process"
        )
    return words


def folder_of(images: Path, uri: str) -> tuple[Path, str, str]:
    """Folder, repository and tag of an image URI like 123456789012.dkr.ecr.us-east-1.amazonaws.com/name:tag."""
    repository, _, tag = uri.partition("/")[2].rpartition(":")
    if not repository or not tag or "@" in uri:
        raise JobFailed(f"ClientError: {uri!r} is not an image with a tag in this account's registry")
    return images / repository / tag, repository, tag


def pull(images: Path, uri: str, ecr: Any) -> tuple[Mapping[str, Any], Path]:
    """What image.json says of a built image and the folder of its files.

    Raises:
        JobFailed: the registry does not have it, or it was pushed there by other means than a build of this account.
    """
    folder, repository, tag = folder_of(images, uri)
    try:
        found = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}])["images"]
        reason = "" if found else "Requested image not found"
    except ClientError as error:
        reason = error.response["Error"]["Message"]
    if reason:
        raise JobFailed(f"ClientError: Cannot pull the image {uri}: {reason}")
    if not (folder / "image.json").exists():
        raise JobFailed(f"ClientError: Cannot run the image {uri}: no build of this account made it")
    return json.loads((folder / "image.json").read_text()), folder / "rootfs"
