import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_greengrassv2 as greengrass
from aws_cdk import aws_s3_assets as assets
from constructs import Construct


class Component(Construct):
    """A Greengrass component from its folder: code as an asset, recipe with the version that its content gives it.

    A version is derived from content because Greengrass refuses to create one twice: equal content is the same
    version, and other content is another. The old version is deleted on update, so that going back to earlier
    content creates it again. `cdk gc` must not delete the asset while devices may still install it.
    """

    def __init__(self, scope: Construct, construct_id: str, *, folder: Path, configuration: Mapping[str, Any]) -> None:
        super().__init__(scope, construct_id)
        self.asset = assets.Asset(
            self,
            "Code",
            path=str(folder),
            # The folder wheels/ goes along where `make wheelhouse` has filled it.
            exclude=["**/__pycache__", "*.pyc", "recipe.json", "gdk-config.json", "greengrass-build"],
        )
        text = (folder / "recipe.json").read_text()
        recipe = json.loads(text.replace("ASSET_URI", self.asset.s3_object_url).replace("ASSET", self.asset.asset_hash))
        defaults = recipe["ComponentConfiguration"]["DefaultConfiguration"]
        if unknown := sorted(configuration.keys() - defaults.keys()):
            raise ValueError(f"the recipe in {folder} has no settings {unknown}; it has {sorted(defaults)}")
        defaults |= configuration
        self.name: str = recipe["ComponentName"]
        self.version = self._version(recipe)
        recipe["ComponentVersion"] = self.version
        self.resource = greengrass.CfnComponentVersion(
            self, "Version", inline_recipe=Stack.of(self).to_json_string(recipe)
        )
        self.resource.apply_removal_policy(RemovalPolicy.DESTROY)

    def _version(self, recipe: Mapping[str, Any]) -> str:
        """A semantic version of two numbers below 1,000,000 each: 10^12 versions before two contents meet."""
        content = json.dumps(Stack.of(self).resolve(recipe), sort_keys=True)
        digest = int(hashlib.sha256(content.encode()).hexdigest(), 16)
        return f"1.{digest % 10**6}.{digest // 10**6 % 10**6}"
