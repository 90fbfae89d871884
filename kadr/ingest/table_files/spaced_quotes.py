"""Remove spaces before quoted cells, which some programs write after each delimiter."""

import re

from kadr.ingest.table_files.records import LinePatterns
from kadr.ingest.table_files.table_lines import TableLines

_HAS_QUOTE = rb'[^"]*".*'
_MIN_SHARE = 0.5


def remove_spaces(body: bytes, delimiter: str) -> bytes:
    r"""Remove the spaces around quoted cells, if at least half of the lines with quotation marks have such cells.

    Return the same object if nothing changes. In tab-separated tables, such spaces and quotation marks are text.

    >>> remove_spaces(b'a.jpg, "A dog, red", 4\n', ",")
    b'a.jpg,"A dog, red", 4\n'
    """
    d = delimiter.encode()
    if delimiter == "\t" or d + b' "' not in body:
        return body
    lines = TableLines(body)
    n_quoted = lines.match(_HAS_QUOTE).sum()
    if lines.match(LinePatterns(d, "doubled").spaced).sum() < _MIN_SHARE * n_quoted:
        return body
    quoted = re.compile(rb"(^|\n|" + re.escape(d) + rb') *("(?:[^"]++|"")*+") *(?=' + re.escape(d) + rb"|[\r\n]|\Z)")
    return quoted.sub(rb"\1\2", body)
