"""Draw the results of a search in a single image."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from kadr.io.thumbnails import thumbnail_or_placeholder
from kadr.search.results import Match

_SIDE = 240  # longer side of a thumbnail in pixels
_GAP = 16
_LABEL_HEIGHT = 44
_TITLE_HEIGHT = 48
_MAX_COLUMNS = 5
_BACKGROUND, _TEXT_COLOUR, _PATH_COLOUR = "#ffffff", "#1c1c1e", "#6b6b70"


def draw_grid(text: str, matches: Sequence[Match]) -> Image.Image:
    """Draw search results in rows of five, with the rank, score and file name of each image.

    Args:
        text: title to draw above the images.
        matches: search results, best first.

    Raises:
        InputError: an image is missing or cannot be decoded.
    """
    n_columns = max(1, min(_MAX_COLUMNS, len(matches)))
    n_rows = -(-len(matches) // n_columns)
    width = n_columns * (_SIDE + _GAP) + _GAP
    height = _TITLE_HEIGHT + n_rows * (_SIDE + _LABEL_HEIGHT + _GAP) + _GAP
    grid = Image.new("RGB", (width, height), _BACKGROUND)
    draw = ImageDraw.Draw(grid)
    title_font = _font(20)
    draw.text((_GAP, _GAP), _shorten(draw, text, title_font, width - 2 * _GAP), fill=_TEXT_COLOUR, font=title_font)
    for position, match in enumerate(matches):
        row, column = divmod(position, n_columns)
        corner = (_GAP + column * (_SIDE + _GAP), _TITLE_HEIGHT + _GAP + row * (_SIDE + _LABEL_HEIGHT + _GAP))
        _draw_match(grid, draw, position + 1, match, corner)
    return grid


def _draw_match(grid: Image.Image, draw: ImageDraw.ImageDraw, rank: int, match: Match, corner: tuple[int, int]) -> None:
    left, top = corner
    thumbnail = thumbnail_or_placeholder(match.path, _SIDE)
    grid.paste(thumbnail, (left + (_SIDE - thumbnail.width) // 2, top + _SIDE - thumbnail.height))
    score_font, path_font = _font(13), _font(11)
    scores = {"relevance": match.relevance, "cosine": match.score}
    score = next((f" {name} {value:.2f}" for name, value in scores.items() if value is not None), "")
    name = _shorten(draw, Path(match.path).name, path_font, _SIDE)
    draw.text((left, top + _SIDE + 6), f"{rank}.{score}", fill=_TEXT_COLOUR, font=score_font)
    draw.text((left, top + _SIDE + 26), name, fill=_PATH_COLOUR, font=path_font)


def _shorten(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Shorten a text to at most `width` pixels, and add an ellipsis at the end."""
    if draw.textlength(text, font=font) <= width:
        return text
    while text and draw.textlength(text + "…", font=font) > width:
        text = text[:-1]
    return text + "…"


def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font DejaVu Sans, which is part of matplotlib and has Latin, Greek and Cyrillic letters."""
    import matplotlib as mpl

    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)
