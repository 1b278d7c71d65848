"""Payloads of deployment: its input and output, what its functions return, and what devices report."""

from typing import Literal, TypedDict

from reefloop.payloads.compilation import Package


class DeploymentInput(TypedDict):
    model_version: str
    packages: list[Package]


class DeploymentOutput(TypedDict):
    model_version: str
    component_version: str
    canary: "Rollout"
    fleet: "Rollout"


class Component(TypedDict):
    component_arn: str
    component_version: str


class Rollout(TypedDict):
    """One deployment of the model to one thing group, and until when its devices may take to prove the model."""

    deployment_id: str
    deadline: str


HealthState = Literal["waiting", "passed", "failed", "refused", "replaced"]
"""`refused`: a device's self-test failed, which the model itself is to blame for. `replaced`: the group has another
deployment by now, so that nothing can be said of this one. `failed` is every other end."""


class Health(TypedDict):
    state: HealthState
    reasons: list[str]


class RolledBack(TypedDict):
    """What the canary group has now, as the end of a sentence about its devices."""

    outcome: str


class ModelReport(TypedDict):
    """The part of a health record that says what became of a device's newest model: `version` names it, whether it
    serves or was refused; with "none" no model has come yet."""

    version: str
    target: str
    runtime: str
    self_test: Literal["passed", "failed", "none"]
    reason: str
