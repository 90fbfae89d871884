"""Recognise the files and folders that operating systems, network drives and photo programs leave beside images."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

HIDDEN = "hidden"
"""Kind of a file or folder whose name starts with a dot, if no other kind applies."""

_KINDS = {
    "thumbnail cache": (
        r"thumbs\.db(:encryptable)?|ehthumbs(_vista)?\.db|thumbcache_\w+\.db|@eadir|\.@__thumb|@__thumb"
        r"|\.thumb(nail)?s?|zbthumbnail\.info|\.picasaoriginals|\.comments"
    ),
    "folder settings": r"desktop\.ini|\.ds_store|\.directory|\.?picasa\.ini|folder\.htt|\.localized|\.nomedia|icon\r",
    "resource fork": r"\._.*|__macosx|\.appledouble",
    "recycle bin": (
        r"\$recycle\.bin|recycler|recycled|#recycle|@recycle|\.trash|\.trash-\d+|\.trashes|\.trashed-.*|\.recycle|@recently-snapshot"
    ),
    "file system": (
        r"lost\+found|system volume information|found\.\d{3}|\.spotlight-v100|\.fseventsd|\.temporaryitems"
        r"|\.documentrevisions-v100|\.apdisk|#snapshot|\.snapshots?|\.zfs|\.fuse_hidden.*|\.nfs[0-9a-f]{8,}|\.stfolder"
    ),
    HIDDEN: r"\..*",
}
_PATTERNS = {kind: re.compile(names, re.IGNORECASE | re.DOTALL) for kind, names in _KINDS.items()}


def system_file_kind(name: str) -> str | None:
    """Return the kind of a system file or folder, or None for any other file or folder.

    Args:
        name: name of the file or folder, without its parent folders.

    Returns:
        thumbnail cache, folder settings, resource fork, recycle bin, file system, hidden (any other name that starts
        with a dot), or None.

    >>> [system_file_kind(name) for name in ("Thumbs.db", "._beach.jpg", "lost+found", ".env", "beach.jpg")]
    ['thumbnail cache', 'resource fork', 'file system', 'hidden', None]
    """
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.fullmatch(name)), None)


def system_path_kind(path: str) -> str | None:
    """Return the kind of the first system file or folder in a relative path with slashes, or None.

    >>> system_path_kind("summer/@eaDir/beach.jpg/SYNOPHOTO_THUMB_M.jpg")
    'thumbnail cache'
    """
    return next(filter(None, map(system_file_kind, PurePosixPath(path).parts)), None)


def count_by_suffix(names: Iterable[str]) -> dict[str, int]:
    """Return the number of files with each suffix in lower case, sorted by suffix. "" counts files without a suffix.

    >>> count_by_suffix(["a.TXT", "b.txt", "film.mp4", "README"])
    {'': 1, '.mp4': 1, '.txt': 2}
    """
    counts: dict[str, int] = {}
    for name in names:
        suffix = PurePosixPath(name).suffix.lower()
        counts[suffix] = counts.get(suffix, 0) + 1
    return dict(sorted(counts.items()))
