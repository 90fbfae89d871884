"""Split the lines of a captions file into cells. Each line is one caption, and the caption is the last cell."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from kadr.ingest.table_files.content import open_content
from kadr.ingest.table_files.encoding import decode_text

_TEXT_SUFFIXES = ["csv", "tsv", "txt", "token"]


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file, without line ends. A file whose name ends in .gz or .zip is decompressed.

    Raises:
        InputError: the file cannot be read, or its encoding is unknown.
    """
    with open_content(path, _TEXT_SUFFIXES) as content:
        text = decode_text(path, content.read()).decode("utf-8-sig")
    return [line.removesuffix("\r") for line in text.split("\n")]


def split_lines(lines: Iterable[str], delimiter: str, n_cells: int) -> tuple[list[list[str]], pd.Index]:
    """Split each line that is not blank at the first n_cells - 1 delimiters.

    Args:
        lines: lines below the header.
        delimiter: character that separates the cells. In the last cell, the character is part of the text.
        n_cells: number of cells. Missing cells are "".

    Returns:
        The cells of each row without surrounding spaces, and the row numbers, starting at 1.

    >>> split_lines(["a.jpg| 0| A dog | a cat .", "", "b.jpg| 1"], "|", 3)[0]
    [['a.jpg', '0', 'A dog | a cat .'], ['b.jpg', '1', '']]
    """
    cells: list[list[str]] = []
    numbers: list[int] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            row = [cell.strip() for cell in line.split(delimiter, n_cells - 1)]
            cells.append(row + [""] * (n_cells - len(row)))
            numbers.append(number)
    return cells, pd.Index(numbers, name="row", dtype="int64")
