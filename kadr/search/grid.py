"""A search's answer as one picture: the found photos in reading order, each with its rank and score."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from kadr.io.thumbnails import open_thumbnail
from kadr.search.results import Match

_SIDE = 240  # pixels of a photo's longer side
_GAP = 16
_LABEL = 44  # height of the two lines under a photo
_TITLE = 48
_COLUMNS = 5
_PAPER, _INK, _FAINT = "#ffffff", "#1c1c1e", "#6b6b70"


def draw_grid(text: str, matches: Sequence[Match]) -> Image.Image:
    """Picture of `matches` in rows of five under the title `text`.

    Raises:
        InputError: a photo is missing or cannot be decoded.
    """
    n_columns = max(1, min(_COLUMNS, len(matches)))
    n_rows = -(-len(matches) // n_columns)
    width = n_columns * (_SIDE + _GAP) + _GAP
    grid = Image.new("RGB", (width, _TITLE + n_rows * (_SIDE + _LABEL + _GAP) + _GAP), _PAPER)
    draw = ImageDraw.Draw(grid)
    title = _font(20)
    draw.text((_GAP, _GAP), _fitted(draw, text, title, width - 2 * _GAP), fill=_INK, font=title)
    for at, match in enumerate(matches):
        corner = (_GAP + at % n_columns * (_SIDE + _GAP), _TITLE + _GAP + at // n_columns * (_SIDE + _LABEL + _GAP))
        _draw_match(grid, draw, at + 1, match, corner)
    return grid


def _draw_match(grid: Image.Image, draw: ImageDraw.ImageDraw, rank: int, match: Match, corner: tuple[int, int]) -> None:
    left, top = corner
    photo = open_thumbnail(match.path, _SIDE)
    grid.paste(photo, (left + (_SIDE - photo.width) // 2, top + _SIDE - photo.height))
    label, font = _font(13), _font(11)
    score = f"cosine {match.score:.2f}" if match.relevance is None else f"relevance {match.relevance:.2f}"
    draw.text((left, top + _SIDE + 6), f"{rank}. {score}", fill=_INK, font=label)
    draw.text((left, top + _SIDE + 26), _fitted(draw, Path(match.path).name, font, _SIDE), fill=_FAINT, font=font)


def _fitted(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """`text`, its end cut off with an ellipsis where it is wider than `width` pixels."""
    if draw.textlength(text, font=font) <= width:
        return text
    while text and draw.textlength(text + "…", font=font) > width:
        text = text[:-1]
    return text + "…"


def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans (Latin, Cyrillic, Greek...), which comes with matplotlib."""
    import matplotlib as mpl

    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)
