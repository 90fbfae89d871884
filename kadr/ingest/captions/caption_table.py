"""Reader for tables with images and captions, in any table file."""

import logging
import re
from collections.abc import Mapping, Sequence

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.captions.caption_columns import CaptionColumns, caption_name, parse_list
from kadr.ingest.captions.caption_lines import read_lines, split_lines
from kadr.ingest.captions.caption_reader import CaptionFile, RawCaptions, number_captions
from kadr.ingest.table_files import OTHER_COLUMNS, read_rows

logger = logging.getLogger(__name__)

_FIRST = caption_name(0)
_QUOTED = r'"(?:[^"]|"")*"'


class CaptionTable:
    """Reader for tables with a column of images and one or several columns of captions.

    A cell can contain a list of captions. Tables without a column of images have a column of caption IDs, `image#k`.
    """

    layout = (
        "table (CSV, TSV, Parquet, Excel, JSON): the columns image and caption, with one caption per row, several "
        "caption columns, or a list of captions; or the columns caption_id (`image#k`) and text"
    )

    def recognises(self, file: CaptionFile) -> bool:
        """Return true. This format is used if no other format fits."""
        return True

    def read(self, file: CaptionFile) -> RawCaptions:
        """Read the captions. Captions without an ID are numbered per image: `image#0`, `image#1` and so on.

        Raises:
            InputError: the file cannot be read, or has no columns of images and captions.
        """
        try:
            table = read_rows(file.path, CaptionColumns())
            rows, names = table.rows, table.column_names
            if table.unread:
                logger.info("Ignored columns in %s: %s", file.path.name, ", ".join(table.unread))
        except InputError:
            unquoted = _read_unquoted_lines(file)
            if unquoted is None:
                raise
            rows, names = unquoted
        columns = [column for column in names if re.fullmatch(r"caption_\d+", column)]
        return _add_ids(_one_caption_per_row(rows, columns), names, is_repeated=len(columns) > 1)


def _read_unquoted_lines(file: CaptionFile) -> tuple[pd.DataFrame, dict[str, str]] | None:
    """Read a comma-separated file in which captions contain commas, but are not quoted.

    Return None unless the caption is the last of two or three columns, each line has all columns, and each quotation
    mark at the start of a caption is closed at its end.
    """
    first_line, *lines = read_lines(file.path)
    header = [cell.strip() for cell in first_line.split(",")]
    names = CaptionColumns()(header)
    if names is None or names[_FIRST] != header[-1] or len(header) > 3:
        return None
    cells, numbers = split_lines(lines, ",", len(header))
    table = pd.DataFrame(cells, columns=header, index=numbers, dtype="str")
    rows = pd.DataFrame({name: table[cell] for name, cell in names.items()})
    captions = rows[_FIRST]
    is_quoted = captions.str.fullmatch(_QUOTED)
    if (captions == "").any() or (captions.str.startswith('"') & ~is_quoted).any():
        return None
    n_unquoted = (~is_quoted & captions.str.contains(",", regex=False)).sum()
    logger.warning(
        "%s: %d captions contain commas, but are not quoted. Each caption was read to the end of its line.",
        file.path.name,
        n_unquoted,
    )
    rows[_FIRST] = captions.mask(is_quoted, captions.str.slice(1, -1).str.replace('""', '"', regex=False))
    return rows, dict(names)


def _one_caption_per_row(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return one row per caption, with the columns image, caption_id and text.

    If a row has several columns of captions, blank cells are no captions.
    """
    kept = [column for column in ("image", "caption_id", OTHER_COLUMNS) if column in rows.columns]
    parts = []
    for column in columns:
        part = rows[kept].assign(text=_split_lists(rows[column])).explode("text").fillna({"text": ""})
        parts.append(part[part["text"] != ""] if len(columns) > 1 else part)
    return pd.concat(parts).sort_index(kind="stable").astype({"text": "str"})


def _split_lists(cells: "pd.Series[str]") -> pd.Series:
    """Split the cells of a column into lists of captions if every cell that is not blank is a list of texts."""
    filled = cells[cells != ""]
    if filled.empty or not (filled.str.startswith("[") & filled.str.endswith("]")).all():
        return cells.astype(object)
    lists = {cell: parse_list(cell) for cell in filled.unique()}
    if any(captions is None for captions in lists.values()):
        return cells.astype(object)
    return cells.map(lists).astype(object)


def _add_ids(rows: pd.DataFrame, names: Mapping[str, str], *, is_repeated: bool) -> RawCaptions:
    """Add the image and the ID of each caption.

    If rows have several captions, the captions are numbered. If most IDs in the file belong to several images, they are
    numbers within an image, and become `image#number`.
    """
    id_name = names.get("caption_id", "")
    if "image" not in names:
        rows = rows.assign(image_id=rows["caption_id"].str.rsplit("#", n=1).str[0])
        columns = {"image_id": id_name, "caption_id": id_name, "text": names[_FIRST]}
        return RawCaptions(rows, columns, image_from_id=True)
    rows = rows.rename(columns={"image": "image_id"})
    numbered = number_captions(rows["image_id"])
    if id_name and not is_repeated and not rows.index.duplicated().any():
        n_images = rows.groupby("caption_id")["image_id"].nunique()
        ids = rows["image_id"] + "#" + rows["caption_id"] if (n_images > 1).mean() > 0.5 else rows["caption_id"]
        numbered = ids.mask(rows["caption_id"] == "", numbered)
    columns = {"image_id": names["image"], "caption_id": id_name or names["image"], "text": names[_FIRST]}
    return RawCaptions(rows.assign(caption_id=numbered), columns)
