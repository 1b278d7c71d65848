"""Reads an image's tarball in one pass, as it comes out of `docker image save` or as an OCI layout is packed.

What stays in memory grows with the number of files, about half a KiB each, and not with their bytes: an image of 20 GB
is read from a pipe and never unpacked.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
https://github.com/opencontainers/image-spec/blob/main/layer.md
"""

import gzip
import io
import json
import posixpath
import tarfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, cast

from jobs.audit.image import Config, Entry, Image, NotAuditable
from jobs.audit.reading import Reader

_DOCUMENT_BYTES: Final = 8 << 20
_GZIP: Final = b"\x1f\x8b"
_ZSTANDARD: Final = b"\x28\xb5\x2f\xfd"
_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"


@dataclass
class _Layer:
    """What one layer adds, and the paths below which it hides what lower layers have."""

    entries: dict[str, Entry] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)


@dataclass
class _Archive:
    """Layers and documents by their names in the archive, and links between names."""

    layers: dict[str, _Layer] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def document(self, name: str) -> Any:
        try:
            return self.documents[self.links.get(name, name)]
        except KeyError:
            raise NotAuditable(f"the archive has no {name}: it is cut, or no image") from None

    def layer(self, name: str) -> _Layer:
        try:
            return self.layers[self.links.get(name, name)]
        except KeyError:
            raise NotAuditable(f"the archive has no layer {name}, which its manifest names: it is cut") from None


def archive(stream: BinaryIO, reader: Reader, *, base_layers: Collection[str] = ()) -> Image:
    """The file system that the layers make together, and the image's configuration.

    Args:
        base_layers: digests of layers that the base image has published: what they hide is public already.

    Raises:
        NotAuditable: no image, a cut one, or layers that are compressed with something else than gzip.
    """
    try:
        found = _read(stream, reader)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise NotAuditable(f"the archive cannot be read to its end: {error}") from None
    try:
        document, names = _described(found)
        config = Config.parse(document)
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise NotAuditable(f"the archive describes no image: {type(error).__name__} {error}") from None
    image = Image({}, config)
    folders: set[str] = set()
    published: set[str] = set()
    for index, name in enumerate(names):
        _lay(image, found.layer(name), folders, published)
        if index < len(config.layers) and config.layers[index] in base_layers:
            published.update(path for path, entry in found.layer(name).entries.items() if entry.secrets)
    return image


def _read(stream: BinaryIO, reader: Reader) -> _Archive:
    found = _Archive()
    with tarfile.open(fileobj=stream, mode="r|*") as outer:
        for member in _members(outer):
            name = posixpath.normpath(member.name)
            if member.issym() or member.islnk():
                folder = posixpath.dirname(name) if member.issym() else ""
                found.links[name] = posixpath.normpath(posixpath.join(folder, member.linkname))
            elif file := outer.extractfile(member):
                _take(found, name, member.size, cast("io.BufferedReader", file), reader)
    return found


def _take(found: _Archive, name: str, size: int, file: io.BufferedReader, reader: Reader) -> None:
    """One file of the archive: a layer, a document, or neither."""
    start = file.peek(512)[:512]
    if start.startswith(_ZSTANDARD):
        raise NotAuditable(f"{name} is compressed with zstandard: save the image with `docker image save` instead")
    if start.startswith(_GZIP):
        found.layers[name] = _layer(cast("BinaryIO", gzip.GzipFile(fileobj=file)), reader)
    elif start[257:262] == b"ustar" or (size and not start.strip(b"\0")):
        found.layers[name] = _layer(file, reader)
    elif start.lstrip()[:1] in (b"{", b"[") and size <= _DOCUMENT_BYTES:
        try:
            found.documents[name] = json.loads(file.read())
        except ValueError:
            raise NotAuditable(f"{name} is not JSON") from None


def _layer(stream: BinaryIO, reader: Reader) -> _Layer:
    layer = _Layer()
    with tarfile.open(fileobj=stream, mode="r|") as files:
        for member in _members(files):
            path = posixpath.normpath(member.name).lstrip("/")
            folder, name = posixpath.split(path)
            if name == _OPAQUE:
                layer.hidden.add(folder)
            elif name.startswith(_WHITEOUT):
                layer.hidden.add(posixpath.join(folder, name.removeprefix(_WHITEOUT)))
            elif member.issym():
                layer.entries[path] = Entry(0, target=member.linkname)
            elif not member.isdir():
                stream_of = cast("BinaryIO | None", files.extractfile(member)) if member.isreg() else None
                layer.entries[path] = reader.read(path, member.size, bool(member.mode & 0o111), stream_of)
    return layer


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members in their order, each forgotten when the next is read: tarfile would keep them all."""
    while member := archive.next():
        yield member
        archive.members = []  # type: ignore[attr-defined]


def _described(found: _Archive) -> tuple[Any, list[str]]:
    """The image's configuration and the names of its layers, lowest first."""
    if "manifest.json" in found.documents:
        saved = found.documents["manifest.json"]
        if len(saved) != 1:
            raise NotAuditable(f"the archive has {len(saved)} images: save one")
        return found.document(saved[0]["Config"]), [posixpath.normpath(name) for name in saved[0]["Layers"]]
    manifest = _manifest(found, found.document("index.json"))
    return found.document(_blob(manifest["config"])), [_blob(layer) for layer in manifest["layers"]]


def _manifest(found: _Archive, index: Any) -> Any:
    """The one manifest below an index, which may name further indexes and what vouches for an image."""
    manifests = []
    for described in index["manifests"]:
        if described.get("platform", {}).get("os") == "unknown":
            continue  # an attestation: https://docs.docker.com/build/metadata/attestations/attestation-storage/
        document = found.document(_blob(described))
        manifests.append(_manifest(found, document) if "manifests" in document else document)
    if len(manifests) != 1:
        raise NotAuditable(f"the archive has {len(manifests)} images: save one, for one platform")
    return manifests[0]


def _blob(described: Any) -> str:
    return "blobs/" + str(described["digest"]).replace(":", "/")


def _lay(image: Image, layer: _Layer, folders: set[str], published: set[str]) -> None:
    """Put a layer on top. `folders` are those that have files, `published` the secrets of the base image."""
    # A link or a file takes the place of a folder with all that is in it.
    hidden = layer.hidden | {path for path in layer.entries if path in folders}
    gone = [path for path in image.entries if _below(path, hidden)] if hidden else []
    for path in (*gone, *(path for path in layer.entries if path in image.entries)):
        if (old := image.entries.pop(path, None)) and old.secrets and path not in published:
            image.buried += [(path, what) for what in old.secrets]
        published.discard(path)
    image.entries |= layer.entries
    for path in layer.entries:
        while (path := posixpath.dirname(path)) and path not in folders:
            folders.add(path)


def _below(path: str, hidden: set[str]) -> bool:
    while path:
        if path in hidden:
            return True
        path = posixpath.dirname(path)
    return "" in hidden
