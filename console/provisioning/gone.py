"""What AWS IoT and Greengrass say of what is not there, and of what is not there any more."""

import time
from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import ClientError

_GONE: Final = "ResourceNotFoundException"
_ATTACHED: Final = frozenset({"DeleteConflictException", "InvalidRequestException"})
# What was detached is seen as attached for seconds, by policies for up to five minutes:
# https://docs.aws.amazon.com/iot/latest/apireference/API_DetachThingPrincipal.html
# https://docs.aws.amazon.com/iot/latest/apireference/API_DeletePolicy.html
_PAUSES: Final = (1, 2, 4, 8, 15, *(30,) * 9)


def demand_gone(error: ClientError) -> None:
    """
    Raises:
        ClientError: it says anything but that something is not there.
    """
    if error.response["Error"]["Code"] != _GONE:
        raise error


def once_detached(delete: Callable[..., Any], **arguments: str) -> None:
    """Delete what was detached a moment ago.

    Raises:
        ClientError: it cannot be deleted, or is still attached after five minutes.
    """
    for pause in _PAUSES:
        try:
            delete(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _ATTACHED:
                raise
            time.sleep(pause)
        else:
            return
    delete(**arguments)
