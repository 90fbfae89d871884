"""Reader for results.csv of Flickr30k, in which each line is `image_name| comment_number| comment`."""

import logging
import re

from kadr.ingest.captions.caption_lines import read_lines, split_lines
from kadr.ingest.captions.caption_reader import CaptionFile, RawCaptions, caption_rows

logger = logging.getLogger(__name__)

HEADER = ("image_name", "comment_number", "comment")
_NUMBER_AND_COMMENT = re.compile(r"(\d+)\s+(\S.*)")


class Flickr30kResults:
    """Reader for lines of the form `image_name| comment_number| comment`, below a header with these names.

    Quotation marks are part of the caption. In the public file, the delimiter between the number and the caption of
    2199200615.jpg is missing. Such rows are read as if the delimiter were there.
    """

    layout = "Flickr30k results.csv: lines of the form `image_name| comment_number| comment`, with a header"

    def recognises(self, file: CaptionFile) -> bool:
        """Return whether the first line contains the column names, separated by `|`."""
        first_line = file.head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].decode("ascii", errors="replace")
        return tuple(cell.strip().lower() for cell in first_line.split("|")) == HEADER

    def read(self, file: CaptionFile) -> RawCaptions:
        """Read one caption per line.

        Raises:
            InputError: the file cannot be read.
        """
        cells, numbers = split_lines(read_lines(file.path)[1:], "|", len(HEADER))
        repaired = [number for row, number in zip(cells, numbers, strict=True) if _repair(row)]
        if repaired:
            row = cells[list(numbers).index(repaired[0])]
            logger.warning(
                "%s: in %d rows, the delimiter between comment_number and comment is missing. These rows were read as "
                "if the delimiter were there, e.g. row %d (%s).",
                file.path.name,
                len(repaired),
                repaired[0],
                "| ".join(row),
            )
        image_ids = [row[0] for row in cells]
        rows = caption_rows(
            image_ids, [row[2] for row in cells], caption_id=[f"{image}#{number}" for image, number, _ in cells]
        )
        return RawCaptions(
            rows.set_axis(numbers), {"image_id": "image_name", "caption_id": "comment_number", "text": "comment"}
        )


def _repair(row: list[str]) -> bool:
    """Separate a caption from its number if the delimiter between them is missing. Return whether it was missing."""
    match = _NUMBER_AND_COMMENT.fullmatch(row[1]) if row[2] == "" else None
    if match is None:
        return False
    row[1], row[2] = match.groups()
    return True
