"""What came of a model."""

import logging
from dataclasses import dataclass
from typing import Final, Self

from classifier.models.model import Model

log = logging.getLogger(__name__)

_REASON_CHARACTERS: Final = 400
"""A reason travels in a health record, which is small."""


@dataclass(frozen=True)
class Outcome:
    """The model that passed, or why `version` did not."""

    version: str
    model: Model | None
    reason: str = ""

    @classmethod
    def passed(cls, model: Model) -> Self:
        log.info("model %s serves on %s", model.package.version, model.runtime)
        return cls(model.package.version, model)

    @classmethod
    def refused(cls, version: str, reason: str) -> Self:
        log.warning("model %s is refused: %s", version, reason)
        return cls(version, None, reason[:_REASON_CHARACTERS])
