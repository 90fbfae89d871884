"""The collection's notes: what was seen of each photo, so that it is read again only when its file has changed."""

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from kadr.collection.listing import is_local
from kadr.collection.scan import LOOKED, look_at_all
from kadr.index import Index
from kadr.io.fingerprints import Fingerprints
from kadr.io.schemas import write_table
from kadr.progress import progress

_AT_ONCE = 1000  # photos in a note: what a killed run loses at most
_STAMP = ["path", "bytes", "modified"]
_SEEN = [name for name in LOOKED.names if name not in _STAMP and name != "sha256"]


class Notes:
    """Of an unfinished run, in the folder `home`, and of the index that is there.

    Args:
        home: of the index's versions.
        index: the version that serves; None where there is none.
    """

    def __init__(self, home: Path, index: Index | None) -> None:
        self._folder = home / "notes"
        self._fingerprints = Fingerprints(home / "fingerprints.parquet")
        known = [] if index is None else [self._of(index)]
        for path in sorted(self._folder.glob("*.parquet")):
            try:
                known.append(pq.read_table(path, schema=LOOKED))
            except (OSError, pa.ArrowException):
                path.unlink()  # a torn note: its photos are read again
        self._known = pa.concat_tables(known or [LOOKED.empty_table()]).to_pandas()

    def look(self, files: pd.DataFrame) -> pd.DataFrame:
        """Rows of schema LOOKED for `files` (path, bytes, modified), in their order.

        A file on a disk is known by its content's sha256, of which `kadr.io.fingerprints` reads only what has changed;
        one elsewhere by its path, size and time of modification.
        """
        local = files["path"].map(is_local)
        files = files.assign(sha256=pd.Series([None] * len(files), dtype=object))
        files.loc[local, "sha256"] = self._fingerprints.sha256(files.loc[local, "path"].tolist())
        dated = self._known.dropna(subset=["modified"]).drop_duplicates(_STAMP)
        stamps = files[~local].reset_index().merge(dated[[*_STAMP, "sha256"]], on=_STAMP, suffixes=("", "_known"))
        files.loc[stamps["index"], "sha256"] = stamps["sha256_known"].to_numpy()
        good = self._known[self._known["status"] == "ok"].drop_duplicates("sha256").set_index("sha256")
        is_new = ~files["sha256"].isin(good.index)
        kept = files[~is_new].join(good[_SEEN], on="sha256")
        seen = pd.DataFrame(self._look(files[is_new]), columns=LOOKED.names)
        both = pd.concat([part for part in (kept, seen) if len(part)], ignore_index=True)
        ordered: pd.DataFrame = both.sort_values("path", ignore_index=True)[LOOKED.names]
        return ordered

    def forget(self) -> None:
        """Remove the notes of a run whose index is published."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _look(self, files: pd.DataFrame) -> Iterator[dict[str, object]]:
        """Look at each file, and write a note now and then."""
        stamps = files[_STAMP].astype(object).where(files[_STAMP].notna(), None)
        rows = [dict(zip(_STAMP, row, strict=True)) for row in stamps.itertuples(index=False, name=None)]
        number = len(list(self._folder.glob("*.parquet")))
        with progress("look at photos", len(rows)) as advance:
            looked = look_at_all(rows)
            while some := list(islice(looked, _AT_ONCE)):
                table = pa.Table.from_pylist(some, LOOKED)
                write_table(table, self._folder / f"{number:06d}.parquet", LOOKED)
                number += 1
                advance(len(some))
                yield from table.to_pylist()

    @staticmethod
    def _of(index: Index) -> pa.Table:
        photos = index.photos.append_column("status", pa.array(["ok"] * len(index.photos), pa.string()))
        return photos.select(LOOKED.names).cast(LOOKED)
