"""AWS IoT Core where moto has only its lists: messages through the broker, and rules that act on them."""

from collections.abc import Mapping
from typing import Any

from offline import gate
from offline.api import Call, ServiceError
from offline.broker import Broker, Rejected
from offline.services.iot.rules import Rules
from offline.state import State

_PUBLISH = frozenset({"topic", "qos", "payload"})


def install(state: State) -> None:
    """Let what is published reach subscribers and rules."""
    broker = state.only(Broker)
    rules = Rules(state)
    broker.listen(rules.take)
    state.closing.callback(rules.close)

    def publish(call: Call) -> Mapping[str, Any]:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_iotdata_Publish.html"""
        given = {name: value for name, value in call.parameters.items() if value not in (None, False)}
        if unknown := sorted(given.keys() - _PUBLISH):
            raise NotImplementedError(f"a message has {unknown[0]}; known are {', '.join(sorted(_PUBLISH))}")
        payload = given.get("payload", b"")
        try:
            broker.publish(
                given["topic"], payload if isinstance(payload, bytes) else payload.encode(), qos=given.get("qos", 0)
            )
        except Rejected as error:
            raise ServiceError("InvalidRequestException", str(error)) from None
        return {}

    gate.SERVICES["iot-data:Publish"] = publish
    gate.SERVICES["iot:CreateTopicRule"] = rules.create
    gate.SERVICES["iot:ReplaceTopicRule"] = rules.replace
