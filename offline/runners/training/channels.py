"""The channels of a training job: what is where when the container starts.

FastFile channels are downloaded like File channels, before the start, since there is nothing here to mount. What sets
them apart for the job is kept: a folder and no list is what they show, and nothing can be written into them.
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offline.runners import JobFailed, storage
from offline.runners.container import Container

_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def refusal(request: Mapping[str, Any]) -> str:
    """Why CreateTrainingJob refuses a channel; "" when it refuses none."""
    for channel in request.get("InputDataConfig", []):
        name, source = channel["ChannelName"], channel["DataSource"].get("S3DataSource")
        if source is None:
            return f"channel {name}: this account reads S3DataSource alone"
        mode = _mode(channel, request)
        if mode == "FastFile" and source["S3DataType"] != "S3Prefix":
            return f"channel {name}: FastFile takes the S3DataType S3Prefix, not {source['S3DataType']}"
        if mode == "Pipe" or channel.get("CompressionType", "None") != "None":
            return f"channel {name}: this account knows uncompressed files in the input modes File and FastFile"
    return ""


def described(request: Mapping[str, Any]) -> dict[str, Any]:
    """inputdataconfig.json, in which FastFile is called File."""
    return {
        channel["ChannelName"]: {
            "TrainingInputMode": "File",
            "S3DistributionType": _distribution(channel),
            "RecordWrapperType": "None",
        }
        for channel in request.get("InputDataConfig", [])
    }


def fetch(container: Container, s3: Any, number: int, count: int) -> None:
    """Put the channels of the host `number` of `count`, counted from 0, where the container finds them.

    Raises:
        JobFailed: a channel without objects, or a FastFile channel that is no folder.
    """
    request = container.job.request
    for channel in request.get("InputDataConfig", []):
        source, fast = channel["DataSource"]["S3DataSource"], _mode(channel, request) == "FastFile"
        objects = storage.listed(s3, source)
        prefix = f"{source['S3Uri'].rstrip('/')}/"
        if fast and any(not uri.startswith(prefix) for uri, _ in objects):
            raise JobFailed(f"ClientError: channel {channel['ChannelName']}: {source['S3Uri']} is part of a name")
        if _distribution(channel) == "ShardedByS3Key":
            objects = objects[number::count]
        folder = container.ml / "input" / "data" / channel["ChannelName"]
        storage.download(s3, objects, folder)
        if fast:
            _protect(folder)


def _mode(channel: Mapping[str, Any], request: Mapping[str, Any]) -> str:
    return str(channel.get("InputMode") or request["AlgorithmSpecification"].get("TrainingInputMode", "File"))


def _distribution(channel: Mapping[str, Any]) -> str:
    return str(channel["DataSource"]["S3DataSource"].get("S3DataDistributionType", "FullyReplicated"))


def _protect(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        path.chmod(path.stat().st_mode & ~_WRITE)
