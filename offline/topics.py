"""MQTT topics and topic filters, as AWS IoT Core takes them."""

from typing import Final

# https://docs.aws.amazon.com/general/latest/gr/iot-core.html#message-broker-limits
TOPIC_BYTES: Final = 256
TOPIC_SLASHES: Final = 7


class Rejected(ValueError):
    """A topic, filter, payload or quality of service that the broker does not take: it disconnects an MQTT client
    that sends one."""


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a message to a topic is for who subscribed with a filter.

    http://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html#_Toc398718106: `a/#` takes `a` too, and a filter
    that begins with a wildcard takes no topic that begins with `$`.
    """
    asked, given = topic_filter.split("/"), topic.split("/")
    if topic.startswith("$") and asked[0] in ("+", "#"):
        return False
    for index, level in enumerate(asked):
        if level == "#":
            return True
        if index >= len(given) or level not in ("+", given[index]):
            return False
    return len(asked) == len(given) or asked[len(given) :] == ["#"]


def check_topic(topic: str) -> None:
    """Refuse what is no topic to publish to.

    Raises:
        Rejected: saying why.
    """
    if "#" in topic or "+" in topic:
        raise Rejected(f"the topic {topic!r} has a wildcard; only filters of subscriptions may have # and +")
    if topic.startswith("$"):
        raise Rejected(f"the topic {topic!r} begins with $; those are AWS's own, and none of them are here")
    _check_size(topic, "topic")


def check_filter(topic_filter: str) -> None:
    """Refuse what is no topic filter.

    Raises:
        Rejected: saying why.
    """
    levels = topic_filter.split("/")
    for index, level in enumerate(levels):
        if ("#" in level or "+" in level) and level not in ("#", "+"):
            raise Rejected(f"the filter {topic_filter!r} has {level!r}; a wildcard fills a whole level")
        if level == "#" and index < len(levels) - 1:
            raise Rejected(f"the filter {topic_filter!r} goes on after #, which must come last")
    _check_size(topic_filter, "filter")


def _check_size(text: str, what: str) -> None:
    size, slashes = len(text.encode()), text.count("/")
    if not 1 <= size <= TOPIC_BYTES or "\0" in text:
        raise Rejected(f"the {what} {text[:300]!r} has {size} bytes; 1 to {TOPIC_BYTES} without NUL are allowed")
    if slashes > TOPIC_SLASHES:
        raise Rejected(f"the {what} {text!r} has {slashes} slashes; at most {TOPIC_SLASHES} are allowed")
