"""Keeps the passwords of cameras out of logs, errors and health records."""

import re
from typing import Final

# To the last @: a password may hold one too. Many cameras take user and password as a query.
_SECRETS: Final = ((re.compile(r"://\S*@"), "://***@"), (re.compile(r"\?\S+"), "?***"))


def masked(text: str) -> str:
    """The text without what addresses in it say before an @ and after a question mark.

    >>> masked("no answer from rtsp://reef:se@cret@10.0.0.7/live?pwd=1")
    'no answer from rtsp://***@10.0.0.7/live?***'
    """
    for secret, mask in _SECRETS:
        text = secret.sub(mask, text)
    return text
