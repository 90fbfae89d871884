"""Keep thumbnails on disk. Several servers can share one folder."""

import contextlib
import logging
import os
import tempfile
import time
from pathlib import Path
from threading import Lock

logger = logging.getLogger(__name__)

MAX_BYTES = 2_000_000_000
"""Maximum size of all thumbnails in the folder."""

_SHARE_KEPT = 0.9  # share of the maximum size that is kept when old thumbnails are removed
_USE_INTERVAL_S = 86_400.0  # the time of the last use is written at most once a day
_WRITES_BETWEEN_SCANS = 1_000  # other servers also write to the folder


class ThumbnailCache:
    """A folder of thumbnails whose size is limited. If it is too large, the thumbnails that nobody used are removed.

    The cache never fails: if the folder cannot be read or written, the thumbnails are made again for each request.

    Args:
        folder: folder of the thumbnails. None stores nothing.
        max_bytes: maximum size of all thumbnails.
    """

    def __init__(self, folder: Path | None, max_bytes: int = MAX_BYTES) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        self._lock = Lock()
        self._n_bytes = 0  # an estimate, because other servers also write
        self._n_writes = 0
        self._has_failed = False

    def read(self, name: str) -> bytes | None:
        """Return the thumbnail with this name, or None if the folder does not contain it."""
        if self._folder is None:
            return None
        path = self._path(self._folder, name)
        try:
            content = path.read_bytes()
            if content and time.time() - path.stat().st_mtime > _USE_INTERVAL_S:
                os.utime(path)
        except OSError:
            return None
        return content or None

    def write(self, name: str, content: bytes) -> None:
        """Store a thumbnail atomically.

        Args:
            name: file name, which starts with the hash of the image file.
            content: bytes of the thumbnail.
        """
        if self._folder is None:
            return
        path = self._path(self._folder, name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
                try:
                    file.write(content)
                    file.close()
                    Path(file.name).replace(path)
                except OSError:
                    Path(file.name).unlink(missing_ok=True)
                    raise
            self._limit_size(self._folder, len(content))
        except OSError as error:
            if not self._has_failed:
                logger.warning("%s: thumbnails cannot be stored (%s). They are made for each request.", path, error)
            self._has_failed = True

    def _limit_size(self, folder: Path, n_bytes: int) -> None:
        """Remove the thumbnails that nobody used for the longest time if the folder is too large."""
        with self._lock:
            if self._n_writes % _WRITES_BETWEEN_SCANS == 0:
                self._n_bytes = sum(size for _, size, _ in _list_files(folder))
            else:
                self._n_bytes += n_bytes
            self._n_writes += 1
            if self._n_bytes <= self._max_bytes:
                return
            files = sorted(_list_files(folder))
            self._n_bytes = sum(size for _, size, _ in files)
            for _, size, path in files:
                if self._n_bytes <= self._max_bytes * _SHARE_KEPT:
                    break
                with contextlib.suppress(OSError):
                    os.unlink(path)
                self._n_bytes -= size

    @staticmethod
    def _path(folder: Path, name: str) -> Path:
        return folder / name[:2] / name


def _list_files(folder: Path) -> list[tuple[float, int, str]]:
    """Return the time of the last use, the size and the path of each thumbnail."""
    files = []
    with os.scandir(folder) as subfolders:
        for subfolder in subfolders:
            with contextlib.suppress(OSError), os.scandir(subfolder) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):  # another server has removed it
                        status = entry.stat()
                        files.append((status.st_mtime, status.st_size, entry.path))
    return files
