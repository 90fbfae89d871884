"""Parse ratings_long.csv, which the server writes and which an editor or a spreadsheet may have changed."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain

from kadr.errors import InputError
from kadr.ingest.columns import Columns
from kadr.ingest.table_files.dialect import detect_dialect
from kadr.io.spreadsheet_cells import escape_cell, unescape_cell
from kadr.io.texts import normalise_whitespace
from kadr.serve.annotation_scale import AnnotationScale

REQUIRED_COLUMNS = ("image", "text", "rater", "rating")
COLUMNS = (*REQUIRED_COLUMNS, "source", "scale_min", "scale_max")

_TEXT_COLUMNS = ("image", "text", "rater")  # their cells are escaped, because people choose the values
_BOM = b"\xef\xbb\xbf"
_END = "\x01end of the file"  # is added to the lines, so that an open quotation mark is found


@dataclass(frozen=True)
class NewRating:
    """One rater's rating of one image-text pair.

    Attributes:
        image_id: ID of the image.
        text: text that the rater compared with the image.
        rater: name of the rater.
        rating: rating on the scale. Higher ratings mean that the text fits the image better.
        scale: scale of the rating.
    """

    image_id: str
    text: str
    rater: str
    rating: float
    scale: AnnotationScale = field(default_factory=AnnotationScale)


@dataclass(frozen=True)
class RatingsLayout:
    """The columns and the line break of a ratings file.

    Attributes:
        columns: names of the columns.
        line_break: line break of the header.
    """

    columns: Sequence[str] = COLUMNS
    line_break: str = "\n"

    def format_row(self, rating: NewRating) -> bytes:
        """Return the line of a rating. Texts that a spreadsheet would compute start with an apostrophe."""
        text, rater = normalise_whitespace(rating.text), normalise_whitespace(rating.rater)
        names = map(escape_cell, (rating.image_id, text, rater))
        scale = (f"{rating.scale.minimum:g}", f"{rating.scale.maximum:g}")
        cells = dict(zip(COLUMNS, (*names, f"{rating.rating:g}", "expert", *scale), strict=True))
        return self.format_cells([cells.get(column, "") for column in self.columns])

    def format_header(self) -> bytes:
        """Return the line of the header."""
        return self.format_cells(self.columns)

    def format_cells(self, cells: Iterable[str]) -> bytes:
        """Return a line of the file."""
        line = io.StringIO()
        csv.writer(line, lineterminator=self.line_break).writerow(cells)
        return line.getvalue().encode()


@dataclass(frozen=True)
class RatingsRow:
    """A row of a ratings file.

    Attributes:
        rating: rating of the row. None if the row has other columns than the header, or no valid rating.
        start: position of the first byte of the row.
        end: position after the last byte of the row.
    """

    rating: NewRating | None
    start: int
    end: int


def read_layout(content: bytes) -> RatingsLayout:
    """Return the columns and the line break of a ratings file.

    Args:
        content: content of the file, with at least one row.

    Raises:
        InputError: the file has another format. The message is the reason, without the name of the file.
    """
    try:
        dialect = detect_dialect(content, Columns(REQUIRED_COLUMNS), needs_header=True)
    except InputError as error:
        raise InputError(str(error).rstrip(".")) from error
    columns = tuple(dialect.first_row)
    is_header = set(REQUIRED_COLUMNS) <= set(columns) and dialect.header_line == 1
    if dialect.delimiter != "," or not is_header:
        raise InputError(f"its first line is ({', '.join(columns)})")
    if len(set(columns)) < len(columns):
        raise InputError(f"two columns in its first line ({', '.join(columns)}) have the same name")
    first_line = content[: content.find(b"\n") + 1]
    if not first_line and b"\r" in content.rstrip(b"\r"):
        raise InputError("its lines end with carriage returns (old Mac format)")
    return RatingsLayout(columns, "\r\n" if first_line.endswith(b"\r\n") else "\n")


def split_incomplete_row(content: bytes) -> tuple[bytes, bytes]:
    """Split the content of a ratings file into its complete rows and the half row that a failed write left at its end.

    The server ends every row with a line break, and no value that it writes contains a line break. A last line without
    a line break is complete if an editor removed the line break, and otherwise the rest of a failed write.

    Returns:
        The complete rows and the half row, which is empty if the last row is complete.
    """
    start = content.rfind(b"\n") + 1
    last_line = content[start:]
    if not last_line:
        return content, b""
    if not start:
        is_half = RatingsLayout().format_header().startswith(last_line.removeprefix(_BOM))
        return (b"", last_line) if is_half else (content, b"")
    return (content, b"") if _is_complete(read_layout(content), last_line) else (content[:start], last_line)


def _is_complete(layout: RatingsLayout, line: bytes) -> bool:
    try:
        (row,) = read_rows(layout, line)
    except (InputError, ValueError):  # an open quotation mark, or half a character
        return False
    return row.rating is not None


def read_rows(layout: RatingsLayout, content: bytes, *, has_header: bool = False) -> list[RatingsRow]:
    """Parse rows of a ratings file. Blank lines are skipped.

    Args:
        layout: layout of the file.
        content: lines of the file.
        has_header: whether the first row is the header.

    Raises:
        InputError: the file cannot be parsed. The message is the reason, without the name of the file.
    """
    try:
        lines = list(io.StringIO(content.decode("utf-8"), newline=""))
    except UnicodeDecodeError as error:
        raise InputError("the file is not encoded in UTF-8") from error
    starts = [0, *accumulate(len(line.encode()) for line in lines)]
    rows: list[RatingsRow] = []
    n_read = 0  # number of lines of the rows before
    for cells, n_lines in _parse(lines):
        if cells and not (has_header and n_read == 0):
            is_valid = len(cells) == len(layout.columns)
            rating = _parse_rating(dict(zip(layout.columns, cells, strict=True))) if is_valid else None
            rows.append(RatingsRow(rating, starts[n_read], starts[n_lines]))
        n_read = n_lines
    return rows


def _parse(lines: Sequence[str]) -> Iterator[tuple[list[str], int]]:
    """Yield the cells of each row, and the number of lines up to the end of the row."""
    has_open_end = bool(lines) and not lines[-1].endswith(("\n", "\r"))
    reader = csv.reader(chain(lines, ["\n"] if has_open_end else [], [_END]))
    n_lines = 0
    try:
        for cells in reader:
            if cells == [_END]:
                return
            if reader.line_num > len(lines) + has_open_end:
                raise InputError(f"the quotation mark in line {n_lines + 1} is never closed")
            n_lines = min(reader.line_num, len(lines))
            yield cells, n_lines
    except csv.Error as error:
        raise InputError(f"line {n_lines + 1} cannot be read ({error})") from error


def _parse_rating(row: Mapping[str, str]) -> NewRating | None:
    """Return the rating of one row, or None if it is not a number or is outside of its scale."""
    image_id, text, rater = (unescape_cell(row[name]) for name in _TEXT_COLUMNS)
    limits = [row[name] for name in ("scale_min", "scale_max") if row.get(name)]
    try:
        rating = float(row["rating"])
        scale = AnnotationScale(*map(float, limits)) if limits else AnnotationScale()
    except ValueError:
        return None
    if limits and not (len(limits) == 2 and scale.minimum < scale.maximum and scale.minimum <= rating <= scale.maximum):
        return None
    return NewRating(image_id, normalise_whitespace(text), normalise_whitespace(rater), rating, scale)
