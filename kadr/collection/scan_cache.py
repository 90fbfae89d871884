"""Cache of image scans, so that only new and changed files are scanned."""

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from kadr.collection.listing import is_local
from kadr.collection.scan import SCANNED, scan_images
from kadr.index import Index
from kadr.io.fingerprints import Fingerprints
from kadr.io.schemas import write_table
from kadr.progress import progress

_CHUNK_SIZE = 1000  # number of scans per cache file; a killed process loses fewer scans than this
_FILE_STATE = ["path", "bytes", "modified"]
_CONTENT = [name for name in SCANNED.names if name not in _FILE_STATE and name != "sha256"]


class ScanCache:
    """A cache with the scans from the current index and from interrupted updates.

    Args:
        folder: folder that contains the cache.
        index: current index, or None if no index exists.
        max_pixels: maximum number of pixels. Larger images get the status too_large.
    """

    def __init__(self, folder: Path, index: Index | None, max_pixels: int) -> None:
        self._folder = folder / "notes"
        self._max_pixels = max_pixels
        self._fingerprints = Fingerprints(folder / "fingerprints.parquet")
        known = [] if index is None else [_scans_of_index(index)]
        for path in sorted(self._folder.glob("*.parquet")):
            try:
                known.append(pq.read_table(path, schema=SCANNED))
            except (OSError, pa.ArrowException):
                path.unlink()  # the file is incomplete, so its images are scanned again
        self._known = pa.concat_tables(known or [SCANNED.empty_table()]).to_pandas()

    def scan(self, files: pd.DataFrame) -> pd.DataFrame:
        """Return the scans of the given files. Only files that are not in the cache are scanned.

        A local file is identified by its SHA-256, a remote file by its path, size and modification time.

        Args:
            files: table with the columns path, bytes and modified.

        Returns:
            Table with the columns of SCANNED, sorted by path.
        """
        local = files["path"].map(is_local)
        files = files.assign(sha256=pd.Series([None] * len(files), dtype=object))
        files.loc[local, "sha256"] = self._fingerprints.sha256(files.loc[local, "path"].tolist())
        dated = self._known.dropna(subset=["modified"]).drop_duplicates(_FILE_STATE)
        remote = files[~local].reset_index()
        remote = remote.merge(dated[[*_FILE_STATE, "sha256"]], on=_FILE_STATE, suffixes=("", "_known"))
        files.loc[remote["index"], "sha256"] = remote["sha256_known"].to_numpy()
        valid = self._known[self._known["status"] == "ok"].drop_duplicates("sha256").set_index("sha256")
        is_new = ~files["sha256"].isin(valid.index)
        cached = files[~is_new].join(valid[_CONTENT], on="sha256")
        scanned = pd.DataFrame(self._scan_new(files[is_new]), columns=SCANNED.names)
        rows = pd.concat([table for table in (cached, scanned) if len(table)], ignore_index=True)
        ordered: pd.DataFrame = rows.sort_values("path", ignore_index=True)[SCANNED.names]
        return ordered

    def clear(self) -> None:
        """Delete the scans of interrupted updates. Call this method after the index is published."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _scan_new(self, files: pd.DataFrame) -> Iterator[dict[str, object]]:
        """Scan files, and save the scans in chunks."""
        states = files[_FILE_STATE].astype(object).where(files[_FILE_STATE].notna(), None)
        rows = [dict(zip(_FILE_STATE, row, strict=True)) for row in states.itertuples(index=False, name=None)]
        number = len(list(self._folder.glob("*.parquet")))
        with progress("scan images", len(rows)) as advance:
            scans = scan_images(rows, self._max_pixels)
            while chunk := list(islice(scans, _CHUNK_SIZE)):
                table = pa.Table.from_pylist(chunk, SCANNED)
                write_table(table, self._folder / f"{number:06d}.parquet", SCANNED)
                number += 1
                advance(len(chunk))
                yield from table.to_pylist()


def _scans_of_index(index: Index) -> pa.Table:
    table = index.table.append_column("status", pa.array(["ok"] * len(index.table), pa.string()))
    return table.select(SCANNED.names).cast(SCANNED)
