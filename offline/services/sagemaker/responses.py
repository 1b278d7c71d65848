"""SageMaker's calls that moto lacks or answers with what it made up."""

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.responses import SageMakerResponse

from offline.services.sagemaker.endpoints import naive
from offline.services.sagemaker.jobs import KINDS, Kind, Record

_PAGE = 100


class Responses(SageMakerResponse):
    """Takes requests apart; what they mean is the backend's."""

    def list_models(self) -> Any:
        """Those that are asked for; moto lists all."""
        before = self._get_param("CreationTimeBefore")
        found = [
            {"ModelName": model.model_name, "ModelArn": model.arn, "CreationTime": model.creation_time}
            for model in self.sagemaker_backend.list_models()
            if self._get_param("NameContains", "").lower() in model.model_name.lower()
            and (before is None or model.creation_time < naive(before))
        ]
        return ActionResult({"Models": found})

    def delete_model_package(self) -> Any:
        self.sagemaker_backend.delete_model_package(self._get_param("ModelPackageName"))
        return EmptyResult()

    def delete_model_package_group(self) -> Any:
        self.sagemaker_backend.delete_model_package_group(self._get_param("ModelPackageGroupName"))
        return EmptyResult()


def _create(kind: Kind) -> Callable[[Responses], Any]:
    def create(self: Responses) -> Any:
        backend, request = self.sagemaker_backend, dict(self.params)
        getattr(backend, f"check_{kind.kind}")(request)
        return ActionResult({f"{kind.prefix}JobArn": backend.jobs.create(kind, request, backend.state).arn})

    return create


def _describe(kind: Kind) -> Callable[[Responses], Any]:
    def describe(self: Responses) -> Any:
        return ActionResult(self.sagemaker_backend.jobs.find(kind, self._get_param(f"{kind.prefix}JobName")).describe())

    return describe


def _stop(kind: Kind) -> Callable[[Responses], Any]:
    def stop(self: Responses) -> Any:
        self.sagemaker_backend.jobs.stop(kind, self._get_param(f"{kind.prefix}JobName"))
        return EmptyResult()

    return stop


def _delete(kind: Kind) -> Callable[[Responses], Any]:
    def delete(self: Responses) -> Any:
        self.sagemaker_backend.jobs.delete(kind, self._get_param(f"{kind.prefix}JobName"))
        return EmptyResult()

    return delete


def _list(kind: Kind) -> Callable[[Responses], Any]:
    def list_(self: Responses) -> Any:
        found = sorted(
            filter(lambda record: _wanted(self, record), self.sagemaker_backend.jobs.of(kind)),
            key=lambda record: record.name if self._get_param("SortBy") == "Name" else record.created.isoformat(),
            reverse=self._get_param("SortOrder", "Descending") == "Descending",
        )
        start, size = int(self._get_param("NextToken") or 0), int(self._get_param("MaxResults") or _PAGE)
        answer: dict[str, Any] = {kind.summaries: [_summary(record) for record in found[start : start + size]]}
        if start + size < len(found):
            answer["NextToken"] = str(start + size)
        return ActionResult(answer)

    return list_


def _wanted(self: Responses, record: Record) -> bool:
    after, before = self._get_param("CreationTimeAfter"), self._get_param("CreationTimeBefore")
    return (
        self._get_param("NameContains", "").lower() in record.name.lower()
        and self._get_param("StatusEquals") in (None, record.kind.word(record.status))
        and (after is None or record.created > after)
        and (before is None or record.created < before)
    )


def _summary(record: Record) -> dict[str, Any]:
    answer = record.describe()
    human = answer.get("HumanTaskConfig", {})
    return answer | {name: human[name] for name in ("WorkteamArn", "PreHumanTaskLambdaArn") if name in human}


def _people(name: str) -> Callable[[Responses], Any]:
    def call(self: Responses) -> Any:
        return ActionResult(getattr(self.sagemaker_backend.people, name)(dict(self.params)))

    return call


_VERBS = {"create": _create, "describe": _describe, "stop": _stop, "delete": _delete}

for _kind in KINDS.values():
    for _verb, _make in _VERBS.items():
        setattr(Responses, f"{_verb}_{_kind.kind}_job", _make(_kind))
    setattr(Responses, f"list_{_kind.kind}_jobs", _list(_kind))
for _noun in ("workforce", "workteam"):
    for _verb in ("create", "describe", "update", "delete"):
        setattr(Responses, f"{_verb}_{_noun}", _people(f"{_verb}_{_noun}"))
    setattr(Responses, f"list_{_noun}s", _people(f"list_{_noun}s"))
