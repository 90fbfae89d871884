"""Check the file names in a dataset before files with these names are written."""

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

_MAX_NAME_BYTES = 200
_MAX_DEPTH = 16


def name_problem(name: str) -> str | None:
    """Return why a file name cannot be used, or None.

    A name must be a relative path without `..`, backslashes, colons and control characters.

    >>> name_problem("train/000.jpg"), name_problem("../secret.jpg"), name_problem("/etc/passwd.jpg")
    (None, 'the path leaves the folder', 'the path is absolute')
    """
    parts = name.split("/")
    if name.startswith("/") or PureWindowsPath(name).is_absolute() or PureWindowsPath(name).drive:
        return "the path is absolute"
    if ".." in parts:
        return "the path leaves the folder"
    if "\\" in name or any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        return "the name contains a backslash, a control character or invalid bytes"
    if any(not part.strip(" .") for part in parts) and PurePosixPath(name).as_posix() != name.removeprefix("./"):
        return "a part of the path is empty"
    if len(parts) > _MAX_DEPTH or any(len(part.encode()) > _MAX_NAME_BYTES for part in parts):
        return "the path is too long"
    return None
