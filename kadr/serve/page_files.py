"""Serve the files of the web page.

The page loads its files from a folder whose name is a hash of all files: /static/HASH/main.js. Browsers keep these
files for a year. Scripts import each other by relative paths, so that they always belong to the same version.
"""

import hashlib
import os
from pathlib import Path
from threading import Lock

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from kadr.serve.caching import IMMUTABLE, REVALIDATE, cacheable_response

_VERSION_LENGTH = 16  # hexadecimal digits
_STATIC = b'"static/'


class PageFiles(StaticFiles):
    """The files of the web page, by name and by version and name.

    Args:
        folder: folder of the files, without subfolders.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)
        self._folder = folder
        self._lock = Lock()
        self._known: tuple[object, str] = (None, "")

    def page(self, request: Request) -> Response:
        """Return index.html, which loads its files from the folder of the current version."""
        content = (self._folder / "index.html").read_bytes()
        content = content.replace(_STATIC, f'"static/{self.version}/'.encode())
        return cacheable_response(request, content, "text/html; charset=utf-8", REVALIDATE)

    @property
    def version(self) -> str:
        """Hash of the names and contents of all files."""
        with os.scandir(self._folder) as entries:
            files = sorted((entry.name, entry.stat()) for entry in entries if entry.is_file())
        state = [(name, status.st_size, status.st_mtime_ns) for name, status in files]
        with self._lock:
            if self._known[0] != state:
                digest = hashlib.sha256()
                for name, _ in files:
                    digest.update(name.encode() + b"\0" + hashlib.sha256((self._folder / name).read_bytes()).digest())
                self._known = (state, digest.hexdigest()[:_VERSION_LENGTH])
            return self._known[1]

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file. A file in the folder of the current version is immutable."""
        version, separator, name = path.replace(os.sep, "/").partition("/")
        is_version = bool(separator) and version == self.version
        if separator and not is_version:
            raise HTTPException(404)
        response = await super().get_response(name if is_version else path, scope)
        response.headers["Cache-Control"] = IMMUTABLE if is_version else REVALIDATE
        return response
