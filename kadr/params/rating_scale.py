"""Setting `ingest.rating_scale`: the lowest and the highest rating that raters can give."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, WithJsonSchema
from pydantic.dataclasses import dataclass


def _check_scale(value: object) -> object:
    if value == "auto":
        return value
    if not (isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(end, int | float) for end in value)):
        raise ValueError(f"{value!r} is not a rating scale. Use auto, or two numbers such as [1, 5]")
    if value[0] >= value[1]:
        raise ValueError(
            f"{list(value)} is not a rating scale. The first number must be lower than the second number. If low "
            "ratings mean that a text fits, convert the ratings in the table"
        )
    return tuple(value)


ScaleSetting = Annotated[Literal["auto"] | tuple[float, float], BeforeValidator(_check_scale)]
"""`auto`, or the lowest and the highest rating."""


@dataclass(frozen=True, config={"extra": "forbid"})
class SourceScales:
    """Rating scale of each source.

    Attributes:
        expert: scale of the expert ratings.
        crowd: scale of the crowd ratings.
    """

    expert: ScaleSetting = "auto"
    crowd: ScaleSetting = "auto"


def _to_source_scales(value: object) -> object:
    """Convert `auto` or a single scale to a scale for each source. A single scale applies to the expert ratings."""
    if isinstance(value, dict) and (unknown := set(value) - {"expert", "crowd"}):
        raise ValueError(f"unknown source {', '.join(map(str, sorted(unknown)))}. The sources are expert and crowd")
    return value if isinstance(value, dict | SourceScales) else {"expert": value}


_SCHEMA = {"anyOf": [{"const": "auto"}, {"type": "array", "prefixItems": [{}, {}]}, {"type": "object"}]}

RatingScaleSetting = Annotated[SourceScales, BeforeValidator(_to_source_scales), WithJsonSchema(_SCHEMA)]
"""`auto`, a single scale for the expert ratings, or a mapping with a scale for each source."""
