"""Names of the columns that people give to images, texts, raters, ratings and times, and how a header is matched."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kadr.errors import InputError

ALIASES: dict[str, tuple[str, ...]] = {
    "image": (
        "image img photo picture pic file filename imagename imgname imagefile photoname filepath imagepath imgpath "
        "photopath path изображение картинка фото фотография файл имяфайла bild foto",
        "imageid imgid photoid pictureid fileid",
        "imageurl imgurl photourl pictureurl fileurl url uri cocourl flickrurl key",
    ),
    "text": (
        "text query querytext caption captiontext sentence description phrase prompt title запрос текст подпись "
        "описание",
        "raw statement",
    ),
    "query_id": ("queryid qid textid captionid sentenceid sentid querynumber",),
    "caption_id": ("captionid sentenceid sentid queryid",),
    "rater": (
        "rater raterid ratername worker workerid annotator annotatorid annotatorname assessor assessorid judge judgeid "
        "labeler labelerid labeller coder coderid evaluator evaluatorid reviewer reviewerid participant participantid "
        "completedby оценщик асессор эксперт разметчик аннотатор",
        "user userid username subject subjectid person email who name пользователь",
    ),
    "rating": (
        "rating score grade mark relevance stars similarity overallscore оценка балл",
        "rate label vote answer judgement judgment response value categorylabel",
    ),
    "source": ("source ratingsource",),
    "time": (
        "time submittime submittedat completedat finishedat ratedat answeredat timestamp datetime время",
        "updatedat lastmodified modifiedat",
        "createdat creationtime date annotatedat дата",
    ),
    "scale_min": ("scalemin minscale ratingmin minrating",),
    "scale_max": ("scalemax maxscale ratingmax maxrating",),
}
"""Headers of each canonical column, in groups from the most to the least specific, as keys (see `column_key`).

A header of an earlier group is preferred to a header of a later group.
"""

_SEPARATORS = re.compile(r"[\s_\-.:/#]+")
_FORM_PREFIX = re.compile(r"^(input|answer)\.", re.IGNORECASE)


def column_key(header: str) -> str:
    """Return the key by which headers are compared: without case, spaces, `_`, `-` and `.`.

    The prefixes `Input.` and `Answer.` of Mechanical Turk are ignored.

    >>> column_key("Image_ID"), column_key("Input.image-url"), column_key(" Worker Id ")
    ('imageid', 'imageurl', 'workerid')
    """
    composed = unicodedata.normalize("NFKC", header).strip()
    return _SEPARATORS.sub("", _FORM_PREFIX.sub("", composed)).casefold()


def find_columns(header: Sequence[str], required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, str] | None:
    """Find the canonical columns in a header.

    Args:
        header: cells of the header.
        required: canonical columns that the table must have.
        optional: canonical columns that the table can have.

    Returns:
        The header cell of each canonical column, or None if a required column is missing.

    Raises:
        InputError: two headers fit the same column, and neither is its exact name.

    >>> find_columns(["Img_ID", "Query Text", "note"], ["image", "text"], ["rater"])
    {'image': 'Img_ID', 'text': 'Query Text'}
    """
    found: dict[str, str] = {}
    for column in (*required, *optional):
        free = [cell for cell in header if cell and cell not in found.values()]
        cells = _find_column(free, column)
        if len(cells) > 1:
            raise InputError(
                f"the header contains {' and '.join(cells)}, which both fit the column {column}. Expected one of them. "
                f"Rename the wanted column to {column}, or remove the other column."
            )
        if cells:
            found[column] = cells[0]
        elif column in required:
            return None
    return found


def _find_column(header: Sequence[str], column: str) -> list[str]:
    """Return the header cells that fit a canonical column equally well."""
    if column in header:
        return [column]
    groups = [{column_key(column)}, *(set(group.split()) for group in ALIASES.get(column, ()))]
    for keys in groups:
        cells = list(dict.fromkeys(cell for cell in header if column_key(cell) in keys))
        if cells:
            return cells
    return []


@dataclass(frozen=True)
class Columns:
    """Function that selects the columns of a table by their aliases, as `read_rows` expects.

    Attributes:
        required: canonical columns that the table must have.
        optional: canonical columns that the table can have.
        others: function that returns whether another header cell names a column to read. The column keeps its name.
            None to read no other columns.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    others: Callable[[str], bool] | None = None

    def __call__(self, header: Sequence[str]) -> Mapping[str, str] | None:
        """Return the header cell of each column to read, or None if a required column is missing.

        Raises:
            InputError: two headers fit the same column.
        """
        columns = find_columns(header, self.required, self.optional)
        if columns is None or self.others is None:
            return columns
        free = [cell for cell in header if cell and cell not in columns.values()]
        return columns | {cell: cell for cell in free if self.others(cell)}


def missing_columns(header: Sequence[str], required: Sequence[str]) -> list[str]:
    """Return the required canonical columns that a header does not contain."""
    return [column for column in required if not _find_column(header, column)]
