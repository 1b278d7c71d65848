"""Empties what stores: the registry, the container repository, the buckets."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from console.clients import Clients
from console.errors import Failure
from console.project import Project
from reefloop.contracts import LABELING_JOBS, ROUNDS

# Most that one call takes: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
_OBJECTS_PER_CALL: Final = 1000
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html
_IMAGES_PER_CALL: Final = 100

_CLOSED: Final = "ClosedByConsoleDestroy"


def delete_model_packages(clients: Clients, project: Project) -> Iterator[str]:
    """Delete every package of the registry group: CloudFormation does not delete a group that has some."""
    if not (group := project.optional("storage", "ModelPackageGroup")):
        return
    sagemaker = clients("sagemaker")
    pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
    for package in [package for page in pages for package in page["ModelPackageSummaryList"]]:
        sagemaker.delete_model_package(ModelPackageName=package["ModelPackageArn"])
        yield f"deleted model package {package['ModelPackageArn'].split('/', 1)[1]}"


def delete_labeling_models(clients: Clients, project: Project) -> Iterator[str]:
    """Delete the models that automated labeling made: each round's list of its labeling jobs names them.

    Raises:
        Failure: a list cannot be understood; the models of the others are deleted.
    """
    if not (bucket := project.optional("storage", "DataBucket")):
        return
    s3, sagemaker = clients("s3"), clients("sagemaker")
    broken = []
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=ROUNDS, Delimiter="/")
    for key in [f"{prefix['Prefix']}{LABELING_JOBS}" for page in pages for prefix in page.get("CommonPrefixes", [])]:
        try:
            names = _labeling_models(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except s3.exceptions.NoSuchKey:
            continue
        except ValueError:
            broken.append(f"s3://{bucket}/{key}")
            continue
        for name in sorted(names):
            if any(model["ModelName"] == name for model in sagemaker.list_models(NameContains=name)["Models"]):
                sagemaker.delete_model(ModelName=name)
                yield f"deleted model {name} of automated labeling"
    if broken:
        raise Failure(
            f"{', '.join(broken)} is no list of labeling jobs: delete the models that automated labeling made in that "
            f"round by hand"
        )


def _labeling_models(jobs: bytes) -> set[str]:
    """Names of the models that a list of labeling jobs names.

    Raises:
        ValueError: it is no such list.
    """
    try:
        arns = [job.get("active_learning_model_arn", "") for job in json.loads(jobs)]
        return {arn.rpartition("/")[2] for arn in arns} - {""}
    except (AttributeError, TypeError) as error:
        raise ValueError(str(error)) from error


def delete_images(clients: Clients, project: Project) -> Iterator[str]:
    """Delete every image of the repository, tagged or not."""
    if not (repository := project.optional("jobs", "Repository")):
        return
    ecr = clients("ecr")
    pages = ecr.get_paginator("list_images").paginate(repositoryName=repository)
    digests = sorted({image["imageDigest"] for page in pages for image in page["imageIds"] if "imageDigest" in image})
    for batch in _batches([{"imageDigest": digest} for digest in digests], _IMAGES_PER_CALL):
        answer = ecr.batch_delete_image(repositoryName=repository, imageIds=batch)
        if failures := answer.get("failures"):
            raise Failure(f"{repository} keeps {len(failures)} images: {failures[0].get('failureReason')}")
    if digests:
        yield f"deleted {len(digests)} images of {repository}"


def empty_buckets(clients: Clients, project: Project) -> Iterator[str]:
    """Close both buckets and delete every object, every older version and every unfinished upload."""
    s3 = clients("s3")
    for output in ("DataBucket", "ArtifactBucket"):
        if not (bucket := project.optional("storage", output)):
            continue
        try:
            _close(s3, bucket)
            count = _delete_versions(s3, bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise
            continue
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            for upload in page.get("Uploads", []):
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                count += 1
        if count:
            yield f"deleted {count} objects of {bucket}"


def _close(s3: Any, bucket: str) -> None:
    """Let nobody write: devices that are still on would, for as long as the credentials that they have are good, and
    a bucket that is not empty cannot be deleted. The stack's own policy goes with the stack, and this with it."""
    try:
        policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
            raise
        policy = {"Version": "2012-10-17", "Statement": []}
    denial = {"Sid": _CLOSED, "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"}
    others = [statement for statement in policy["Statement"] if statement.get("Sid") != _CLOSED]
    policy["Statement"] = [*others, {**denial, "Resource": f"arn:aws:s3:::{bucket}/*"}]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


def _delete_versions(s3: Any, bucket: str) -> int:
    """Delete all versions and delete markers; an unversioned bucket lists its objects as versions too."""
    count = 0
    # The first page again and again: the others move up while the one before them is deleted.
    while found := _first_versions(s3, bucket):
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True})
        if errors := answer.get("Errors"):
            first = errors[0]
            raise Failure(f"{bucket} keeps {len(errors)} objects: {first.get('Key')}: {first.get('Message')}")
        count += len(found)
    return count


def _first_versions(s3: Any, bucket: str) -> list[dict[str, str]]:
    page = s3.list_object_versions(Bucket=bucket, MaxKeys=_OBJECTS_PER_CALL)
    found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in found]


def _batches(items: Sequence[dict[str, str]], size: int) -> Iterator[Sequence[dict[str, str]]]:
    return (items[start : start + size] for start in range(0, len(items), size))
