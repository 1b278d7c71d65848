"""What every branch of the settings is made of."""

import difflib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(gt=0, lt=1)]
Seconds = Annotated[int, Field(ge=1)]
Instance = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]


class Branch(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _names_settings_that_there_are(cls, given: Any) -> Any:
        known = ", ".join(cls.model_fields)
        if isinstance(given, cls):
            return given
        if not isinstance(given, Mapping):
            raise ValueError(  # noqa: TRY004  pydantic takes a TypeError for a bug
                f"it must be an object with settings of its own: {known}"
            )
        if unknown := [name for name in given if name not in cls.model_fields]:
            close = difflib.get_close_matches(str(unknown[0]), cls.model_fields, n=1)
            perhaps = f": did you mean {close[0]}?" if close else ""
            raise ValueError(f"there is no setting {unknown[0]!r} here; there are {known}{perhaps}")
        return given
