"""Detect the format of a dataset folder and read the folder."""

import logging
from pathlib import Path

from kadr.errors import InputError
from kadr.ingest.folder_search import find_nested_folder
from kadr.ingest.formats.base import Format
from kadr.ingest.formats.long import add_long_ratings, find_long_file
from kadr.ingest.raw_input import RawInput
from kadr.io.system_files import system_file_kind
from kadr.params.stages import AUTO_FORMAT, INPUT_FORMATS

logger = logging.getLogger(__name__)

_TABLES = (".csv", ".tsv", ".xlsx", ".xls", ".ods", ".parquet", ".json", ".jsonl", ".csv.gz")
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".rar", ".7z")

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
        InputError: the folder is missing or a file, matches no format, or matches several formats.
        ParamsError: a registered format cannot be imported.
    """
    if folder.is_file():
        raise InputError(
            f"ingest.source: {folder} is a file. Expected a folder with images, texts and ratings. Extract the archive "
            "or move the file to a folder, and set ingest.source to this folder."
        )
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
        nested = find_nested_folder(folder, lambda path: any(known.recognises(path) for known in formats.values()))
        fix = f"Set ingest.source to {nested}, which contains a table with ratings." if nested and not names else ""
        fix = fix or ("" if names else _suggest_name(folder))
        raise InputError(
            f"ingest.source: the folder {folder} {problem}. The folder contains {files}. Known formats:{layouts}\n"
            f"{fix or 'Add the missing files, or set ingest.format.'}"
        )
    logger.info("%s has the %s format", folder, names[0])
    return names[0]


def _suggest_name(folder: Path) -> str:
    """Return a sentence about the tables or archives in a folder whose names are not those of any format, or ""."""
    files = [path.name for path in sorted(folder.iterdir()) if path.is_file() and not system_file_kind(path.name)]
    tables = [name for name in files if name.lower().endswith(_TABLES)]
    if tables:
        return (
            f"If {' or '.join(tables[:3])} contains the ratings, rename the file: ratings_long (one rating per row) or "
            "train_dataset (columns rate_1, rate_2 and so on), with the same suffix. For captions without ratings, use "
            "`kadr import captions`."
        )
    archives = [name for name in files if name.lower().endswith(_ARCHIVES)]
    return f"Extract {' and '.join(archives[:3])}." if archives else ""


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
