"""Base class and common types of the settings."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class Section(BaseModel):
    """A section of params.yaml. It is immutable, and an unknown key is an error.

    The description of a field is also the comment of its key in params.yaml, a part of its error messages, and its
    entry in docs/settings.md.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
