"""What models are compiled for."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from reefloop.compilation import rules
from reefloop.compilation.targets import DEFAULT, NAME, TARGETS, Target
from settings.branch import Branch

MeasuredOn = Annotated[str, Field(pattern=r"^(|host|ml\.[a-z0-9-]+\.[a-z0-9]+)$")]


class EndpointSettings(Branch):
    """A short-lived endpoint for each cloud target: made, asked once, deleted."""

    enabled: bool = False
    timeout_seconds: int = Field(1800, ge=1, le=3600)
    """An endpoint that does not serve by then has failed. SageMaker itself waits no longer for a container:
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html"""


class PlatformSettings(Branch):
    """CreateCompilationJob's TargetPlatform, in its own words; reefloop.compilation.rules says what goes together."""

    Os: str
    Arch: str
    Accelerator: str | None = None


class OwnTarget(Branch):
    """A target that the table does not have: reefloop.compilation.targets.Target says what each field means."""

    name: str = Field(max_length=40)
    device: str = ""
    platform: PlatformSettings | None = None
    compiler_options: dict[str, Any] = {}
    greengrass: dict[str, str] = {}
    runtime: Literal["dlr", "onnxruntime", "coreml"] = "dlr"
    portable: bool = True
    measured_on: MeasuredOn = ""

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError("a name has small letters from a to z and digits, with a single - or _ between them")
        return name

    @model_validator(mode="after")
    def _neo_takes_it(self) -> Self:
        if self.name in TARGETS:
            raise ValueError(f"{self.name!r} is the name of a ready-made target: choose another")
        if bool(self.device) == bool(self.platform):
            raise ValueError(f"target {self.name!r} must name a device or a platform, and not both")
        try:
            rules.check_target(self.target())
        except rules.TargetInvalid as error:
            raise ValueError(str(error)) from None
        return self

    def target(self) -> Target:
        return Target(
            self.name,
            device=self.device,
            platform=self.platform.model_dump(exclude_none=True) if self.platform else {},
            compiler_options=self.compiler_options,
            greengrass=self.greengrass or None,
            runtime=self.runtime,
            portable=self.portable,
            measured_on=self.measured_on,
        )


class CompilationSettings(Branch):
    targets: tuple[str, ...] = DEFAULT
    """What the loop's own model is compiled for: names of the table, and of `own_targets`."""
    own_targets: tuple[OwnTarget, ...] = ()
    minimum_targets: int = Field(1, ge=0)
    """Fewer compiled targets than this fail the stage."""
    max_accuracy_loss: float = Field(0.01, ge=0, le=1)
    """A compiled model that loses more of the test split than this share is not shipped, where that can be measured."""
    max_concurrency: int = Field(5, ge=1, le=40)
    max_runtime_seconds: int = Field(900, ge=60, le=24 * 3600)
    endpoint: EndpointSettings = EndpointSettings()

    @property
    def known(self) -> Mapping[str, Target]:
        """Every target that can be named, ready-made and own. Models from elsewhere are compiled for any of them."""
        return {**TARGETS, **{own.name: own.target() for own in self.own_targets}}

    @property
    def chosen(self) -> tuple[Target, ...]:
        """What `targets` names, in its order."""
        known = self.known
        return tuple(known[name] for name in self.targets)

    @model_validator(mode="after")
    def _targets_exist(self) -> Self:
        own = [target.name for target in self.own_targets]
        if twice := [name for name in own if own.count(name) > 1]:
            raise ValueError(f"own_targets has {twice[0]!r} more than once: give each its own name")
        if unknown := [name for name in self.targets if name not in TARGETS and name not in own]:
            raise ValueError(f"unknown target {unknown[0]!r}; known are {', '.join((*TARGETS, *own))}")
        if not self.targets or len(set(self.targets)) != len(self.targets):
            raise ValueError(f"targets must name at least one target, each once; got {list(self.targets)}")
        if self.minimum_targets > len(self.targets):
            raise ValueError(
                f"minimum_targets {self.minimum_targets} is more than the {len(self.targets)} that targets names: name "
                "more, or ask for fewer"
            )
        return self

    @model_validator(mode="after")
    def _every_target_can_have_the_loops_model(self) -> Self:
        for target in self.chosen:
            if not rules.loop_framework(target):
                why = "; ".join(rules.verdict(framework, target).reason for framework in rules.MADE_HERE)
                raise ValueError(f"the loop's model cannot be compiled for {target.name!r}: {why}")
        return self

    @model_validator(mode="after")
    def _every_core_device_is_asked_for_once(self) -> Self:
        asked: dict[frozenset[tuple[str, str]], str] = {}
        for target in self.chosen:
            if (
                target.greengrass
                and (first := asked.setdefault(frozenset(target.greengrass.items()), target.name)) != target.name
            ):
                raise ValueError(
                    f"targets {first!r} and {target.name!r} ask for the same core devices {dict(target.greengrass)}: "
                    "tell them apart with an attribute such as board"
                )
        return self
