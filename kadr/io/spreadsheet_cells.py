"""Escape texts that a spreadsheet would compute when it opens a CSV file."""

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
"""Start of a text that a spreadsheet computes, also with full-width characters, or of an escaped text."""


def escape_cell(text: str) -> str:
    """Add an apostrophe to a text that a spreadsheet would compute. `unescape_cell` returns the text.

    >>> escape_cell("=1+1"), escape_cell("a dog"), escape_cell("'=1+1")
    ("'=1+1", 'a dog', "''=1+1")
    """
    return f"'{text}" if _FORMULA.match(text) else text


def unescape_cell(cell: str) -> str:
    """Remove the apostrophe that `escape_cell` added.

    >>> unescape_cell("'=1+1"), unescape_cell("'tis a dog")
    ('=1+1', "'tis a dog")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
