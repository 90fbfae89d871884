"""Reader for Flickr8k.token.txt and similar files, in which each line is `image#k<TAB>caption`."""

import re

from kadr.ingest.captions.caption_lines import read_lines, split_lines
from kadr.ingest.captions.caption_reader import CaptionFile, RawCaptions, caption_rows

_LINE = re.compile(rb"^[^\t\r\n]+#[^\t\r\n#]*\t")


class Flickr8kTokens:
    """Reader for lines of the form `image#k<TAB>caption`, without a header. Quotation marks are part of the caption."""

    layout = "Flickr8k tokens: lines of the form `image#k<TAB>caption`"

    def recognises(self, file: CaptionFile) -> bool:
        """Return whether the first line that is not blank is `image#k<TAB>caption`."""
        return bool(_LINE.match(file.head.lstrip(b"\xef\xbb\xbf \t\r\n")))

    def read(self, file: CaptionFile) -> RawCaptions:
        """Read one caption per line.

        Raises:
            InputError: the file cannot be read.
        """
        cells, numbers = split_lines(read_lines(file.path), "\t", 2)
        caption_ids = [row[0] for row in cells]
        rows = caption_rows(
            [caption_id.rsplit("#", 1)[0] for caption_id in caption_ids],
            [row[1] for row in cells],
            caption_id=caption_ids,
        )
        return RawCaptions(
            rows.set_axis(numbers),
            {"image_id": "caption_id", "caption_id": "caption_id", "text": "text"},
            image_from_id=True,
        )
