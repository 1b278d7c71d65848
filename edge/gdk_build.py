"""What `gdk component build` runs in a component's folder: the archive, and the recipe with its place filled in.

The recipe keeps the placeholders that the CDK stack fills in with the asset's address and hash. For the Greengrass
Development Kit they become the component's own name and the address that `gdk component publish` completes:
https://docs.aws.amazon.com/greengrass/v2/developerguide/gdk-cli-configuration-file.html
"""

import zipfile
from pathlib import Path

LEFT_OUT = {"gdk-config.json", "recipe.json", "greengrass-build", "__pycache__"}


def build(component: Path) -> None:
    """Fill the folder greengrass-build that gdk has made: one version, whatever gdk calls it."""
    output = component / "greengrass-build"
    (version,) = (output / "artifacts" / component.name).iterdir()
    archive = f"{component.name}.zip"
    with zipfile.ZipFile(version / archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in sorted(component.rglob("*")):
            name = path.relative_to(component)
            if path.is_file() and not LEFT_OUT.intersection(name.parts):
                zipped.write(path, name)
    recipe = (component / "recipe.json").read_text()
    recipe = recipe.replace("ASSET_URI", f"s3://BUCKET_NAME/COMPONENT_NAME/COMPONENT_VERSION/{archive}")
    (output / "recipes" / "recipe.json").write_text(recipe.replace("ASSET", component.name))


if __name__ == "__main__":
    build(Path.cwd())
