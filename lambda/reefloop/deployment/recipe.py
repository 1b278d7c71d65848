"""The recipe of the model component: one manifest per kind of device, in one version.

https://docs.aws.amazon.com/greengrass/v2/developerguide/component-recipe-reference.html
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from reefloop import contracts, storage
from reefloop.payloads import Package

# The service takes 16 KB, the nucleus lite 8,196 bytes.
_RECIPE_BYTES: Final = 8_000
# What the service adds to every artifact of it: `,"Digest":"<44 characters>"`, `,"Algorithm":"SHA-256"`.
_DIGEST_BYTES: Final = 80
# https://docs.aws.amazon.com/general/latest/gr/greengrassv2.html: all artifacts of a component version together
_ARTIFACT_BYTES: Final = 2_000_000_000
_TARGET: Final = re.compile(r"[A-Za-z0-9_-]+")


class NothingToDeploy(Exception):
    """No target of the model can be deployed through Greengrass."""


class PackageInvalid(Exception):
    """A package of the execution's input cannot be published."""


class RecipeTooLarge(Exception):
    """The component would not fit what Greengrass takes."""


def render(*, model_version: str, component_version: str, packages: list[Package], bucket: str) -> dict[str, Any]:
    """The recipe that gives every device the package of its target.

    A manifest for one kind of board stands before that of its plain architecture, since a device takes the first
    that matches.

    Raises:
        NothingToDeploy: naming the outcome of every target.
        RecipeTooLarge: naming the size and the most allowed.
        PackageInvalid: a package is not what the compilation stage writes.
    """
    if old := [p["target"] for p in packages if "delivery" not in p]:
        raise PackageInvalid(f"the package of {old[0]} does not say how it is delivered: compile {model_version} again")
    deployable = [p for p in packages if p["key"] and p["delivery"] == "greengrass"]
    _check(deployable)
    if not deployable:
        outcomes = ", ".join(f"{p['target']} {p['outcome']}" for p in packages) or "no targets at all"
        raise NothingToDeploy(
            f"model {model_version} has no package for a Greengrass device ({outcomes}): "
            "add a Linux target to compilation.targets, or mend what made them fail"
        )
    size_bytes = sum(package["bytes"] for package in deployable)
    if size_bytes > _ARTIFACT_BYTES:
        raise RecipeTooLarge(
            f"the packages of model {model_version} have {size_bytes} bytes and may have {_ARTIFACT_BYTES} together"
        )
    deployable.sort(key=lambda package: -len(package["platform"]))  # stable: otherwise as configured
    recipe = {
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": contracts.MODEL_COMPONENT,
        "ComponentVersion": component_version,
        "ComponentDescription": f"Model {model_version}",
        "ComponentPublisher": contracts.PROJECT,
        "Manifests": [_manifest(package, bucket) for package in deployable],
    }
    if (length := len(encode(recipe)) + _DIGEST_BYTES * len(deployable)) > _RECIPE_BYTES:
        raise RecipeTooLarge(
            f"the recipe of model {model_version} has {length} bytes with its digests and may have {_RECIPE_BYTES}: "
            f"configure fewer than the {len(deployable)} Greengrass targets, or shorten the name of the round"
        )
    return recipe


def encode(recipe: Mapping[str, Any]) -> bytes:
    """The recipe as it is sent: compact, and the same bytes for the same content."""
    return json.dumps(recipe, separators=(",", ":")).encode()


def fingerprint(recipe: Mapping[str, Any]) -> str:
    """What a published version is recognised by: the service adds digests to the recipe that it returns."""
    return hashlib.sha256(encode(recipe)).hexdigest()


def _check(packages: list[Package]) -> None:
    """The input of a deployment can be written by hand, and the target becomes part of a command on the device."""
    seen: dict[str, str] = {}
    for package in packages:
        target, platform = package["target"], json.dumps(package["platform"], sort_keys=True)
        if not _TARGET.fullmatch(target):
            raise PackageInvalid(
                f"target {target!r} must be letters, digits, hyphens and underscores: correct the execution's input"
            )
        if platform in seen:
            raise PackageInvalid(
                f"targets {seen[platform]} and {target} are for the same devices ({platform}), and a device takes the "
                "first that matches: leave one of them out of compilation.targets"
            )
        seen[platform] = target


def _manifest(package: Package, bucket: str) -> dict[str, Any]:
    target = package["target"]
    return {
        "Name": target,
        "Platform": dict(package["platform"]),
        # The archive unpacks into a folder of its own name. One command, and no brace but the variables': the
        # nucleus lite cuts a script off at any other.
        "Lifecycle": {"run": f'ln -sfn "{{artifacts:decompressedPath}}/{target}" "{{work:path}}/current"'},
        "Artifacts": [
            {
                "Uri": storage.uri(bucket, package["key"]),
                "Unarchive": "ZIP",
                # The classifier, another component, reads it.
                "Permission": {"Read": "ALL"},
            }
        ],
    }
