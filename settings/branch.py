"""What every branch of the settings is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0, lt=1)]
Seconds = Annotated[int, Field(ge=1)]
Instance = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]


class Branch(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
