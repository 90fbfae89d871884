"""Find the columns of images and captions in a table."""

import ast
import json
import re
from collections.abc import Mapping, Sequence

from kadr.ingest.columns import column_key, find_columns

_WORDS = ("caption", "captiontext", "sentence", "sentencesraw", "comment", "text", "description")
_NUMBER_KEYS = {
    f"{word}{ending}" for word in ("caption", "comment", "sentence") for ending in ("number", "index", "no")
}
_CAPTION_KEYS = {f"{word}{ending}" for word in _WORDS for ending in ("", "s")}


def caption_name(position: int) -> str:
    """Return the canonical name of the caption column with a number from 0."""
    return f"caption_{position}"


def find_caption_columns(header: Sequence[str]) -> list[str]:
    """Return the columns of captions: all numbered columns, such as caption_0 and caption_1, or else the best column.

    A column without a number belongs to the numbered columns if it has the same name, such as caption and caption_2.

    Raises:
        InputError: several columns without a number fit equally well.

    >>> find_caption_columns(["image", "Caption 1", "Caption 2"]), find_caption_columns(["photo", "query"])
    (['Caption 1', 'Caption 2'], ['query'])
    """
    names = {cell: re.sub(r"\d+$", "", column_key(cell)) for cell in header}
    captions = [cell for cell in header if names[cell] in _CAPTION_KEYS]
    numbered = {names[cell] for cell in captions if column_key(cell)[-1].isdigit()}
    if numbered or len(captions) == 1:
        return [cell for cell in captions if names[cell] in numbered] or captions
    found = find_columns(captions or header, ["text"])
    return [found["text"]] if found else captions[:1]


class CaptionColumns:
    """Function that selects the columns image, caption_id, caption_0, caption_1 and so on, as `read_rows` expects.

    A table without a column of images must have a column of caption IDs.
    """

    required = ("image", "text")

    def __call__(self, header: Sequence[str]) -> Mapping[str, str] | None:
        """Return the header cell of each column to read, or None if the row is not a header of a captions table.

        Raises:
            InputError: two headers fit the same column.
        """
        captions = find_caption_columns(header)
        others = [cell for cell in header if cell not in captions]
        columns = find_columns(others, ["image"], ["caption_id"]) or find_columns(others, ["caption_id"])
        numbers = [cell for cell in others if column_key(cell) in _NUMBER_KEYS]
        if columns is None or not captions:
            return None
        if "image" in columns and "caption_id" not in columns and len(numbers) == 1:
            columns["caption_id"] = numbers[0]
        return columns | {caption_name(position): cell for position, cell in enumerate(captions)}


def parse_list(cell: str) -> list[str] | None:
    """Parse a list of texts that is written as JSON or as Python code. Return None if the cell is another text.

    >>> parse_list("['A dog', 'A cat']"), parse_list('["A dog"]'), parse_list("[sic] A dog")
    (['A dog', 'A cat'], ['A dog'], None)
    """
    for parse in (json.loads, ast.literal_eval):
        try:
            values = parse(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(values, list) and all(isinstance(value, str) for value in values):
            return values
    return None
