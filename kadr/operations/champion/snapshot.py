"""Fetch a snapshot of images, texts and ratings, validate it, add it to DVC, and use it as the pipeline input.

`kadr snapshot ADDRESS` runs this code. If the command is interrupted, run it again. This code is not a DVC stage,
because it sets the input of the first stage.
"""

import filecmp
import json
import logging
import re
import shutil
from contextlib import AbstractContextManager
from pathlib import Path

from kadr.errors import InputError
from kadr.ingest.fetch import fetch, listing_key
from kadr.ingest.pipeline import ingest
from kadr.io.image_decoding import DEFAULT_LIMITS
from kadr.io.presets import set_value
from kadr.io.storage import exclusive_lock
from kadr.io.text_files import write_json
from kadr.params import DecodingParams, IngestParams
from kadr.project import PROJECT
from kadr.report.rejected_input import keep_rejected_input

logger = logging.getLogger(__name__)

SNAPSHOTS_FILE = PROJECT.raw / ".snapshots.json"
"""JSON file that maps the key of each snapshot's file listing to the folder of the snapshot.

If this file is missing, snapshots are fetched again.
"""


def take_snapshot(address: str, params: IngestParams, decoding: DecodingParams = DEFAULT_LIMITS) -> tuple[Path, bool]:
    """Use a snapshot as the input of the pipeline.

    The project changes only if the snapshot passes all checks of the `ingest` stage. A folder that is already in
    data/raw is not copied.

    Args:
        address: local folder, or fsspec address such as s3://bucket/photos.
        params: current ingest settings.
        decoding: settings of the image decoder.

    Returns:
        Folder of the snapshot in data/raw, and whether the snapshot is new.

    Raises:
        InputError: the address cannot be read, the snapshot fails a check, or another process is fetching a snapshot.
    """
    PROJECT.raw.mkdir(parents=True, exist_ok=True)
    with _lock_snapshots():
        key, snapshots, source = listing_key(address), _read_snapshots(), Path(params.source)
        folder = Path(snapshots.get(key, ""))
        if is_new := not (key in snapshots and folder.is_dir()):
            folder = _fetch_snapshot(address, key, source)
            if is_new := folder != source or _is_in_raw(address):
                _validate(address, folder, params, decoding)
                _add_to_dvc(folder)
            if _is_in_raw(address):
                key = listing_key(address)  # DVC may have changed the modification times
            write_json(SNAPSHOTS_FILE, snapshots | {key: folder.as_posix()})
        if folder != source:
            set_value("ingest.source", folder.as_posix(), PROJECT.params)
    return folder, is_new


def _lock_snapshots() -> AbstractContextManager[None]:
    busy = InputError(f"Another process is fetching a snapshot into {PROJECT.raw}. Wait until that process ends.")
    return exclusive_lock(PROJECT.raw / ".snapshots.lock", busy)


def _read_snapshots() -> dict[str, str]:
    """Return the content of SNAPSHOTS_FILE, or an empty dictionary if the file is missing or damaged."""
    try:
        snapshots = json.loads(SNAPSHOTS_FILE.read_text(encoding="utf-8"))
        return {str(key): str(folder) for key, folder in snapshots.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _is_in_raw(address: str) -> bool:
    """Return whether the address is a direct subfolder of data/raw."""
    return "://" not in address and Path(address).resolve().parent == PROJECT.raw.resolve()


def _fetch_snapshot(address: str, key: str, source: Path) -> Path:
    """Fetch a snapshot and return its folder in data/raw, or `source` if that folder has the same content."""
    if _is_in_raw(address):
        return PROJECT.raw / Path(address).resolve().name
    name = re.sub(r"[^\w.-]+", "_", address.rstrip("/").rsplit("/", 1)[-1])
    folder = PROJECT.raw / f"{name}-{key}"
    for partial in PROJECT.raw.glob(f".{name}-*.partial"):
        if partial.name != f".{folder.name}.partial":  # left by an interrupted copy of an older listing
            shutil.rmtree(partial)
    if not folder.is_dir():
        fetch(address, folder)
        if listing_key(address) != key:
            shutil.rmtree(folder)
            raise InputError(
                f"{address} changed while it was copied. Run the command again when its files no longer change."
            )
    if _has_same_files(folder, source):
        shutil.rmtree(folder)
        return source
    return folder


def _has_same_files(folder: Path, other: Path) -> bool:
    """Return whether two folders contain the same file names with identical contents."""
    names, other_names = (
        sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file()) for root in (folder, other)
    )
    return names == other_names and all(filecmp.cmp(folder / name, other / name, shallow=False) for name in names)


def _validate(address: str, folder: Path, params: IngestParams, decoding: DecodingParams) -> None:
    """Raise InputError if the snapshot fails a check of the `ingest` stage."""
    try:
        with keep_rejected_input(folder.as_posix()):
            ingested = ingest(params.model_copy(update={"source": folder.as_posix()}), PROJECT.expectations, decoding)
    except InputError as error:
        raise InputError(
            f"Snapshot {address} fails the checks of the `ingest` stage, so the pipeline input was not "
            f"changed.\n{error}\nThe fetched files are in {folder}.",
            evidence=error.evidence,
        ) from error
    counts = ", ".join(f"{len(table):,} {name}" for name, table in ingested.tables.items())
    logger.info("%s passes all checks: %s", folder, counts)


def _add_to_dvc(folder: Path) -> None:
    """Run `dvc add` on a folder."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(_wait_for_lock=True) as repo:
            repo.add(str(folder))
    except DvcException as error:
        raise InputError(f"{folder}: `dvc add` failed ({error}). Run `kadr doctor` to find a fix.") from error
