"""Detect the format of a dataset folder and read the folder."""

import logging
from pathlib import Path

from kadr.errors import InputError
from kadr.ingest.formats.base import Format
from kadr.ingest.formats.long import add_long_ratings, find_long_file
from kadr.ingest.raw_input import RawInput
from kadr.params.stages import AUTO_FORMAT, INPUT_FORMATS

logger = logging.getLogger(__name__)

LONG = "long"
"""Name of the long format. Folders in other formats can also contain a ratings_long file."""


def detect_format(folder: Path, setting: str) -> str:
    """Return the format of a dataset folder.

    Args:
        folder: dataset folder.
        setting: value of `ingest.format`. The value `auto` selects the format whose class recognises the folder.

    Returns:
        Name of a registered format.

    Raises:
        InputError: the folder is missing, matches no format, or matches several formats.
        ParamsError: a registered format cannot be imported.
    """
    if not folder.is_dir():
        raise InputError(
            f"ingest.source: the folder {folder} does not exist. The folder must contain images, texts and "
            f"ratings. Correct ingest.source in params.yaml, or run `kadr sample {folder}` to create sample data."
        )
    if setting != AUTO_FORMAT:
        return setting
    formats = {name: _load_format(name) for name in INPUT_FORMATS.names}
    names = [name for name, candidate in formats.items() if candidate.recognises(folder)]
    if len(names) > 1:
        names = [name for name in names if name != LONG]
    if len(names) != 1:
        layouts = "".join(f"\n  {name}: {candidate.layout}" for name, candidate in formats.items())
        files = ", ".join(sorted(path.name for path in folder.iterdir())[:12]) or "no files"
        problem = f"matches the formats {' and '.join(names)}" if names else "matches no known format"
        raise InputError(
            f"ingest.source: the folder {folder} {problem}. The folder contains {files}. Known formats:{layouts}\n"
            "Add the missing files, or set ingest.format."
        )
    logger.info("%s has the %s format", folder, names[0])
    return names[0]


def read_folder(folder: Path, name: str) -> RawInput:
    """Read a dataset folder in the given format.

    If the folder also contains a ratings_long file, add the ratings in this file.

    Raises:
        InputError: a file or a column is missing, or a file cannot be read.
        ParamsError: the format is unknown or cannot be imported.
    """
    raw = _load_format(name).read(folder)
    path = find_long_file(folder)
    return add_long_ratings(raw, path) if name != LONG and path.exists() else raw


def _load_format(name: str) -> Format:
    """Import the class of a registered format and return an instance."""
    instance: Format = INPUT_FORMATS.load(name)()
    return instance
