"""Topic rules: moto keeps them, and here every message that one of them asks for is acted on."""

import base64
import json
import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any, Final

from moto.iot.exceptions import IoTClientError
from moto.iot.models import FakeRule, IoTBackend, iot_backends

from offline.api import Call, ServiceError
from offline.broker import Published, matches
from offline.services.iot.actions import KINDS, Actions, check
from offline.services.iot.expressions import Message
from offline.services.iot.sql import VERSION, Result, SqlError, Unanswerable, statement
from offline.state import ACCOUNT_ID, State

_log = logging.getLogger(__name__)

_THREADS: Final = 8  # as in AWS, messages may overtake each other


class Rules:
    """The rules of one account. Safe to use from any thread."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._actions = Actions(state)
        self._waiting: SimpleQueue[tuple[FakeRule, Published] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._starting = threading.Lock()

    @property
    def _backend(self) -> IoTBackend:
        return iot_backends[ACCOUNT_ID][self._state.region]

    def create(self, call: Call) -> Mapping[str, Any]:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_CreateTopicRule.html"""
        return self._keep(call, self._backend.create_topic_rule)

    def replace(self, call: Call) -> Mapping[str, Any]:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ReplaceTopicRule.html"""
        return self._keep(call, self._backend.replace_topic_rule)

    def take(self, message: Published) -> None:
        """Have every rule that asks for a message act on it, soon and in other threads."""
        for rule in list(self._backend.rules.values()):
            if not rule.rule_disabled and matches(statement(rule.sql).topic_filter, message.topic):
                self._start()
                self._waiting.put((rule, message))

    def close(self) -> None:
        """Finish what was begun, and nothing that waits."""
        while not self._waiting.empty():
            self._waiting.get()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _keep(self, call: Call, keep: Callable[..., None]) -> Mapping[str, Any]:
        payload = call.parameters["topicRulePayload"]
        _check(payload)
        try:
            keep(
                rule_name=call.parameters["ruleName"],
                sql=payload["sql"],
                description=payload.get("description"),
                rule_disabled=payload.get("ruleDisabled"),
                actions=payload["actions"],
                error_action=payload.get("errorAction"),
                aws_iot_sql_version=payload["awsIotSqlVersion"],
            )
        except IoTClientError as error:
            raise ServiceError(error.error_type, error.message) from None
        return {}

    def _start(self) -> None:
        with self._starting:
            if not self._threads:
                self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(_THREADS)]
                for thread in self._threads:
                    thread.start()

    def _work(self) -> None:
        while (order := self._waiting.get()) is not None:
            try:
                self._act(*order)
            except Exception:
                _log.exception("rule %s: a message to %s was not acted on", order[0].rule_name, order[1].topic)

    def _act(self, rule: FakeRule, published: Published) -> None:
        message = Message(published)
        try:
            result = statement(rule.sql).evaluate(message)
        except Unanswerable as error:
            _log.warning("rule %s: %s", rule.rule_name, error)  # errors of the SQL reach no error action in AWS either
            return
        failures = [failure for action in rule.actions if (failure := self._try(rule, action, message, result))]
        if failures and rule.error_action:
            told = _failure(rule, published, failures)
            self._try(rule, rule.error_action, message, Result(json.dumps(told).encode(), told))

    def _try(
        self, rule: FakeRule, action: Mapping[str, Any], message: Message, result: Result
    ) -> dict[str, str] | None:
        """None; or what went wrong, as an error action is told it."""
        try:
            self._actions.run(action, rule.arn, message, result)
        except Exception as error:  # it may fail in every way that a service can
            ((kind, given),) = action.items()
            _log.warning("rule %s: %s failed: %s", rule.rule_name, KINDS[kind].title, error)
            resource = given[KINDS[kind].resource]
            return {
                "failedAction": KINDS[kind].title,
                "failedResource": resource if isinstance(resource, str) else resource["tableName"],
                "errorMessage": str(error),
            }
        return None


def _check(payload: Mapping[str, Any]) -> None:
    """Refuse a rule that does not do here what it says."""
    if (version := payload.get("awsIotSqlVersion", "2015-10-08")) != VERSION:
        raise NotImplementedError(f"awsIotSqlVersion is {version}, which is AWS's default; known is {VERSION}")
    try:
        statement(payload["sql"])
    except SqlError as error:
        raise ServiceError("SqlParseException", str(error)) from None
    for action in [*payload["actions"], *([payload["errorAction"]] if payload.get("errorAction") else [])]:
        try:
            check(action)
        except ValueError as error:
            raise ServiceError("InvalidRequestException", str(error)) from None


def _failure(rule: FakeRule, published: Published, failures: list[dict[str, str]]) -> dict[str, Any]:
    """https://docs.aws.amazon.com/iot/latest/developerguide/rule-error-handling.html"""
    return {
        "ruleName": rule.rule_name,
        "topic": published.topic,
        "cloudwatchTraceId": str(uuid.uuid4()),
        "clientId": published.client or "n/a",
        "base64OriginalPayload": base64.b64encode(published.payload).decode(),
        "failures": failures,
    }
