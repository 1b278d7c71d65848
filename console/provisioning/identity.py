"""The key and the certificate of a device, as files."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Identity:
    """The files that make a machine this thing. The key is in no other place."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"

    @property
    def _arn(self) -> Path:
        return self.folder / "certificate-arn.txt"

    @property
    def certificate_arn(self) -> str:
        """ "" before there is a key."""
        return self._arn.read_text().strip() if self._arn.exists() and self.key.exists() else ""

    def write(self, made: Mapping[str, Any]) -> None:
        """Keep what CreateKeysAndCertificate answered, for the eyes of this user alone; the key last, so that one
        without a name is somebody else's."""
        _write_secret(self._arn, made["certificateArn"])
        _write_secret(self.certificate, made["certificatePem"])
        _write_secret(self.key, made["keyPair"]["PrivateKey"])


def _write_secret(path: Path, content: str) -> None:
    path.unlink(missing_ok=True)  # the mode of a file that is there would stay
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
