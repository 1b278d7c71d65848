"""Every knob of the deployment, validated. Values come from cdk.json's context; each stack gets only its branch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import ValidationError, model_validator

from reefloop.labeling import ground_truth
from settings.branch import Branch
from settings.compilation import CompilationSettings
from settings.deployment import DeploymentSettings
from settings.labeling import LabelingSettings, PublicWorkforceSettings, WorkforceSettings
from settings.operations import JobsSettings, OperationsSettings, StorageSettings, WorkstationSettings
from settings.training import GateSettings, TrainingSettings

__all__ = [
    "CompilationSettings",
    "DeploymentSettings",
    "GateSettings",
    "JobsSettings",
    "LabelingSettings",
    "OperationsSettings",
    "PublicWorkforceSettings",
    "Settings",
    "SettingsError",
    "StorageSettings",
    "TrainingSettings",
    "WorkforceSettings",
    "WorkstationSettings",
]

# What pydantic says in words of Python.
_IN_PLAIN_WORDS: Final = {
    "missing": "it must be given",
    "tuple_type": "it must be a list",
    "dict_type": "it must be an object",
    "string_type": "it must be a text",
}

STAGES: Final = ("laptop", "sandbox", "production")


class SettingsError(Exception):
    """A setting that is not allowed; the message is one sentence a person can act on."""


class Settings(Branch):
    stage: Literal["laptop", "sandbox", "production"]
    region: Literal[*ground_truth.ACCOUNTS] = "us-east-1"  # type: ignore[valid-type]
    task: Literal["classification", "detection"] = "classification"
    operations: OperationsSettings = OperationsSettings()
    storage: StorageSettings = StorageSettings()
    jobs: JobsSettings = JobsSettings()
    labeling: LabelingSettings = LabelingSettings()
    training: TrainingSettings = TrainingSettings()
    compilation: CompilationSettings = CompilationSettings()
    deployment: DeploymentSettings = DeploymentSettings()
    workstation: WorkstationSettings = WorkstationSettings()

    @model_validator(mode="after")
    def _labeling_fits_task_and_region(self) -> Self:
        labeling = self.labeling
        if self.task == "detection" and labeling.page == "custom":
            raise ValueError("labeling.page 'custom' asks for classes, and task is 'detection': use 'built-in'")
        if (arn := labeling.vendor_workteam_arn) and arn.split(":")[3] != self.region:
            raise ValueError(f"labeling.vendor_workteam_arn {arn!r} is not of region {self.region}: name a team there")
        if (own := labeling.workforce) and own.user_pool_id.rpartition("_")[0] != self.region:
            raise ValueError(f"labeling.workforce.user_pool_id {own.user_pool_id!r} is not of region {self.region}")
        kind = ground_truth.KINDS[
            ground_truth.kinds_of(self.task, page=labeling.page, review=labeling.review)["labelers"]
        ]
        if (public := labeling.public_workforce) and public.price_usd not in kind.prices_usd:
            raise ValueError(
                f"labeling.public_workforce.price_usd {public.price_usd} is not one of the service's prices for "
                f"{self.task}: {', '.join(map(str, kind.prices_usd))}"
            )
        return self

    @classmethod
    def load(cls, stage: str | None = None, *, context: Mapping[str, Any] | None = None) -> Self:
        """The settings of a named stage.

        Args:
            stage: laptop, sandbox or production; without it, the context's `stage`.
            context: CDK context; without it, the context of cdk.json. Its `provider`, where it has
                one, is labeling.provider in place of the stage's: -c provider=station.

        Raises:
            SettingsError: naming the setting, its value and what is allowed.
        """
        if context is None:
            context = json.loads((Path(__file__).parents[1] / "cdk.json").read_text())["context"]
        name = stage or context.get("stage")
        if name not in STAGES:
            raise SettingsError(f"stage is {name!r}; allowed are {', '.join(STAGES)}: choose one with -c stage=...")
        values = _object(_object(context.get("stages") or {}, "stages").get(name, {}), f"stages.{name}")
        if "stage" in values:
            raise SettingsError(
                f"stages.{name}.stage in cdk.json is {values['stage']!r}: the stage is {name}, leave it out"
            )
        if provider := context.get("provider"):
            labeling = _object(values.get("labeling", {}), f"stages.{name}.labeling")
            values = {**values, "labeling": {**labeling, "provider": provider}}
        try:
            return cls.model_validate({**values, "stage": name})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(["stages", name, *map(str, first["loc"])])
            reason = _IN_PLAIN_WORDS.get(first["type"]) or first["msg"].removeprefix("Value error, ")
            given = "" if isinstance(first["input"], dict | Branch) else f" is {first['input']!r}"
            raise SettingsError(f"{where} in cdk.json{given}: {reason}") from None


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{where} in cdk.json is {value!r}: it must be an object")
    return value
