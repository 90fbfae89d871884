"""Settings of the image decoder."""

from typing import Annotated

from PIL import ImageColor
from pydantic import AfterValidator, Field

from kadr.params.base import Count, Positive, Section

PILLOW_MAX_PIXELS = 178_956_970
"""Maximum number of pixels that Pillow accepts."""


def _valid_colour(name: str) -> str:
    try:
        ImageColor.getrgb(name)
    except ValueError as error:
        raise ValueError(f"{name!r} is not a colour. Use a colour name or #RRGGBB, e.g. white or #ffffff") from error
    return name


class DecodingParams(Section):
    """Settings of the image decoder. The decoder rejects images that exceed a limit."""

    background: Annotated[str, AfterValidator(_valid_colour)] = Field(
        default="white", description="Colour behind transparent pixels: a colour name or #RRGGBB."
    )
    max_pixels: Annotated[int, Field(ge=1, le=PILLOW_MAX_PIXELS)] = Field(
        default=178_000_000, description="Maximum number of pixels per image. Larger images are invalid."
    )
    max_megabytes: Positive = Field(
        default=500, description="Maximum size of an image file in megabytes. Larger files are invalid."
    )
    max_aspect_ratio: Annotated[float, Field(ge=1)] = Field(
        default=200, description="Maximum ratio of the longer side to the shorter side. Longer images are invalid."
    )
    seconds: Positive = Field(
        default=60, description="Maximum time to read and decode one image, in seconds. Slower images are invalid."
    )
    memory_mb: Count = Field(
        default=4096, description="Maximum memory to decode one image, in megabytes. Larger images are invalid."
    )

    @property
    def background_rgb(self) -> tuple[int, int, int]:
        """Background colour as red, green and blue, 0 to 255 each."""
        return ImageColor.getrgb(self.background)[:3]
