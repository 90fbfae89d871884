"""Store image-text pairs in a temporary DuckDB database, and select the pairs that have no score yet.

The database is a file on disk, so the table of pairs can be larger than the available memory.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from kadr.errors import InputError
from kadr.ingest.columns import Columns
from kadr.ingest.table_files import is_table, read_rows, table_suffixes
from kadr.io.schemas import required
from kadr.io.storage import list_remote_files
from kadr.operations.scoring.scorer import IMAGE_COLUMN, RELEVANCE_COLUMN, TEXT_COLUMN

SHA256 = "sha256"
"""Column with the sha256 of the image file."""

_MEMORY_LIMIT = "2GB"  # DuckDB moves data beyond this limit to disk

SCORES = pa.schema(
    [
        *(required(name, pa.string()) for name in (IMAGE_COLUMN, SHA256, TEXT_COLUMN)),
        required(RELEVANCE_COLUMN, pa.float64()),  # 0 to 1
    ]
)
QUARANTINE = pa.schema(
    [
        required("row", pa.int64()),  # 1-based row of the input, without the header
        pa.field(IMAGE_COLUMN, pa.string()),
        pa.field(TEXT_COLUMN, pa.string()),
        required("reason", pa.string()),
    ]
)
_SELECT_QUARANTINED = """
select row, input.photo, input.text, case when input.photo is null then 'no photo' when input.text is null
    then 'no text' else images.error end as reason
from input left join images using (photo) where reason is not null order by row
"""


@dataclass(frozen=True)
class PairStore:
    """Temporary database with the image-text pairs of one input table.

    Attributes:
        db: DuckDB connection. The table `input` has the columns row, photo and text.
    """

    db: Any

    @classmethod
    @contextmanager
    def read(cls, source: str, work: Path) -> Iterator["PairStore"]:
        """Read a table of pairs into a new database.

        Args:
            source: path or fsspec address of a Parquet or text file.
            work: empty folder for the database file.

        Raises:
            InputError: the input file cannot be read, or a column is missing.
        """
        import duckdb

        with closing(duckdb.connect(work / "pairs.duckdb")) as db:
            db.execute(f"set memory_limit = '{_MEMORY_LIMIT}'")
            pairs = cls(db)
            pairs._insert(_download(source, work))
            yield pairs

    def _insert(self, path: Path) -> None:
        """Create the table `input` from a local file. Blank values become null."""
        import duckdb

        columns = ", ".join(
            f"nullif(trim(cast({name} as varchar)), '') as {name}" for name in (IMAGE_COLUMN, TEXT_COLUMN)
        )
        insert = "create table input as select {row} as row, {columns} from {source}"
        if path.suffix.lower() != ".parquet" and is_table(path):
            self.db.register("text_rows", read_rows(path, Columns((IMAGE_COLUMN, TEXT_COLUMN))).rows.reset_index())
            self.db.execute(insert.format(row="row", columns=columns, source="text_rows"))
            return
        try:
            row = "row_number() over ()"
            self.db.execute(insert.format(row=row, columns=columns, source="read_parquet(?)"), [str(path)])
        except duckdb.Error as error:
            raise InputError(
                f"{path} cannot be read ({str(error).splitlines()[0]}). Expected a table "
                f"({', '.join(table_suffixes())}) with the columns {IMAGE_COLUMN} and {TEXT_COLUMN}."
            ) from error

    def image_paths(self) -> list[str]:
        """Return the distinct image paths of the input table, sorted."""
        rows = self.db.execute("select distinct photo from input where photo is not null order by photo").fetchall()
        return [path for (path,) in rows]

    def add_images(self, images: Iterable[tuple[str, str | None, str | None]]) -> None:
        """Store the checksum or the read error of each image of the input table.

        Args:
            images: (path, sha256, error) of each image. The error is None if the file can be read.
        """
        columns = zip(*images, strict=True)
        arrays = [pa.array(column, pa.string()) for column in columns] or [pa.array([], pa.string())] * 3
        self.db.register("image_rows", pa.table(arrays, names=[IMAGE_COLUMN, SHA256, "error"]))
        self.db.execute("create table images as from image_rows")
        self.db.execute(
            "create table valid as select distinct photo, sha256, text from input join images using (photo) "
            "where error is null and text is not null"
        )

    def select_unscored(self, scores: Path) -> tuple[int, int]:
        """Select the valid pairs that have no score yet.

        Args:
            scores: folder with Parquet files of earlier scores.

        Returns:
            Number of valid pairs, and number of valid pairs without a score.

        Raises:
            InputError: a score file in the folder is damaged.
        """
        import duckdb

        self.db.execute("create table unscored as from valid")
        if any(scores.glob("*.parquet")):
            scored = "select photo, sha256, text from read_parquet(?)"
            try:
                self.db.execute(
                    f"create or replace table unscored as from valid anti join ({scored}) using (photo, sha256, text)",
                    [f"{scores}/*.parquet"],
                )
            except duckdb.Error as error:
                raise InputError(
                    f"A score file in {scores} is damaged ({str(error).splitlines()[0]}). "
                    "Delete that file, then run the command again to recompute its scores."
                ) from error
        counts = "select (select count(*) from valid), (select count(*) from unscored)"
        (row,) = self.db.execute(counts).fetchall()
        return row  # type: ignore[no-any-return]

    def unscored_batches(self, n: int) -> Iterator[pa.Table]:
        """Yield the selected pairs in tables of at most n rows, with the columns photo, sha256 and text.

        Pairs with the same image are adjacent.
        """
        with closing(self.db.cursor()) as cursor:
            for batch in cursor.sql("from unscored order by photo, text").to_arrow_reader(n):
                yield pa.Table.from_batches([batch])

    def quarantined_rows(self, undecodable: Mapping[str, str]) -> pa.Table:
        """Return the rows that cannot be scored, with the reasons, in the schema QUARANTINE.

        Args:
            undecodable: status of each image that cannot be decoded, by the sha256 of its file.
        """
        for sha256, status in undecodable.items():
            self.db.execute(
                "update images set error = ? where sha256 = ?", [f"the image cannot be decoded: {status}", sha256]
            )
        return self.db.sql(_SELECT_QUARANTINED).to_arrow_table()


def _download(source: str, work: Path) -> Path:
    """Return the local path of a file. A remote file is first downloaded to the folder `work`."""
    if "://" not in source:
        return Path(source)
    system, root, _ = list_remote_files(source)
    path = work / root.rsplit("/", 1)[-1]
    try:
        system.get_file(root, str(path))
    except (OSError, ValueError) as error:
        raise InputError(f"{source} cannot be read ({error}). Check the address and its permissions.") from error
    return path


def pairs_digest(scores: pa.Table) -> str:
    """Return a digest of the pairs in a table. Its 16 hexadecimal digits become part of the file name."""
    rows = zip(*(scores[name].to_pylist() for name in (IMAGE_COLUMN, SHA256, TEXT_COLUMN)), strict=True)
    return hashlib.sha256("\0".join(map("\0".join, rows)).encode()).hexdigest()[:16]
