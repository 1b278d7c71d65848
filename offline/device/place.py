"""Where things are on a core device, and what its processes see. The layout is that of /greengrass/v2."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Where one component lives, and what its processes are told."""

    artifacts: Path
    unarchived: Path
    work: Path
    log: Path
    thing: str
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Home:
    """The folder of one device. `account` leads processes to the account; credentials in it are not theirs."""

    root: Path
    thing: str
    nucleus_version: str
    account: Mapping[str, str]

    @property
    def packages(self) -> Path:
        return self.root / "packages"

    def place(self, component: str, version: str) -> Place:
        """The place of one version of a component; versions share a work folder."""
        return Place(
            artifacts=self.packages / "artifacts" / component / version,
            unarchived=self.packages / "artifacts-unarchived" / component / version,
            work=self.root / "work" / component,
            log=self.root / "logs" / f"{component}.log",
            thing=self.thing,
            environment=self._environment(),
        )

    def furnish(self) -> None:
        """Write what processes of this device find: their `python3` and their AWS settings."""
        # `python3` is the interpreter of the account; a link to it would lose its virtual environment.
        python = self.root / "bin" / "python3"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        # No resolver knows bucket.localhost.
        (self.root / "aws-config").write_text("[default]\ns3 =\n    addressing_style = path\n")

    def _environment(self) -> dict[str, str]:
        """Nothing of the environment that the account itself runs in."""
        return {
            **{name: value for name, value in self.account.items() if "KEY" not in name},
            "AWS_IOT_THING_NAME": self.thing,
            "GGC_VERSION": self.nucleus_version,
            "AWS_CONFIG_FILE": str(self.root / "aws-config"),
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "PATH": f"{self.root / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.root),
            "LANG": "C.UTF-8",
        }
