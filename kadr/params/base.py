"""Base class and shared types of the settings models."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class Section(BaseModel):
    """A section of params.yaml. Sections are immutable and reject unknown keys.

    The description of a field also appears as a comment in params.yaml, in error messages and in docs/settings.md.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
