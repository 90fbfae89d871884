"""Detect the format of a captions file and read the file."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.captions.caption_reader import CaptionFile, CaptionReader, RawCaptions
from kadr.ingest.table_files import normalise_texts
from kadr.registry import Registry

logger = logging.getLogger(__name__)

CAPTION_READERS: Registry[Any] = Registry("kadr.caption_readers", "the format of the captions file")
"""Registry of the captions formats."""

TABLE = "caption_table"
"""Name of the format that reads any table with images and captions. All other formats are tried first."""


def read_captions(path: Path) -> RawCaptions:
    """Detect the format of a captions file, read the file, and normalise the texts.

    Raises:
        InputError: the file is missing, cannot be read, has no captions, or has an unknown format.
    """
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(
            f"The captions file {path} {problem}. Expected one of these formats:{_describe_layouts()}\n"
            f"{'Give the path of the file in this folder.' if path.is_dir() else 'Add the file, or correct its path.'}"
        )
    file = CaptionFile(path)
    others = [name for name in CAPTION_READERS.names if name != TABLE]
    name = next((name for name in others if _load_reader(name).recognises(file)), TABLE)
    try:
        captions = _load_reader(name).read(file)
    except InputError as error:
        if name != TABLE:
            raise
        raise InputError(f"{error}\nKnown formats of captions files:{_describe_layouts()}") from error
    if captions.rows.empty:
        raise InputError(f"{path}: the file has no captions. Add captions, or correct the path.")
    logger.info("%s: read %d captions in the format %s", path.name, len(captions.rows), name)
    rows = captions.rows.assign(text=normalise_texts(captions.rows["text"]))
    return RawCaptions(pd.DataFrame(rows), captions.column_names, captions.image_from_id)


def _load_reader(name: str) -> CaptionReader:
    """Import the class of a registered format and return an instance."""
    instance: CaptionReader = CAPTION_READERS.load(name)()
    return instance


def _describe_layouts() -> str:
    """Return one line per format with a description of its layout."""
    return "".join(f"\n  {_load_reader(name).layout}" for name in CAPTION_READERS.names)
