"""The batch scoring part's bookkeeping in DuckDB: the rows to score, those scored already, those set aside.

Its database is a file, so that what does not fit into memory lies on the disk.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from kadr.errors import InputError
from kadr.ingest.text_tables import TEXT_ENDINGS, read_rows, require_columns
from kadr.io.schemas import required
from kadr.io.storage import find_remote
from kadr.operations.scoring.scorer import PHOTO, PREDICTED, TEXT

SHA256 = "sha256"
_MEMORY = "2GB"  # of DuckDB; the rest lies in its file


SCORES = pa.schema(
    [
        *(required(name, pa.string()) for name in (PHOTO, SHA256, TEXT)),  # sha256 of the photo's bytes
        required(PREDICTED, pa.float64()),  # 0..1
    ]
)
QUARANTINE = pa.schema(
    [
        required("row", pa.int64()),  # 1-based row of the input; a header is not counted
        pa.field(PHOTO, pa.string()),
        pa.field(TEXT, pa.string()),
        required("reason", pa.string()),
    ]
)
_SET_ASIDE = """
select row, input.photo, input.text, case when input.photo is null then 'no photo' when input.text is null
    then 'no text' else why end as reason
from input left join photos using (photo) where reason is not null order by row
"""


@dataclass(frozen=True)
class Pairs:
    """The rows of one input, in a database of their own.

    Attributes:
        db: the connection, with a table input (row, photo, text).
    """

    db: Any

    @classmethod
    @contextmanager
    def read(cls, source: str, work: Path) -> Iterator["Pairs"]:
        """Take in a file of Parquet or text, here or at an fsspec address; `work` is an empty folder.

        Raises:
            InputError: the file cannot be read, or lacks a column.
        """
        import duckdb

        with closing(duckdb.connect(work / "pairs.duckdb")) as db:
            db.execute(f"set memory_limit = '{_MEMORY}'")
            pairs = cls(db)
            pairs._take_in(_fetched(source, work))
            yield pairs

    def _take_in(self, path: Path) -> None:
        import duckdb

        shown = ", ".join(f"nullif(trim(cast({name} as varchar)), '') as {name}" for name in (PHOTO, TEXT))
        insert = f"create table input as select row_number() over () as row, {shown} from "  # noqa: S608
        if path.suffix.lower() in TEXT_ENDINGS:
            rows = read_rows(path, (PHOTO, TEXT))
            require_columns(path, rows, (PHOTO, TEXT))
            self.db.register("read", rows)
            self.db.execute(f"{insert} read")
            return
        try:
            self.db.execute(f"{insert} read_parquet(?)", [str(path)])
        except duckdb.Error as error:
            wanted = f"wanted Parquet (or text: {', '.join(TEXT_ENDINGS)}) with columns {PHOTO} and {TEXT}"
            raise InputError(f"{path}: cannot be read ({str(error).splitlines()[0]}); {wanted}") from error

    def photos(self) -> list[str]:
        """The distinct photos, sorted."""
        found = self.db.execute("select distinct photo from input where photo is not null order by photo").fetchall()
        return [photo for (photo,) in found]

    def know(self, photos: Iterable[tuple[str, str | None, str | None]]) -> None:
        """Take in (photo, its sha256, why it cannot be read) of every photo."""
        columns = zip(*photos, strict=True)
        arrays = [pa.array(column, pa.string()) for column in columns] or [pa.array([], pa.string())] * 3
        self.db.register("looked", pa.table(arrays, names=[PHOTO, SHA256, "why"]))
        self.db.execute("create table photos as from looked")
        self.db.execute(
            "create table good as select distinct photo, sha256, text from input join photos using (photo) "
            "where why is null and text is not null"
        )

    def choose(self, scored: Path) -> tuple[int, int]:
        """How many pairs are good, and how many of these have no score in the folder `scored`: they are to do.

        Raises:
            InputError: a file there is damaged.
        """
        import duckdb

        self.db.execute("create table todo as from good")
        if any(scored.glob("*.parquet")):
            known = "select photo, sha256, text from read_parquet(?)"
            try:
                self.db.execute(
                    f"create or replace table todo as from good anti join ({known}) using (photo, sha256, text)",
                    [f"{scored}/*.parquet"],
                )
            except duckdb.Error as error:
                said = str(error).splitlines()[0]
                raise InputError(f"{scored}: {said}; delete that file: its pairs are scored anew") from error
        counts = "select (select count(*) from good), (select count(*) from todo)"
        (found,) = self.db.execute(counts).fetchall()
        return found  # type: ignore[no-any-return]

    def todo(self, n: int) -> Iterator[pa.Table]:
        """The pairs to do (photo, sha256, text), at most `n` at once, all of a photo one after another."""
        with closing(self.db.cursor()) as reading:
            for batch in reading.sql("from todo order by photo, text").to_arrow_reader(n):
                yield pa.Table.from_batches([batch])

    def set_aside(self, undecodable: Mapping[str, str]) -> pa.Table:
        """Schema QUARANTINE: the rows that get no score; `undecodable` is sha256 -> why, of photos that are none."""
        for sha256, status in undecodable.items():
            self.db.execute(
                "update photos set why = ? where sha256 = ?", [f"the photo does not decode: {status}", sha256]
            )
        return self.db.sql(_SET_ASIDE).to_arrow_table()


def _fetched(source: str, work: Path) -> Path:
    """The path of `source`, copied into `work` where it is an address."""
    if "://" not in source:
        return Path(source)
    system, root, _ = find_remote(source)
    path = work / root.rsplit("/", 1)[-1]
    try:
        system.get_file(root, str(path))
    except (OSError, ValueError) as error:
        raise InputError(f"{source}: cannot be read ({error}); mend the address, or its permissions") from error
    return path


def digest_of(scores: pa.Table) -> str:
    """16 hexadecimal digits of the pairs, so that the same part is the same file."""
    rows = zip(*(scores[name].to_pylist() for name in (PHOTO, SHA256, TEXT)), strict=True)
    return hashlib.sha256("\0".join(map("\0".join, rows)).encode()).hexdigest()[:16]
