"""Component recipes as CreateComponentVersion takes them.

https://docs.aws.amazon.com/greengrass/v2/developerguide/component-recipe-reference.html
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

MAXIMUM_BYTES: Final = 16 * 1024  # https://docs.aws.amazon.com/general/latest/gr/greengrassv2.html
FORMAT: Final = "2020-01-25"

# Semantic versioning with at most six digits a part, as the recipe reference says.
VERSION: Final = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_NAME: Final = re.compile(r"[a-zA-Z0-9\-_.]{1,128}")

_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "recipe": frozenset(
        {
            "RecipeFormatVersion",
            "ComponentName",
            "ComponentVersion",
            "ComponentDescription",
            "ComponentPublisher",
            "ComponentConfiguration",
            "ComponentDependencies",
            "ComponentType",
            "ComponentSource",
            "Manifests",
            "Lifecycle",
        }
    ),
    "manifest": frozenset({"Name", "Platform", "Lifecycle", "Selections", "Artifacts"}),
    "artifact": frozenset({"Uri", "Unarchive", "Permission", "Digest", "Algorithm"}),
    "dependency": frozenset({"VersionRequirement", "DependencyType"}),
}


class RecipeError(ValueError):
    """The recipe breaks a rule; the message names the part, its value and what is allowed."""


@dataclass(frozen=True)
class Recipe:
    """A recipe that the service accepts. `document` is the parsed text."""

    name: str
    version: str
    document: dict[str, Any]

    @property
    def artifacts(self) -> Iterable[dict[str, Any]]:
        """Every artifact of every manifest, in order."""
        return [artifact for manifest in self.document["Manifests"] for artifact in manifest.get("Artifacts", [])]

    @property
    def platforms(self) -> list[dict[str, Any]]:
        """The platforms as DescribeComponent tells them."""
        return [
            {
                "attributes": dict(manifest.get("Platform", {})),
                **({"name": manifest["Name"]} if "Name" in manifest else {}),
            }
            for manifest in self.document["Manifests"]
        ]


def parse(text: bytes) -> Recipe:
    """Read and check a recipe in JSON or YAML.

    Raises:
        RecipeError: naming the rule that it breaks.
    """
    if len(text) > MAXIMUM_BYTES:
        raise RecipeError(f"the recipe has {len(text)} bytes; at most {MAXIMUM_BYTES} are allowed")
    document = _load(text)
    _known_keys("recipe", document)
    for key in ("RecipeFormatVersion", "ComponentName", "ComponentVersion", "Manifests"):
        if not document.get(key):
            raise RecipeError(f"the recipe has no {key}")
    if document["RecipeFormatVersion"] != FORMAT:
        raise RecipeError(f"RecipeFormatVersion is {document['RecipeFormatVersion']!r}; the only one is {FORMAT!r}")
    name, version = document["ComponentName"], document["ComponentVersion"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise RecipeError(f"ComponentName {name!r} must be 1 to 128 letters, digits, '-', '_' or '.'")
    if not isinstance(version, str) or not VERSION.fullmatch(version):
        raise RecipeError(f"ComponentVersion {version!r} must be a semantic version with parts up to 999999")
    if not isinstance(document["Manifests"], list):
        raise RecipeError("Manifests must be a list")
    for manifest in document["Manifests"]:
        _check_manifest(manifest)
    for dependency, terms in document.get("ComponentDependencies", {}).items():
        _known_keys("dependency", terms)
        if not terms.get("VersionRequirement"):
            raise RecipeError(f"the dependency on {dependency} has no VersionRequirement")
        if (kind := terms.get("DependencyType", "HARD")) not in ("HARD", "SOFT"):
            raise RecipeError(f"DependencyType of {dependency} is {kind!r}; allowed are HARD and SOFT")
    return Recipe(name, version, document)


def version_order(version: str) -> tuple[int, ...]:
    """Sorts versions by their numbers."""
    return tuple(int(part) for part in version.partition("-")[0].partition("+")[0].split("."))


def render(document: Mapping[str, Any], form: str) -> bytes:
    """The recipe as GetComponent gives it: JSON or YAML."""
    text = json.dumps(document, indent=2) if form == "JSON" else yaml.safe_dump(dict(document), sort_keys=False)
    return text.encode()


def bucket_and_key(uri: str) -> tuple[str, str]:
    """The two halves of s3://bucket/key."""
    found = re.fullmatch(r"s3://([^/]+)/(.+)", uri)
    if not found:
        raise RecipeError(f"artifact Uri {uri!r} is not s3://bucket/key, the only kind that this account serves")
    return found[1], found[2]


def _load(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        try:
            document = yaml.safe_load(text)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise RecipeError(f"the recipe is neither JSON nor YAML: {error}") from None
    if not isinstance(document, dict):
        raise RecipeError("the recipe is not an object")
    return document


def _check_manifest(manifest: Any) -> None:
    _known_keys("manifest", manifest)
    platform = manifest.get("Platform", {})
    if not isinstance(platform, dict) or not all(isinstance(value, str) for value in platform.values()):
        raise RecipeError(f"Platform {platform!r} must map names to strings")
    for artifact in manifest.get("Artifacts", []):
        _known_keys("artifact", artifact)
        bucket_and_key(str(artifact.get("Uri", "")))
        if (unarchive := artifact.get("Unarchive", "NONE")) not in ("NONE", "ZIP"):
            raise RecipeError(f"Unarchive is {unarchive!r}; allowed are NONE and ZIP")


def _known_keys(part: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise RecipeError(f"a {part} must be an object, got {value!r}")
    for key in value:
        if key not in _KEYS[part]:
            raise RecipeError(f"unknown key {key!r} in a {part}; known are {', '.join(sorted(_KEYS[part]))}")
