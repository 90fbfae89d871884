"""Favourites and saved searches, in one SQLite file that several servers can use at the same time.

The file is not part of the index, so that favourites survive a new index.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kadr.errors import DiskError, InputError

MAX_FAVOURITES = 100_000
MAX_SAVED_SEARCHES = 1_000

_BUSY_TIMEOUT_S = 10.0
_CREATE_TABLES = """
CREATE TABLE IF NOT EXISTS favourites (image_id TEXT PRIMARY KEY, sha256 TEXT, path TEXT NOT NULL, added TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS searches (name TEXT PRIMARY KEY, search TEXT NOT NULL, saved TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Favourite:
    """An image that somebody added to the favourites.

    Attributes:
        image_id: ID of the image when it was added.
        sha256: SHA-256 of the image file when it was added. None if there was no file.
        path: path or URI of the image file when it was added.
        added: time when the image was added, UTC, in ISO 8601 format.
    """

    image_id: str
    sha256: str | None
    path: str
    added: str


@dataclass(frozen=True)
class SavedSearch:
    """A search that somebody saved under a name.

    Attributes:
        name: name of the search.
        search: text, filters and sort of the search, as JSON values.
        saved: time when the search was saved, UTC, in ISO 8601 format.
    """

    name: str
    search: Mapping[str, Any]
    saved: str


class Collections:
    """The favourites and the saved searches of a server.

    Each method opens the file, so that several threads and processes can use it, and a deleted file is created again.
    A change is on disk when its method returns.

    Args:
        path: path of the SQLite file. The first change creates the file and its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def favourites(self) -> list[Favourite]:
        """Return all favourites, the oldest first.

        Raises:
            DiskError: the file cannot be read.
        """
        rows = self._read("SELECT image_id, sha256, path, added FROM favourites ORDER BY added, image_id")
        return [Favourite(*row) for row in rows]

    def add_favourite(self, image_id: str, sha256: str | None, path: str) -> None:
        """Add an image to the favourites. An image that is a favourite already keeps its date.

        Raises:
            InputError: there are MAX_FAVOURITES favourites.
            DiskError: the file cannot be written.
        """
        with self._connect() as connection:
            _check_count(connection, "favourites", MAX_FAVOURITES)
            connection.execute(
                "INSERT INTO favourites VALUES (?, ?, ?, ?) ON CONFLICT (image_id) DO UPDATE SET sha256 = "
                "excluded.sha256, path = excluded.path",
                (image_id, sha256, path, _now()),
            )

    def remove_favourites(self, image_ids: Sequence[str]) -> None:
        """Remove images from the favourites. Images that are no favourites are ignored.

        Args:
            image_ids: IDs of the images when they were added.

        Raises:
            DiskError: the file cannot be written.
        """
        if not self.path.exists():
            return
        with self._connect() as connection:
            connection.executemany("DELETE FROM favourites WHERE image_id = ?", [(image_id,) for image_id in image_ids])

    def saved_searches(self) -> list[SavedSearch]:
        """Return all saved searches, sorted by name.

        Raises:
            DiskError: the file cannot be read.
        """
        rows = self._read("SELECT name, search, saved FROM searches ORDER BY name")
        return [SavedSearch(name, json.loads(search), saved) for name, search, saved in rows]

    def find_search(self, name: str) -> SavedSearch | None:
        """Return the saved search with this name, or None if there is no such search."""
        return next((search for search in self.saved_searches() if search.name == name), None)

    def save_search(self, name: str, search: Mapping[str, Any]) -> None:
        """Save a search under a name. A search with the same name is replaced.

        Raises:
            InputError: there are MAX_SAVED_SEARCHES searches.
            DiskError: the file cannot be written.
        """
        with self._connect() as connection:
            _check_count(connection, "searches", MAX_SAVED_SEARCHES)
            connection.execute("INSERT OR REPLACE INTO searches VALUES (?, ?, ?)", (name, json.dumps(search), _now()))

    def remove_search(self, name: str) -> bool:
        """Remove the saved search with this name, and return whether there was such a search.

        Raises:
            DiskError: the file cannot be written.
        """
        if not self.path.exists():
            return False
        with self._connect() as connection:
            return connection.execute("DELETE FROM searches WHERE name = ?", (name,)).rowcount > 0

    def _read(self, query: str) -> list[tuple[Any, ...]]:
        if not self.path.exists():
            return []
        with self._connect() as connection:
            return connection.execute(query).fetchall()

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection to the file, which is created if necessary. Commit the changes of the `with` block."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=_BUSY_TIMEOUT_S)) as connection, connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.executescript(_CREATE_TABLES)
                yield connection
        except (sqlite3.Error, OSError) as error:
            raise DiskError(
                f"{self.path}: the favourites and saved searches cannot be read or written ({error}). Check the free "
                "space and the permissions of the folder. If the file is damaged, move it away."
            ) from error


def find_favourites(favourites: Sequence[Favourite], table: pa.Table) -> dict[str, Favourite]:
    """Find favourites in the table of an index, in which files may have other names than before.

    An image is the favourite if it has the same content. If no image has the same content, the image with the same ID
    and path is the favourite: somebody edited its file.

    Args:
        favourites: favourites to find.
        table: image metadata of the index, schema INDEXED_IMAGES.

    Returns:
        ID of the image in the index -> favourite. Favourites that are not in the index are missing.
    """
    if not favourites:
        return {}
    columns = table.select(["image_id", "sha256", "path"])
    ids = pa.array([favourite.image_id for favourite in favourites], pa.string())
    hashes = pa.array([favourite.sha256 for favourite in favourites if favourite.sha256], pa.string())
    is_known = pc.or_(pc.is_in(columns["image_id"], ids), pc.is_in(columns["sha256"], hashes))
    rows = columns.filter(is_known).to_pylist()
    by_id = {row["image_id"]: row for row in rows}
    by_content: dict[str, str] = {}
    for row in rows:
        if row["sha256"] is not None:
            by_content.setdefault(row["sha256"], row["image_id"])
    found: dict[str, Favourite] = {}
    for favourite in favourites:
        same_id = by_id.get(favourite.image_id)
        if same_id is not None and same_id["sha256"] == favourite.sha256:
            image_id: str | None = favourite.image_id
        elif favourite.sha256 in by_content:
            image_id = by_content[favourite.sha256]
        else:
            image_id = favourite.image_id if same_id is not None and same_id["path"] == favourite.path else None
        if image_id is not None:
            found.setdefault(image_id, favourite)
    return found


def _check_count(connection: sqlite3.Connection, table: str, maximum: int) -> None:
    (n_rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 (a constant)
    if n_rows >= maximum:
        raise InputError(f"There are {n_rows:,} {table}, expected fewer than {maximum:,}. Remove some of them.")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
