"""Images that a build made: what their configuration says, their layers, and how a registry and jobs get them."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from offline.runners.images import Dockerfile
from offline.runners.layers import CommandError

MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"


@dataclass(frozen=True)
class Built:
    """An image: its configuration, its layers as tars, lowest first, and where the files of the topmost ones lie."""

    config: Mapping[str, Any]
    layers: Sequence[bytes]
    digest: str = ""
    """What a registry calls it, with its name; empty for an image that was only built."""
    dockerfile: Dockerfile | None = None
    rootfs: Path | None = None


def configuration(layers: Sequence[bytes], environment: Mapping[str, str], **config: Any) -> dict[str, Any]:
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": [f"{name}={value}" for name, value in environment.items()], **config},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in layers]},
        "history": [],
    }


def manifest(found: Built) -> dict[str, Any]:
    config = json.dumps(found.config).encode()
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _described(_CONFIG, config),
        "layers": [_described(_LAYER, layer) for layer in found.layers],
    }


def _described(kind: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob)}


def keep(found: Built, folder: Path) -> None:
    """Lay a pushed image down as jobs run it: its own files and words, without the base's."""
    if found.dockerfile is None or found.rootfs is None:
        raise CommandError("only an image that was built here can be run here")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copytree(found.rootfs, folder / "rootfs")
    words = {
        "entrypoint": found.dockerfile.entrypoint,
        "command": found.dockerfile.command,
        "environment": found.dockerfile.environment,
        "workdir": found.dockerfile.workdir,
        "labels": found.config["config"]["Labels"],
    }
    (folder / "image.json").write_text(json.dumps(words, indent=2))
