"""Full-text search over the names, folders, descriptions and visible texts of images: BM25 of SQLite FTS5.

The text index is one SQLite file without the texts themselves. SQLite reads only the pages that a query needs.
"""

import sqlite3
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kadr.errors import SearchError
from kadr.index.text_analysis import document_terms, query_terms
from kadr.io.embeddings import Rows
from kadr.io.storage import write_atomically

TEXT_FIELDS = ("name", "folders", "description", "image_text")
"""Fields of the text index: file name, names of the folders, and columns of INDEXED_IMAGES."""

MAX_QUERY_WORDS = 32
"""Maximum number of words of a query that are searched. The rarest words are searched."""

MAX_OCCURRENCES = 100_000
"""Maximum number of occurrences that one query reads, rarest word first. More frequent words are ignored."""

_BATCH_SIZE = 10_000  # number of images that are read from the table at once
_CREATE = f"""
    CREATE VIRTUAL TABLE texts USING fts5(
        {", ".join(TEXT_FIELDS)}, content='', tokenize="unicode61 remove_diacritics 0 categories 'L* N* M* Co'"
    )
"""
_CREATE_VOCABULARY = "CREATE VIRTUAL TABLE vocabulary USING fts5vocab(texts, row)"
_INSERT = f"INSERT INTO texts(rowid, {', '.join(TEXT_FIELDS)}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608
_COUNT = "SELECT doc FROM vocabulary WHERE term = ?"
_SEARCH = "SELECT rowid, -bm25(texts) FROM texts WHERE texts MATCH ?"

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TextMatches:
    """The images that contain at least one word of a query.

    Attributes:
        rows: (n,) row numbers of the images, ascending.
        scores: (n,) BM25 scores, higher is better.
        coverages: (n,) share of the words of the query that the image contains, 0..1. A word counts by its inverse
            document frequency, and a word that no image contains counts like the rarest word.
    """

    rows: Rows
    scores: Scores
    coverages: Scores


class TextIndex:
    """A full-text index. The class is thread-safe.

    Args:
        connection: SQLite database that `build` created.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        weakref.finalize(self, connection.close)
        self._n_images = int(connection.execute("SELECT count(*) FROM texts_docsize").fetchone()[0])

    @classmethod
    def build(cls, images: pa.Table, path: Path | None = None) -> "TextIndex | None":
        """Build a text index.

        Args:
            images: table with the schema INDEXED_IMAGES.
            path: new file of the text index. None builds the text index in memory.

        Returns:
            The text index, or None if the SQLite library of this Python has no FTS5.

        Raises:
            OSError: the file cannot be written.
        """
        if not _has_fts5():
            return None
        connection = sqlite3.connect(path or ":memory:", check_same_thread=False)
        try:
            _fill(connection, images)
        except sqlite3.Error as error:
            connection.close()
            raise OSError(f"{path}: SQLite cannot write the text index ({error})") from error
        if path is None:
            return cls(connection)
        connection.close()
        return cls.read(path)

    def write(self, path: Path) -> None:
        """Write the text index to a file, unless the text index is in this file.

        Identical indexes that were built in the same way produce identical files. Raises OSError.
        """
        with self._lock:
            (_, _, source), *_ = self._connection.execute("PRAGMA database_list").fetchall()
            if source and path.exists() and path.samefile(source):
                return
            content = self._connection.serialize()
        with write_atomically(path) as partial:
            partial.write_bytes(content)

    @classmethod
    def read(cls, path: Path) -> "TextIndex":
        """Open the file of a text index for reading.

        Raises:
            ValueError: the file is damaged.
        """
        try:
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True, check_same_thread=False)
            return cls(connection)
        except sqlite3.Error as error:
            raise ValueError(f"{path}: SQLite cannot read the text index ({error})") from error

    def search(self, text: str, rows: Rows | None = None) -> TextMatches:
        """Find the images that contain words of a text.

        Args:
            text: any text. No character has a special meaning.
            rows: row numbers to search in, ascending. None searches all images.

        Raises:
            SearchError: the text index cannot be read.
        """
        try:
            with self._lock:
                return self._search(text, rows)
        except sqlite3.Error as error:
            raise SearchError(
                f"The text index cannot be read ({error}). Rebuild the index with `dvc repro -f -s index`, or with "
                "`kadr index` for your own photos."
            ) from error

    def _search(self, text: str, rows: Rows | None) -> TextMatches:
        counted = [self._find_terms(terms) for terms in query_terms(text).values()]
        counted.sort(key=lambda item: item[1])
        found: list[tuple[Rows, Scores]] = []
        idfs: list[float] = []
        n_read = 0
        for terms, count in counted[:MAX_QUERY_WORDS]:
            n_read += count
            if n_read > MAX_OCCURRENCES:
                break
            idfs.append(self._idf(count))
            found.append(self._read(terms, rows) if count else _NOTHING)
        if not sum(len(word_rows) for word_rows, _ in found):
            return TextMatches(*_NOTHING, _NOTHING[1])
        all_rows, inverse = np.unique(np.concatenate([word_rows for word_rows, _ in found]), return_inverse=True)
        scores = sum_by(inverse, np.concatenate([word_scores for _, word_scores in found]))
        weights = np.concatenate([np.full(len(found[word][0]), idf) for word, idf in enumerate(idfs)])
        return TextMatches(all_rows, scores, sum_by(inverse, weights) / sum(idfs))

    def _find_terms(self, terms: Sequence[str]) -> tuple[Sequence[str], int]:
        """Return the terms to search for one word, and an upper limit of the number of images.

        A compound name such as DSC01234 is searched as a whole if an image contains it, and by its parts otherwise.
        """
        whole, *parts = terms
        count = self._count(whole)
        if count or not parts:
            return [whole], count
        return parts, min(map(self._count, parts))

    def _count(self, term: str) -> int:
        row = self._connection.execute(_COUNT, (term,)).fetchone()
        return int(row[0]) if row else 0

    def _idf(self, count: int) -> float:
        """Return the inverse document frequency of a word, with the formula of Apache Lucene, which is positive."""
        return float(np.log1p((self._n_images - count + 0.5) / (count + 0.5)))

    def _read(self, terms: Sequence[str], rows: Rows | None) -> tuple[Rows, Scores]:
        """Return the images that contain all terms, and their BM25 scores."""
        match = " AND ".join(f'"{term}"' for term in terms)  # terms consist of letters, digits and marks
        results = self._connection.execute(_SEARCH, (match,)).fetchall()
        values = np.array(results, dtype=np.float64).reshape(-1, 2)
        found = values[:, 0].astype(np.int64)
        if rows is None:
            return found, values[:, 1]
        is_allowed = np.isin(found, rows, assume_unique=True)
        return found[is_allowed], values[is_allowed, 1]


def _fill(connection: sqlite3.Connection, images: pa.Table) -> None:
    """Create the tables of a text index in an empty database, and add the images."""
    connection.execute("PRAGMA journal_mode = OFF")  # a file that is not complete is not used
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA secure_delete = ON")  # unused bytes are zero, so equal indexes have equal files
    connection.execute(_CREATE)
    connection.execute(_CREATE_VOCABULARY)
    connection.executemany(_INSERT, _documents(images))
    connection.execute("INSERT INTO texts(texts) VALUES ('optimize')")
    connection.commit()
    connection.execute("VACUUM")


_NOTHING: tuple[Rows, Scores] = (np.empty(0, dtype=np.int64), np.empty(0))


def sum_by(groups: Rows, values: Scores) -> Scores:
    """Return the sum of the values of each group.

    Args:
        groups: (n,) number of the group of each value, from 0.
        values: (n,) values.
    """
    return np.asarray(np.bincount(groups, values), dtype=np.float64)


def find_words(text: str, image: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Find the words of a query in the name and texts of one image.

    Args:
        text: query text.
        image: columns of INDEXED_IMAGES -> values.

    Returns:
        Field of TEXT_FIELDS -> words of the query that the field contains. Fields without words are left out.
    """
    words = query_terms(text)
    found: dict[str, tuple[str, ...]] = {}
    for field, content in _fields(image).items():
        terms = set(document_terms(content)) if content else set()
        contained = tuple(
            word for word, (whole, *parts) in words.items() if whole in terms or (parts and terms.issuperset(parts))
        )
        if contained:
            found[field] = contained
    return found


def _fields(image: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of an image by field."""
    path = PurePosixPath(image["path"].replace("\\", "/"))
    return {
        "name": path.name,
        "folders": " ".join(path.parts[:-1]),
        "description": image["description"] or "",
        "image_text": image["image_text"] or "",
    }


def _documents(images: pa.Table) -> Iterator[tuple[int | str, ...]]:
    """Yield the row number of each image and the terms of each field."""
    table = images.select(["row", "path", "description", "image_text"])
    for batch in table.to_batches(max_chunksize=_BATCH_SIZE):
        for image in batch.to_pylist():
            yield (image["row"], *(" ".join(document_terms(text)) for text in _fields(image).values()))


@cache
def _has_fts5() -> bool:
    with sqlite3.connect(":memory:") as connection:
        options = {name for (name,) in connection.execute("PRAGMA compile_options")}
    connection.close()
    return "ENABLE_FTS5" in options
