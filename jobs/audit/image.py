"""An image as the audit sees it: its files by name, the content of a few of them, and what its configuration says."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

# What Docker gives an image that sets none.
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LINKS: Final = 40  # as many as Linux follows: https://man7.org/linux/man-pages/man7/path_resolution.7.html


class NotAuditable(Exception):
    """What was given is no root file system and no image that can be read; the message says why."""


class Entry(NamedTuple):
    """A file or a symbolic link. `content` is what the checks asked for: small files as bytes, databases as a copy."""

    size: int
    executable: bool = False
    target: str = ""
    content: bytes | Path | None = None
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    """What `docker inspect` says of an image."""

    architecture: str = ""
    system: str = ""
    user: str = ""
    workdir: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    volumes: Sequence[str] = ()
    history: Sequence[str] = ()
    layers: Sequence[str] = ()
    """The digests of the uncompressed layers, lowest first."""

    @classmethod
    def parse(cls, document: Any) -> Self:
        """Read an OCI image configuration, or what `docker inspect` prints of an image.

        https://github.com/opencontainers/image-spec/blob/main/config.md

        Raises:
            NotAuditable: it is neither.
        """
        if isinstance(document, list) and len(document) == 1:
            document = document[0]
        if not isinstance(document, dict) or not ({"config", "Config"} & document.keys()):
            raise NotAuditable("the image's configuration has no Config: give what `docker image inspect` prints")
        config = document.get("config") or document.get("Config") or {}
        rootfs = document.get("rootfs") or document.get("RootFS") or {}
        return cls(
            architecture=document.get("architecture") or document.get("Architecture") or "",
            system=document.get("os") or document.get("Os") or "",
            user=config.get("User") or "",
            workdir=config.get("WorkingDir") or "/",
            environment=dict(pair.partition("=")[::2] for pair in config.get("Env") or ()),
            entrypoint=tuple(config.get("Entrypoint") or ()),
            command=tuple(config.get("Cmd") or ()),
            volumes=tuple(config.get("Volumes") or ()),
            history=tuple(step.get("created_by", "") for step in document.get("history") or ()),
            layers=tuple(rootfs.get("diff_ids") or rootfs.get("Layers") or ()),
        )


@dataclass
class Image:
    """Paths are relative to the image's root. `config` is None for a folder that nothing describes.

    `buried` are secrets (place, what) of files that a later layer hides: whoever pulls the image gets them still.
    """

    entries: dict[str, Entry]
    config: Config | None = None
    buried: list[tuple[str, str]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def entry(self, path: str) -> Entry | None:
        """The file at a path, symbolic links followed, those of the folders on the way too."""
        done: list[str] = []
        ahead = [part for part in reversed(path.split("/")) if part]
        for _ in range(_LINKS * 16):
            if not ahead:
                return self.entries.get("/".join(done))
            part = ahead.pop()
            if part == "..":
                done = done[:-1]
                continue
            here = self.entries.get("/".join((*done, part)))
            if here is None or not here.target:
                done.append(part)
                continue
            if here.target.startswith("/"):
                done = []
            ahead += [piece for piece in reversed(here.target.split("/")) if piece not in ("", ".")]
        return None

    def program(self, name: str) -> tuple[str, Entry] | None:
        """Where a program is: at its path, in the working directory, or in the first folder of PATH that has it."""
        config = self.config or Config()
        folders = config.environment.get("PATH", _PATH).split(":") if "/" not in name else ()
        for place in (posixpath.join(folder, name) for folder in (config.workdir, *folders)):
            if found := self.entry(place):
                return place, found
        return None

    def contents(self, folder: str) -> Iterator[tuple[str, bytes]]:
        """The files below a folder whose content was kept."""
        for path, entry in self.entries.items():
            if path.startswith(folder) and isinstance(entry.content, bytes):
                yield path, entry.content
