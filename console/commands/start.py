"""`start`: bring images, gold or a manifest, then start a round."""

import argparse
from pathlib import Path

from console.clients import clients, load_settings
from console.errors import Refusal
from console.executions import check_round, demand_loop, start_round
from console.photos import Photos, class_folders, files_in, read_photos
from console.project import Project
from console.upload import DataBucket
from settings import Settings


def run(options: argparse.Namespace) -> int:
    round_ = check_round(options.round_)
    settings = load_settings(options.stage)
    demand_loop(settings)
    images = _read_images(options.images) if options.images else None
    gold = _read_gold(options.gold) if options.gold else None
    account = clients(settings.region)
    project = Project.find(account)
    bucket = DataBucket(account, project.data_bucket)
    _check_manifest(bucket, round_, settings, given=options.manifest is not None)
    if not gold and not bucket.categories():
        raise Refusal("the bucket has no gold yet: bring class subfolders of photographs with known labels with --gold")
    if options.manifest:
        print(f"manifest: {bucket.upload_manifest(round_, options.manifest)} objects")
    if gold:
        bucket.upload_gold(gold.photos, gold.labels)
        print(f"gold: {len(gold.photos)} objects of {len(gold.labels)} classes")
    if images:
        print(f"images: {bucket.upload(images.photos)}")
    print(f"running {start_round(account, project, round_)}")
    print(f"follow it with `python -m console watch --round {round_}`")
    return 0


def _check_manifest(bucket: DataBucket, round_: str, settings: Settings, *, given: bool) -> None:
    """
    Raises:
        Refusal: nobody would read the manifest, or the round has none to read.
    """
    provider = settings.labeling.provider
    if given and provider != "import":
        raise Refusal(
            f"stage {settings.stage} labels with provider {provider!r}, which reads no manifest: leave --manifest out, "
            "or set labeling.provider to 'import' in cdk.json and deploy"
        )
    if provider == "import" and not given and not bucket.has_manifest(round_):
        raise Refusal(
            f"stage {settings.stage} imports labels, and round {round_} has none: bring an augmented manifest with "
            "--manifest"
        )


def _read_images(folder: Path) -> Photos:
    if not folder.is_dir():
        raise Refusal(f"{folder} is not a folder: --images takes a folder of photographs")
    return _checked(folder, read_photos((path, "") for path in files_in(folder)))


def _read_gold(folder: Path) -> Photos:
    files = ((path, where.name) for where in class_folders(folder) for path in files_in(where))
    return _checked(folder, read_photos(files))


def _checked(folder: Path, photos: Photos) -> Photos:
    for skipped in photos.skipped:
        print(f"skipped {skipped.path}: {skipped.reason}")
    if not photos.photos:
        raise Refusal(f"{folder} has no readable photograph: JPEG and PNG are allowed")
    return photos
