"""Reader for JSON files that map the name of each image to its caption or its list of captions."""

import pandas as pd

from kadr.ingest.captions.caption_columns import CaptionColumns
from kadr.ingest.captions.caption_reader import CaptionFile, RawCaptions, caption_rows
from kadr.ingest.name_forms import split_suffix


class CaptionMap:
    """Reader for a JSON object whose keys are images, and whose values are captions or lists of captions."""

    layout = 'map: JSON of the form {"beach.jpg": ["first caption", "second caption"]}, or with one caption per image'

    def recognises(self, file: CaptionFile) -> bool:
        """Return whether the file is a JSON object, most keys name images, and all values are texts or lists of texts.

        An object of columns, such as {"image": [...], "caption": [...]}, is a table.
        """
        content = file.json
        if not isinstance(content, dict) or CaptionColumns()(list(content)) is not None:
            return False
        n_images = sum(key.isdecimal() or split_suffix(key)[1] != "" for key in content)
        return n_images > len(content) / 2 and all(_is_text(value) for value in content.values())

    def read(self, file: CaptionFile) -> RawCaptions:
        """Read the captions. The row number of a caption is the position of its image in the file."""
        captions = [
            (number, image, text)
            for number, (image, value) in enumerate(file.json.items(), 1)
            for text in ([value] if isinstance(value, str) else value)
        ]
        rows = caption_rows([image for _, image, _ in captions], [text for _, _, text in captions])
        rows.index = pd.Index([number for number, _, _ in captions], name="row", dtype="int64")
        return RawCaptions(rows, {"image_id": "key", "caption_id": "key", "text": "value"})


def _is_text(value: object) -> bool:
    """Return whether a value is a text or a list of texts."""
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))
