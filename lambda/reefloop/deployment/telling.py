"""How people are told of alerts."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from reefloop.deployment.records import Stored

# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html: one line of less than 100 characters
_SUBJECT_CHARACTERS: Final = 99


def mail(thing: str, alerts: Sequence[Stored]) -> dict[str, str]:
    """Subject and message of one mail about new alerts of one device, as Publish takes them."""
    count = "an alert" if len(alerts) == 1 else f"{len(alerts)} alerts"
    return {
        "Subject": f"{count} from {thing}"[:_SUBJECT_CHARACTERS],
        "Message": "\n".join(_line(alert) for alert in alerts)
        + f"\n\nTimes are those of the clock of {thing}, in UTC.",
    }


def _line(alert: Stored) -> str:
    at = datetime.fromtimestamp(alert.at / 1000, UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
    body = alert.body
    return f"{at}  {_plain(body['species'])}, probability {body['probability']:.0%}, model {_plain(body['model'])}"


def _plain(text: str) -> str:
    """A device's word in a line of ours: SNS takes no control characters, and it is to add no line of its own."""
    return "".join(character if character.isprintable() else " " for character in text)
