"""Parse the image names in tables, which can be file names, paths of another computer, or URLs."""

import re
from collections.abc import Iterator, Sequence
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from kadr.ingest.name_forms import split_suffix

PathKind = Literal["folder", "url"]
"""How a name was parsed: as a path with slashes or backslashes, or as a URL with percent-encoding and a query."""

Parts = tuple[str, ...]
"""Folders and file name of a path, from left to right."""

_DRIVE = re.compile(r"[A-Za-z]:(?=[/\\])")
_HOME_FOLDERS = {"home", "users", "mnt", "media", "volumes"}
"""Folders whose subfolder is named after a person or a disk."""


def parse_paths(name: str) -> Iterator[tuple[PathKind, Parts]]:
    r"""Yield the paths that an image name can stand for, the most literal path first.

    >>> list(parse_paths("https://example.org/data/local-files/?d=cats%2F1.jpg"))
    [('url', ('data', 'local-files')), ('url', ('cats', '1.jpg'))]
    >>> list(parse_paths(r"C:\photos\beach.jpg"))
    [('folder', ('photos', 'beach.jpg'))]
    """
    is_url = "://" in name
    if not is_url and (parts := _split(name)):
        yield "folder", parts
    if not is_url and not any(character in name for character in "?#%+"):
        return
    try:
        url = urlsplit(name if is_url else f"file:///{name}")
    except ValueError:  # for example, an unclosed bracket in the host name
        return
    values = [value for _, value in parse_qsl(url.query) if split_suffix(value)[1]]
    seen = {_split(name)}
    for path in (url.path, unquote(url.path), unquote(url.path.replace("+", " ")), *values):
        parts = _split(path)
        # `beach#2.jpg` is a name with a number, not the file `beach`
        if parts and parts not in seen and (is_url or split_suffix(parts[-1])[1]):
            seen.add(parts)
            yield "url", parts


def without_machine(folders: Sequence[str]) -> Parts:
    """Remove the leading folders that differ between computers, such as /home/ann, /mnt/c/Users/ann or /Volumes/disk.

    >>> without_machine(("home", "ann", "photos", "cats"))
    ('photos', 'cats')
    """
    folders = tuple(folders)
    while len(folders) > 1 and folders[0].casefold() in _HOME_FOLDERS:
        folders = folders[2:]
    return folders


def _split(path: str) -> Parts:
    """Split a path at slashes and backslashes. Drop the drive, empty parts and dots."""
    parts = re.split(r"[/\\]+", path.lstrip("/\\"))
    return tuple(part for part in parts[bool(_DRIVE.match(path.lstrip("/\\"))) :] if part not in ("", ".", ".."))
