"""Container images of the account: a folder with the files that the Dockerfile copied and what it says about them."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from offline.runners import JobFailed

# Known and not executed: the laptop's Python with the project's packages stands in for the base image.
_SKIPPED = ("FROM", "ARG", "LABEL", "RUN", "USER", "SHELL")


class DockerfileError(Exception):
    """A Dockerfile that this account cannot build; the message names the line."""


@dataclass
class Image:
    """What a Dockerfile says: copies as (source in the build context, destination), the rest as Docker names it."""

    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    copies: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def parse(cls, dockerfile: str) -> "Image":
        """Read a Dockerfile.

        Raises:
            DockerfileError: an instruction, or a form of it, that would be lost in silence.
        """
        image = cls()
        for number, line in _lines(dockerfile):
            instruction, _, rest = line.partition(" ")
            try:
                image._take(instruction.upper(), rest.strip())
            except ValueError as error:
                raise DockerfileError(f"Dockerfile line {number}: {error}") from None
        if not image.entrypoint:
            raise DockerfileError("the Dockerfile has no ENTRYPOINT: a job would not know what to run")
        return image

    def _take(self, instruction: str, rest: str) -> None:
        if instruction in _SKIPPED:
            return
        if instruction == "ENV":
            if "=" not in rest.split(" ")[0]:
                raise ValueError(f"ENV {rest}: write ENV NAME=value")
            self.environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif instruction == "WORKDIR":
            self.workdir = _joined(self.workdir, rest)
        elif instruction == "COPY":
            *sources, target = shlex.split(rest)
            if not sources or any(part.startswith("--") for part in sources):
                raise ValueError(f"COPY {rest}: write COPY source... destination, without options")
            self.copies += [(source, _joined(self.workdir, target)) for source in sources]
        elif instruction in ("ENTRYPOINT", "CMD"):
            setattr(self, {"ENTRYPOINT": "entrypoint", "CMD": "command"}[instruction], _exec_form(instruction, rest))
        else:
            raise ValueError(
                f"{instruction} is not known here; known are {' '.join(_SKIPPED)} ENV WORKDIR COPY CMD ENTRYPOINT"
            )

    def save(self, folder: Path) -> None:
        (folder / "image.json").write_text(json.dumps(asdict(self), indent=2))


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
