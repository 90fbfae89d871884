"""Write the original files of images to a zip file, piece by piece, so that the memory stays small."""

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

from kadr.io.storage import Location, locate

UNREADABLE_LIST = "unreadable images.txt"
"""Name of the text in the zip file that lists the files that cannot be read."""

_PIECE_BYTES = 1 << 20
_FORBIDDEN = {ord(character): "_" for character in '\\/:*?"<>|'} | dict.fromkeys(range(32), "_")


class _Buffer:
    """A file without seek, whose content is taken away piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, content: bytes) -> int:
        self._pieces.append(bytes(content))
        return len(content)

    def flush(self) -> None:
        """Do nothing. zipfile calls this method."""

    def take(self) -> bytes:
        """Return the content since the last call."""
        content = b"".join(self._pieces)
        self._pieces.clear()
        return content


def zip_images(paths: Sequence[str]) -> Iterator[bytes]:
    """Yield the pieces of a zip file that contains image files, without compression.

    Files with the same name get a number: `beach.jpg`, `beach (2).jpg`. A file that cannot be read is listed in the
    text UNREADABLE_LIST inside of the zip file. If a file fails in the middle, the text says so.

    Args:
        paths: paths or URIs of the image files.
    """
    buffer = _Buffer()
    problems: list[str] = []
    names = unique_names([*paths, UNREADABLE_LIST])
    with zipfile.ZipFile(cast(Any, buffer), "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for path, name in zip(paths, names, strict=False):
            try:
                with _open_file(path) as file, archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as entry:
                    while piece := file.read(_PIECE_BYTES):
                        entry.write(piece)
                        yield buffer.take()
            except (OSError, ValueError) as error:
                problems.append(f"{path}: the file cannot be read ({error}).\n")
        if problems:
            archive.writestr(names[-1], "".join(problems))
    yield buffer.take()


def unique_names(paths: Sequence[str]) -> list[str]:
    """Return one file name for each path. No two names are the same on any file system.

    >>> unique_names(["2023/beach.jpg", "2024/Beach.jpg", "a:b.png"])
    ['beach.jpg', 'Beach (2).jpg', 'a_b.png']
    """
    taken: set[str] = set()
    n_uses: dict[str, int] = {}
    names = []
    for path in paths:
        name = PurePosixPath(path).name.translate(_FORBIDDEN).strip(" .") or "image"
        stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix
        unique, number = name, n_uses.get(name.casefold(), 1)
        while unique.casefold() in taken:
            number += 1
            unique = f"{stem} ({number}){suffix}"
        n_uses[name.casefold()] = number
        taken.add(unique.casefold())
        names.append(unique)
    return names


def _open_file(path: Location) -> AbstractContextManager[BinaryIO]:
    """Open a file on a disk or in object storage for reading."""
    if "://" not in str(path):
        return open(path, "rb")
    system, name = locate(path)
    return cast(AbstractContextManager[BinaryIO], system.open_input_stream(name))
