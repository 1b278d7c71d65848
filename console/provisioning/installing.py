"""What is to be done on a device so that it becomes the thing: the nucleus's configuration, and the commands.

Classic: https://docs.aws.amazon.com/greengrass/v2/developerguide/manual-installation.html
Lite: https://github.com/aws-greengrass/aws-greengrass-lite/blob/main/docs/SETUP.md
"""

from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from console.clients import Clients
from console.project import Project
from console.provisioning.identity import Identity

# Both find their certificate, key and root certificate below their own folder.
_SYSTEM: Final = """\
---
system:
  certificateFilePath: "$root/identity/certificate.pem"
  privateKeyPath: "$root/identity/key.pem"
  rootCaPath: "$root/identity/AmazonRootCA1.pem"
  $rootpath: "$root"
  thingName: "$thing"
services:
  $nucleus:
    componentType: "NUCLEUS"
"""
_ACCOUNT: Final = """\
    configuration:
      awsRegion: "$region"
      iotRoleAlias: "$role_alias"
      iotDataEndpoint: "$data_endpoint"
      iotCredEndpoint: "$credentials_endpoint"
"""
# The targets of boards tell devices apart by it. The pages of nucleus lite have no such setting.
# https://docs.aws.amazon.com/greengrass/v2/developerguide/greengrass-nucleus-component.html
_BOARD: Final = """\
      platformOverride:
        board: "$board"
"""
_ROOT_CERTIFICATE: Final = "https://www.amazontrust.com/repository/AmazonRootCA1.pem"


@dataclass(frozen=True)
class Nucleus:
    """One of the two runtimes: where it lives, how its configuration is written, what installs it. `board` is what
    the configuration of a device says of its board, "" where it cannot."""

    title: str
    root: str
    file: str
    configuration: str
    board: str
    steps: str


NUCLEI: Final = (
    Nucleus(
        "nucleus classic (Java; the installer is greengrass-nucleus-latest.zip, unpacked into GreengrassInstaller)",
        "/greengrass/v2",
        "classic.yaml",
        # The installer refuses another version than its own.
        Template(_SYSTEM).safe_substitute(rootpath="rootpath", nucleus="aws.greengrass.Nucleus")
        + '    version: "VERSION"\n'
        + _ACCOUNT,
        _BOARD,
        """\
sudo install -d -m 700 $root/identity
sudo install -m 600 certificate.pem key.pem $root/identity
sudo curl -fsS -o $root/identity/AmazonRootCA1.pem $root_certificate
version=$$(java -jar GreengrassInstaller/lib/Greengrass.jar --version | grep -o '[0-9.]*$$')
sed -i "/version:/s/VERSION/$$version/" $file
sudo -E java -Droot=$root -Dlog.store=FILE -jar GreengrassInstaller/lib/Greengrass.jar \\
  --init-config $file --component-default-user ggc_user:ggc_group --setup-system-service true
""",
    ),
    Nucleus(
        "nucleus lite (the packages of aws-greengrass-lite are installed already)",
        "/var/lib/greengrass",
        "lite.yaml",
        Template(_SYSTEM).safe_substitute(rootpath="rootPath", nucleus="aws.greengrass.NucleusLite")
        + _ACCOUNT
        + '      runWithDefault:\n        posixUser: "gg_component:gg_component"\n',
        "",
        """\
sudo install -d -m 700 -o ggcore -g ggcore $root/identity
sudo install -m 600 -o ggcore -g ggcore certificate.pem key.pem $root/identity
sudo curl -fsS -o $root/identity/AmazonRootCA1.pem $root_certificate
sudo chown ggcore:ggcore $root/identity/AmazonRootCA1.pem
sudo install -D -m 644 $file /etc/greengrass/config.yaml
sudo systemctl restart greengrass-lite.target
""",
    ),
)


def prepare(clients: Clients, project: Project, thing: str, identity: Identity, *, board: str = "") -> str:
    """Write both configurations beside the key, and say what to do with them.

    Args:
        board: what the device is to be told apart by, "" if by its architecture alone.
    """
    values = {**_values(clients, project, thing), "board": board}
    told = [
        f"Copy {identity.folder.resolve()} to the device; it holds the only copy of the key. In that folder, there:"
    ]
    for nucleus in NUCLEI:
        text = nucleus.configuration + (nucleus.board if board else "")
        path = identity.folder / nucleus.file
        if before := _write(path, Template(text).substitute(values, root=nucleus.root)):
            told.append(f"{path.name} was another: that is {before.name} now")
        steps = Template(nucleus.steps).substitute(
            root=nucleus.root, file=nucleus.file, root_certificate=_ROOT_CERTIFICATE
        )
        told.append(f"\n# {nucleus.title}\n{steps}")
    return "\n".join(told)


def _values(clients: Clients, project: Project, thing: str) -> dict[str, str]:
    iot = clients("iot")
    return {
        "thing": thing,
        "region": iot.meta.region_name,
        "role_alias": project.output("deployment", "RoleAlias"),
        "data_endpoint": iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"],
        "credentials_endpoint": iot.describe_endpoint(endpointType="iot:CredentialProvider")["endpointAddress"],
    }


def _write(path: Path, text: str) -> Path | None:
    """Write a configuration; returns where another one is, that was there and that somebody may have edited."""
    before = path.with_name(f"{path.name}.old")
    differs = path.exists() and path.read_text() != text
    if differs:
        path.replace(before)
    path.write_text(text)
    return before if differs else None
