"""What AWS IoT and Greengrass say of what is not there."""

from typing import Final

from botocore.exceptions import ClientError

_GONE: Final = "ResourceNotFoundException"


def demand_gone(error: ClientError) -> None:
    """
    Raises:
        ClientError: it says anything but that something is not there.
    """
    if error.response["Error"]["Code"] != _GONE:
        raise error
