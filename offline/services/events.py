"""EventBridge: moto's rules, and the events that this account's SageMaker and its clock send, delivered to functions.

A rule that asks for more than that is refused when it is made: nobody would find out why it never fires.
"""

import json
import logging
import re
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError
from moto.events.exceptions import InvalidEventPatternException, ResourceNotFoundException
from moto.events.models import EventsBackend, Rule, events_backends

from offline import gate
from offline.api import Call, ServiceError
from offline.permissions import may_invoke
from offline.state import ACCOUNT_ID, State

_log = logging.getLogger(__name__)

MODEL_PACKAGE: Final = "SageMaker Model Package State Change"
# What happens here, by the service that tells of it.
_SENT: Final[Mapping[str, Sequence[str]]] = {"aws.sagemaker": (MODEL_PACKAGE,)}
# The filters of moto's matcher; by one that it does not know nothing ever matches.
_FILTERS: Final = frozenset(
    {"prefix", "suffix", "equals-ignore-case", "numeric", "anything-but", "exists", "cidr", "wildcard"}
)
_RULE: Final = frozenset({"Name", "EventPattern", "ScheduleExpression", "State", "Description", "EventBusName", "Tags"})
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
_RATE: Final = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_SECONDS: Final = {"minute": 60, "hour": 3600, "day": 86400}
_TARGET: Final = frozenset({"Id", "Arn"})
# "SageMaker AI may send multiple events to EventBridge for each state change": a function that minds is found out.
# https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
_COPIES: Final = 2


class Events:
    """The default event bus of one account."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._clocks: dict[str, threading.Timer] = {}
        state.closing.callback(self._stop_clocks)

    @property
    def _backend(self) -> EventsBackend:
        return events_backends[ACCOUNT_ID][self._state.region]

    def put_rule(self, call: Call) -> Mapping[str, Any]:
        given = call.parameters
        _only(given, _RULE, f"rule {given['Name']}")
        _on_default_bus(given)
        try:
            rule = self._backend.put_rule(
                given["Name"],
                description=given.get("Description"),
                event_pattern=given.get("EventPattern"),
                scheduled_expression=given.get("ScheduleExpression"),
                state=given.get("State"),
                tags=given.get("Tags"),
            )
        except InvalidEventPatternException as error:
            raise ServiceError("InvalidEventPatternException", error.message) from None
        try:
            if "EventPattern" in given:
                _check(rule.event_pattern.get_pattern())
            self._wind_up(rule)
        except NotImplementedError:
            self._backend.delete_rule(given["Name"], None)
            raise
        return {"RuleArn": rule.arn}

    def put_targets(self, call: Call) -> Mapping[str, Any]:
        given = call.parameters
        _on_default_bus(given)
        for target in given["Targets"]:
            _only(target, _TARGET, f"target {target['Id']}")
            if ":lambda:" not in target["Arn"]:
                raise NotImplementedError(f"events are delivered to functions only, and a target is {target['Arn']}")
        try:
            self._backend.put_targets(given["Rule"], None, list(given["Targets"]))
        except ResourceNotFoundException as error:
            raise ServiceError("ResourceNotFoundException", error.message) from None
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def send(self, source: str, detail_type: str, *, resource: str, detail: Mapping[str, Any]) -> None:
        """Tell every function that asked for such an event, at once and behind the caller's back."""
        event = self._event(source, detail_type, resource, json.loads(json.dumps(detail, default=_as_text)))
        targets = list(self._targets(event))
        for rule, function in targets * _COPIES:
            threading.Thread(target=self._deliver, args=(rule, function, event), daemon=True).start()

    def strike(self, name: str) -> None:
        """Do what the clock does when the time of a rule has come; then wind it up for the next time."""
        rule = self._backend.event_buses["default"].rules.get(name)
        if rule is None:
            return
        event = self._event("aws.events", "Scheduled Event", rule.arn, {})
        for target in rule.targets if rule.state == "ENABLED" else []:
            self._deliver(rule, target["Arn"], event)
        self._wind_up(rule)

    def _wind_up(self, rule: Rule) -> None:
        """Let a rule with a schedule be struck when its time has come."""
        if rule.name in self._clocks:
            self._clocks.pop(rule.name).cancel()
        if not rule.scheduled_expression:
            return
        if not (found := _RATE.fullmatch(rule.scheduled_expression)):
            raise NotImplementedError(
                f"a schedule is {rule.scheduled_expression}; known are those like rate(5 minutes)"
            )
        clock = threading.Timer(int(found[1]) * _SECONDS[found[2]], self.strike, [rule.name])
        clock.daemon = True
        clock.start()
        self._clocks[rule.name] = clock

    def _stop_clocks(self) -> None:
        for clock in self._clocks.values():
            clock.cancel()

    def _event(self, source: str, detail_type: str, resource: str, detail: Any) -> Any:
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": ACCOUNT_ID,
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._state.region,
            "resources": [resource],
            "detail": detail,
        }

    def _targets(self, event: Any) -> Iterator[tuple[Rule, str]]:
        for rule in list(self._backend.event_buses["default"].rules.values()):
            # A rule without a pattern would match everything.
            asks = bool(rule.event_pattern.get_pattern())
            if rule.state == "ENABLED" and asks and rule.event_pattern.matches_event(event):
                yield from ((rule, target["Arn"]) for target in rule.targets)

    def _deliver(self, rule: Rule, function: str, event: Mapping[str, Any]) -> None:
        functions = self._state.client("lambda")
        try:
            if not may_invoke(functions, function, service="events.amazonaws.com", source_arn=rule.arn):
                raise PermissionError(f"the policy of {function} does not let {rule.arn} invoke it")
            functions.invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(event))
        except (ClientError, PermissionError) as error:
            _log.warning("an event was not delivered: %s", error)  # as in AWS, where only a metric tells of it


def install(state: State) -> None:
    """Let SageMaker's events reach functions."""
    state.events = events = Events(state)
    gate.SERVICES["events:PutRule"] = events.put_rule
    gate.SERVICES["events:PutTargets"] = events.put_targets


def _check(pattern: Mapping[str, Any]) -> None:
    """Refuse a pattern that waits for what never happens here."""
    sources, kinds = pattern.get("source", []), pattern.get("detail-type", [])
    happens = [kind for source in sources if isinstance(source, str) for kind in _SENT.get(source, ())]
    if not happens or not kinds or not set(map(str, kinds)) <= set(happens):
        sent = "; ".join(f"{source}: {', '.join(names)}" for source, names in _SENT.items())
        raise NotImplementedError(f"a pattern names source {sources} and detail-type {kinds}, and sent are {sent}")
    if unknown := sorted(set(_filters(pattern)) - _FILTERS):
        raise NotImplementedError(f"a pattern filters by {unknown[0]!r}; known are {', '.join(sorted(_FILTERS))}")


def _filters(pattern: Any) -> Iterator[str]:
    """The names of the filters in a pattern: the keys of objects that stand in lists."""
    if isinstance(pattern, Mapping):
        for name, inner in pattern.items():
            if name == "$or":
                for one in inner:
                    yield from _filters(one)
            elif isinstance(inner, list):
                yield from (key for one in inner if isinstance(one, Mapping) for key in one)
            else:
                yield from _filters(inner)


def _only(given: Mapping[str, Any], known: frozenset[str], what: str) -> None:
    if unknown := sorted(set(given) - known):
        raise NotImplementedError(f"{what} has {unknown[0]}; known are {', '.join(sorted(known))}")


def _on_default_bus(given: Mapping[str, Any]) -> None:
    if given.get("EventBusName", "default").rpartition("/")[2] != "default":
        raise NotImplementedError(f"the event bus is {given['EventBusName']}; there is the default one only")


def _as_text(value: Any) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else str(value)
