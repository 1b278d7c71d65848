"""Artifacts on a core device: fetched with the device's own credentials, checked, unpacked."""

import base64
import hashlib
import shutil
import stat
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from offline.device.credentials import Denied
from offline.device.place import Place


class ArtifactError(Exception):
    """An artifact cannot be used; `code` is Greengrass's own for the kind of failure."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def fetch(manifest: Mapping[str, Any], place: Place, *, s3: Callable[[], Any]) -> None:
    """Bring every artifact of a manifest to its place, and what is in archives to a folder of the archive's stem.

    What is there already with the right digest is not fetched again.

    Raises:
        ArtifactError: S3 refuses it, there are no credentials to ask with, or its bytes are not those that the recipe
            was created with.
    """
    for artifact in manifest.get("Artifacts", []):
        bucket, _, key = artifact["Uri"].removeprefix("s3://").partition("/")
        path = place.artifacts / key.rpartition("/")[2]
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or _digest(path) != artifact["Digest"]:
            _download(s3, bucket, key, path)
        if (found := _digest(path)) != artifact["Digest"]:
            path.unlink()
            raise ArtifactError(
                "ARTIFACT_CHECKSUM_MISMATCH",
                f"{artifact['Uri']} has the digest {found}; the component was created with {artifact['Digest']}",
            )
        _permit(path, artifact)
        if artifact.get("Unarchive") == "ZIP":
            _unzip(path, place.unarchived / path.stem)


def _download(s3: Callable[[], Any], bucket: str, key: str, path: Path) -> None:
    try:
        body = s3().get_object(Bucket=bucket, Key=key)["Body"]
        with path.open("wb") as file:
            shutil.copyfileobj(body, file)
    except (ClientError, BotoCoreError, Denied) as error:
        raise ArtifactError("S3_ERROR", f"s3://{bucket}/{key} cannot be fetched: {error}") from None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return base64.b64encode(hashlib.file_digest(file, "sha256").digest()).decode()


def _permit(path: Path, artifact: Mapping[str, Any]) -> None:
    """Owner may read, others may not, unless the recipe says so."""
    readers = artifact.get("Permission", {}).get("Read", "OWNER")
    path.chmod(stat.S_IRUSR | stat.S_IWUSR | (stat.S_IRGRP | stat.S_IROTH if readers == "ALL" else 0))


def _unzip(path: Path, folder: Path) -> None:
    """Unpack anew each time: a half-unpacked folder of an earlier try must not be taken for a whole one."""
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(fresh)
    except zipfile.BadZipFile as error:
        raise ArtifactError("ARTIFACT_UNARCHIVE_ERROR", f"{path.name} is no ZIP archive: {error}") from None
    shutil.rmtree(folder, ignore_errors=True)
    fresh.replace(folder)
