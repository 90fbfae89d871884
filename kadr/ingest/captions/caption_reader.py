"""Interface for captions formats, and the captions that a format reads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.table_files import TABLE_READERS
from kadr.ingest.table_files.content import open_content

_HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class RawCaptions:
    """Captions of one file before validation.

    Attributes:
        rows: table with the columns image_id, caption_id and text. All cells are text. The index `row` contains the row
            numbers in the file, starting at 1. The optional column source_id contains the ID of a caption in a public
            dataset, such as COCO.
        column_names: names of the columns image_id, caption_id and text in the file.
        image_from_id: whether the file names the image of a caption only in the caption ID, `image#k`.
    """

    rows: pd.DataFrame
    column_names: dict[str, str]
    image_from_id: bool = False

    @property
    def is_numbered(self) -> bool:
        """Whether the file has no caption IDs, so that the captions of each image are numbered."""
        return not self.image_from_id and self.column_names["caption_id"] == self.column_names["image_id"]


class CaptionFile:
    """A captions file whose content is detected and parsed once.

    Args:
        path: path of the file. A file whose name ends in .gz or .zip is decompressed.

    Attributes:
        path: path of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def head(self) -> bytes:
        """First 64 kB of the content.

        Raises:
            InputError: the file cannot be read.
        """
        with open_content(self.path, TABLE_READERS.names) as content, content.open() as file:
            return file.read(_HEAD_BYTES)

    @cached_property
    def json(self) -> Any:
        """Parsed content, or None if the content is not a JSON object.

        Raises:
            InputError: the content is damaged JSON.
        """
        if not self.head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            return None
        with open_content(self.path, TABLE_READERS.names) as content:
            document = content.read()
        try:
            return json.loads(document)
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            if ".json" in self.path.suffixes:
                raise InputError(
                    f"{self.path}: the file is not valid JSON ({error}). Copy or download the file again."
                ) from error
            return None


class CaptionReader(Protocol):
    """Interface that a class must implement to read captions files in one format.

    To add a format, write a class that implements this interface, and register the class as an entry point in the
    `kadr.caption_readers` group.

    Attributes:
        layout: description of the format, which is shown in error messages.
    """

    layout: str

    def recognises(self, file: CaptionFile) -> bool:
        """Return whether the content of a file has this format."""
        ...

    def read(self, file: CaptionFile) -> RawCaptions:
        """Read the captions of a file that has this format.

        Raises:
            InputError: the file cannot be read, or has no captions.
        """
        ...


def number_captions(image_ids: "pd.Series[str]") -> "pd.Series[str]":
    """Return an ID for each caption: `image#k`, where k counts the captions of an image from 0.

    >>> number_captions(pd.Series(["a.jpg", "b.jpg", "a.jpg"])).tolist()
    ['a.jpg#0', 'b.jpg#0', 'a.jpg#1']
    """
    return image_ids + "#" + image_ids.groupby(image_ids).cumcount().astype("str")


def caption_rows(image_ids: Sequence[str], texts: Sequence[str], **columns: Sequence[str]) -> pd.DataFrame:
    """Return captions as a table with row numbers from 1 and, unless given, numbered caption IDs.

    Args:
        image_ids: image of each caption.
        texts: text of each caption.
        columns: further columns, such as caption_id or source_id.
    """
    rows = pd.DataFrame({"image_id": image_ids, "text": texts, **columns}, dtype="str")
    rows.index = pd.RangeIndex(1, len(rows) + 1, name="row")
    return rows if "caption_id" in columns else rows.assign(caption_id=number_captions(rows["image_id"]))
