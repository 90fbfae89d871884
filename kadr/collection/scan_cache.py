"""Cache of image scans, so that only new and changed files are scanned."""

import shutil
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kadr.collection.listing import is_local
from kadr.collection.scan import SCANNED, scan_images
from kadr.index import Index
from kadr.io.fingerprints import Fingerprints
from kadr.io.schemas import write_table
from kadr.params import DecodingParams
from kadr.progress import progress

_CHUNK_SIZE = 1000  # number of scans per cache file; a killed process loses fewer scans than this
_FILE_STATE = ["path", "bytes", "modified"]
_CONTENT = [name for name in SCANNED.names if name not in _FILE_STATE and name != "sha256"]


class ScanCache:
    """A cache with the scans from the current index and from interrupted updates.

    Args:
        folder: folder that contains the cache.
        index: current index, or None if no index exists.
        limits: settings of the decoder.
    """

    def __init__(self, folder: Path, index: Index | None, limits: DecodingParams) -> None:
        self._folder = folder / "notes"
        self._limits = limits
        self._fingerprints = Fingerprints(folder / "fingerprints.parquet")
        known = [] if index is None or index.missing_columns.intersection(SCANNED.names) else [_scans_of_index(index)]
        for path in sorted(self._folder.glob("*.parquet")):
            try:
                table = pq.read_table(path)
            except (OSError, pa.ArrowException):
                table = None
            if table is not None and table.schema.equals(SCANNED):
                known.append(table)
            else:  # the file is incomplete or of an older version, so its images are scanned again
                path.unlink()
        self._known = pa.concat_tables(known or [SCANNED.empty_table()]).to_pandas()

    def scan(self, files: pd.DataFrame, *, rescan: bool = False) -> pd.DataFrame:
        """Return the scans of the given files. Only files that are not in the cache are scanned.

        A local file is identified by its SHA-256, a remote file by its path, size and modification time.

        Args:
            files: table with the columns path, bytes and modified.
            rescan: whether to read and scan all files again.

        Returns:
            Table with the columns of SCANNED, sorted by path.
        """
        if rescan:
            self._known = self._known.iloc[:0]
        files = self._find_hashes(files, rescan)
        valid = self._known[self._known["status"] == "ok"].drop_duplicates("sha256").set_index("sha256")
        is_new = ~files["sha256"].isin(valid.index)
        cached = files[~is_new].join(valid[_CONTENT], on="sha256")
        scanned = pd.DataFrame(self._scan_new(files[is_new]), columns=SCANNED.names)
        rows = pd.concat([table for table in (cached, scanned) if len(table)], ignore_index=True)
        ordered: pd.DataFrame = rows.sort_values("path", ignore_index=True)[SCANNED.names]
        return ordered

    def forget(self, paths: Sequence[str]) -> None:
        """Delete the hashes of files that have changed since their scan, so that the next update reads them again."""
        self._fingerprints.forget(paths)

    def clear(self) -> None:
        """Delete the scans of interrupted updates. Call this method after the index is published."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _find_hashes(self, files: pd.DataFrame, rescan: bool) -> pd.DataFrame:
        """Add the column sha256, which is None for files that have to be scanned."""
        local = files["path"].map(is_local)
        files = files.assign(sha256=pd.Series([None] * len(files), dtype=object))
        files.loc[local, "sha256"] = self._fingerprints.sha256(files.loc[local, "path"].tolist(), reread=rescan)
        dated = self._known.dropna(subset=["modified"]).drop_duplicates(_FILE_STATE)
        remote = files[~local].reset_index()
        remote = remote.merge(dated[[*_FILE_STATE, "sha256"]], on=_FILE_STATE, suffixes=("", "_known"))
        files.loc[remote["index"], "sha256"] = remote["sha256_known"].to_numpy()
        return files

    def _scan_new(self, files: pd.DataFrame) -> Iterator[dict[str, object]]:
        """Scan files, and save the scans in chunks."""
        states = files[_FILE_STATE].astype(object).where(files[_FILE_STATE].notna(), None)
        rows = [dict(zip(_FILE_STATE, row, strict=True)) for row in states.itertuples(index=False, name=None)]
        number = len(list(self._folder.glob("*.parquet")))
        with progress("scan images", len(rows)) as advance:
            scans = map(_mark_changed, rows, scan_images(rows, self._limits))
            while chunk := list(islice(scans, _CHUNK_SIZE)):
                table = pa.Table.from_pylist(chunk, SCANNED)
                write_table(table, self._folder / f"{number:06d}.parquet", SCANNED)
                number += 1
                advance(len(chunk))
                yield from table.to_pylist()


def _mark_changed(file: dict[str, Any], scan: dict[str, Any]) -> dict[str, Any]:
    """Set the status `changed` if a file cannot be used, and was still being written after it was listed."""
    is_changed = (
        scan["status"] != "ok" and None not in (file["bytes"], scan["bytes"]) and file["bytes"] != scan["bytes"]
    )
    return scan | {"status": "changed"} if is_changed else scan


def _scans_of_index(index: Index) -> pa.Table:
    """Return the images of an index as scans. Capture times that depend on the path are null."""
    table = index.table.append_column("status", pa.array(["ok"] * len(index.table), pa.string()))
    from_path = pc.is_in(table["taken_source"], value_set=pa.array(["name", "file"]))
    for name in ("taken", "taken_source"):
        column = pc.if_else(from_path, pa.scalar(None, table.schema.field(name).type), table[name])
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table.select(SCANNED.names).cast(SCANNED)
