"""The operations that a nucleus has for its components, and where nucleus lite and the classic one differ.

https://docs.aws.amazon.com/greengrass/v2/developerguide/interprocess-communication.html
Every method named in `_OPERATIONS` gets the component's name, the request and the stream, and returns the response.
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from offline.device.ipc.authorization import CLI, MQTT_PROXY, PUBSUB, check
from offline.device.ipc.errors import OperationError, UnknownOperation
from offline.device.ipc.local import LocalBus
from offline.device.ipc.mqtt import Client, NotTaken
from offline.device.ipc.store import Configurations, NotAnObject, Stale
from offline.device.ipc.streams import Stream

PREFIX: Final = "aws.greengrass#"
Request = Mapping[str, Any]
Response = dict[str, Any]
Lifecycle = Callable[[str, str], bool]
"""Gets a component's name and what it shall be: "RUNNING" or "ERRORED" as it says itself, or "RESTART". False when
there is no such component."""

_STATES: Final = ("RUNNING", "ERRORED")


class Operations:
    """What one nucleus answers, until it dies."""

    def __init__(
        self, *, lite: bool, configurations: Configurations, client: Client, bus: LocalBus, lifecycle: Lifecycle
    ) -> None:
        self._lite = lite
        self._configurations, self._client, self._bus, self._lifecycle = configurations, client, bus, lifecycle

    def answer(self, component: str, operation: str, payload: bytes, stream: Stream) -> Response:
        """The response to a request; what of the operation goes on hangs on the stream.

        Args:
            operation: its full name, "aws.greengrass#GetConfiguration".

        Raises:
            OperationError: with what the component gets to see.
            UnknownOperation: there is no such operation here.
        """
        method = _OPERATIONS.get(operation.removeprefix(PREFIX)) if operation.startswith(PREFIX) else None
        if method is None:
            raise UnknownOperation(operation)
        try:
            request = json.loads(payload)
        except ValueError:
            request = None
        if not isinstance(request, dict):
            raise self._invalid("" if self._lite else "the request is no JSON object")
        return method(self, component, request, stream)

    # ---- Configuration -----------------------------------------------------------------------------------------------

    def _get_configuration(self, component: str, request: Request, stream: Stream) -> Response:  # noqa: ARG002
        name, path = self._configured(component, request)
        try:
            value = self._configurations.at(name, path)
        except KeyError:
            raise OperationError("ResourceNotFoundError", "Key not found.") from None
        return {"componentName": name, "value": value if isinstance(value, dict) else {path[-1]: value}}

    def _update_configuration(self, component: str, request: Request, stream: Stream) -> Response:  # noqa: ARG002
        path, timestamp, value = self._path(request), request.get("timestamp"), request.get("valueToMerge")
        if "valueToMerge" not in request or (value is None and not self._lite):
            raise self._invalid("ValueToMerge is required")
        if not isinstance(timestamp, float if self._lite else (int, float)) or isinstance(timestamp, bool):
            raise OperationError("InvalidArgumentsError", f"timestamp is {timestamp!r}; it must be seconds as a float")
        if path[:1] == ["accessControl"] or (not path and isinstance(value, dict) and "accessControl" in value):
            message = "Config update is not allowed for following fields [accessControl]"
            raise OperationError("InvalidArgumentsError", message)
        try:
            self._configurations.merge(component, path, value, timestamp=float(timestamp))
        except Stale:
            if not self._lite:
                message = "Proposed timestamp is older than the config's latest modified timestamp"
                raise OperationError("FailedUpdateConditionCheckError", message) from None
        except NotAnObject as error:
            raise self._invalid(str(error)) from None
        return {}

    def _subscribe_to_configuration_update(self, component: str, request: Request, stream: Stream) -> Response:
        name, path = self._configured(component, request)

        def changed(of: str, leaf: tuple[str, ...]) -> None:
            event = {"componentName": of, "keyPath": list(leaf)}
            stream.event("ConfigurationUpdateEvents", {"configurationUpdateEvent": event})

        try:
            stream.until_closed(self._configurations.watch(name, path, changed))
        except KeyError:
            raise OperationError("ResourceNotFoundError", "Key not found.") from None
        return {}

    # ---- Messages between components -------------------------------------------------------------------------------

    def _publish_to_topic(self, component: str, request: Request, stream: Stream) -> Response:  # noqa: ARG002
        topic = self._text(request, "topic")
        self._check(component, PUBSUB, "PublishToTopic", topic)
        if not self._lite and any(wildcard in topic for wildcard in "+#*"):
            raise self._invalid("Publish topic must not contain a wildcard.")
        message = request.get("publishMessage")
        given = [key for key in ("jsonMessage", "binaryMessage") if isinstance(message, dict) and message.get(key)]
        if not isinstance(message, dict) or len(given) != 1 or not isinstance(message[given[0]], dict):
            raise self._invalid("publishMessage must have either jsonMessage or binaryMessage")
        content = message[given[0]].get("message")
        if given == ["binaryMessage"]:
            self._bytes(content)
        elif not self._lite and not isinstance(content, dict):
            raise self._invalid("the message of a jsonMessage must be an object")
        event = {given[0]: {"message": content, "context": {"topic": topic}}}
        self._bus.publish(topic, event, component=component)
        return {}

    def _subscribe_to_topic(self, component: str, request: Request, stream: Stream) -> Response:
        topic = self._text(request, "topic")
        self._check(component, PUBSUB, "SubscribeToTopic", topic)
        mode = request.get("receiveMode") or ("RECEIVE_MESSAGES_FROM_OTHERS" if _wild(topic) else "")
        own = self._lite or mode != "RECEIVE_MESSAGES_FROM_OTHERS"

        def receive(event: Mapping[str, Any]) -> None:
            stream.event("SubscriptionResponseMessage", event)

        stream.until_closed(self._bus.subscribe(topic, receive, component=component, own=own))
        return {}

    # ---- Messages to and from the cloud ------------------------------------------------------------------------------

    def _publish_to_iot_core(self, component: str, request: Request, stream: Stream) -> Response:  # noqa: ARG002
        topic = self._text(request, "topicName")
        qos, payload = self._qos(request), self._bytes(request.get("payload") or "")
        self._check(component, MQTT_PROXY, "PublishToIoTCore", topic)
        try:
            self._client.publish(topic, payload, qos=qos)
        except NotTaken as error:
            raise OperationError("ServiceError", self._failed("Publish", topic, error)) from None
        return {}

    def _subscribe_to_iot_core(self, component: str, request: Request, stream: Stream) -> Response:
        topic_filter = self._text(request, "topicName")
        self._qos(request)
        self._check(component, MQTT_PROXY, "SubscribeToIoTCore", topic_filter)

        def receive(topic: str, payload: bytes) -> None:
            message = {"topicName": topic, "payload": base64.b64encode(payload).decode()}
            stream.event("IoTCoreMessage", {"message": message})

        try:
            stream.until_closed(self._client.subscribe(topic_filter, receive))
        except NotTaken as error:
            raise OperationError("ServiceError", self._failed("Subscribe", topic_filter, error)) from None
        return {}

    # ---- Lifecycle ---------------------------------------------------------------------------------------------------

    def _update_state(self, component: str, request: Request, stream: Stream) -> Response:  # noqa: ARG002
        state = self._text(request, "state")
        if not (state.isupper() if self._lite else state in _STATES):
            raise self._invalid(f"{state!r} is no state to report; use {' or '.join(_STATES)}")
        self._lifecycle(component, state)
        return {}

    def _restart_component(self, component: str, request: Request, stream: Stream) -> Response:  # noqa: ARG002
        name = self._text(request, "componentName")
        self._check(component, CLI, "RestartComponent", name)
        if not self._lifecycle(name, "RESTART"):
            raise OperationError("ComponentNotFoundError", f"Component {name} not found")
        return {"restartStatus": "SUCCEEDED"}

    # ---- What requests are made of -----------------------------------------------------------------------------------

    def _check(self, component: str, service: str, operation: str, resource: str) -> None:
        configuration = self._configurations.get(component) or {}
        operation = PREFIX + operation
        check(
            configuration,
            component=component,
            service=service,
            operation=operation,
            resource=resource,
            lite=self._lite,
        )

    def _configured(self, component: str, request: Request) -> tuple[str, list[str]]:
        name = request.get("componentName", component)
        if not isinstance(name, str):
            raise self._invalid("componentName must be text")
        return name, self._path(request)

    def _path(self, request: Request) -> list[str]:
        path = request.get("keyPath", [])
        if not isinstance(path, list) or not all(isinstance(key, str) for key in path):
            raise self._invalid(f"keyPath is {path!r}; it must be a list of keys")
        return path

    def _text(self, request: Request, name: str) -> str:
        value = request.get(name)
        if not isinstance(value, str) or not value:
            raise self._invalid(f"{name} is {value!r}; it must be text")
        return value

    def _qos(self, request: Request) -> int:
        # Without one, lite sends at most once and the classic nucleus at least once.
        asked = request.get("qos", "0" if self._lite else "1")
        if str(asked) not in ("0", "1", "2") or (not self._lite and asked not in ("0", "1")):
            raise self._invalid(f"qos is {asked!r}; it must be '0' or '1'")
        return int(asked)

    def _bytes(self, text: Any) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except (ValueError, TypeError):
            raise self._invalid("the payload is no base64") from None

    def _failed(self, what: str, topic: str, error: NotTaken) -> str:
        return str(error) if self._lite else f"{what} to topic {topic} failed with error {error}"

    def _invalid(self, message: str) -> OperationError:
        return OperationError("ServiceError" if self._lite else "InvalidArgumentsError", message)


def _wild(topic_filter: str) -> bool:
    return "+" in topic_filter or "#" in topic_filter


_OPERATIONS: Final[Mapping[str, Callable[[Operations, str, Request, Stream], Response]]] = {
    "GetConfiguration": Operations._get_configuration,
    "UpdateConfiguration": Operations._update_configuration,
    "SubscribeToConfigurationUpdate": Operations._subscribe_to_configuration_update,
    "PublishToTopic": Operations._publish_to_topic,
    "SubscribeToTopic": Operations._subscribe_to_topic,
    "PublishToIoTCore": Operations._publish_to_iot_core,
    "SubscribeToIoTCore": Operations._subscribe_to_iot_core,
    "UpdateState": Operations._update_state,
    "RestartComponent": Operations._restart_component,
}
