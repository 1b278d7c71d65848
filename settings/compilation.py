"""What models are compiled for."""

from typing import Self

from pydantic import Field, model_validator

from reefloop.compilation.targets import TARGETS
from settings.branch import Branch


class CompilationSettings(Branch):
    targets: tuple[str, ...] = tuple(TARGETS)
    minimum_targets: int = Field(1, ge=0)
    """Fewer compiled targets than this fail the stage."""
    max_concurrency: int = Field(5, ge=1, le=40)
    max_runtime_seconds: int = Field(900, ge=60, le=24 * 3600)

    @model_validator(mode="after")
    def _targets_exist(self) -> Self:
        if unknown := [name for name in self.targets if name not in TARGETS]:
            raise ValueError(f"unknown target {unknown[0]!r}; known are {', '.join(TARGETS)}")
        if not self.targets or len(set(self.targets)) != len(self.targets):
            raise ValueError(f"targets must name at least one target, each once; got {list(self.targets)}")
        if self.minimum_targets > len(self.targets):
            raise ValueError(f"minimum_targets {self.minimum_targets} is more than the {len(self.targets)} targets")
        return self
