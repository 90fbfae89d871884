"""A new snapshot of photos, texts and ratings becomes the project's input: fetched, validated, kept by DVC, named.

`kadr snapshot ADDRESS` does it; killed at any point, the same command goes on from there. It is no DVC
stage: it says what the first stage reads.
"""

import filecmp
import json
import logging
import re
import shutil
from contextlib import AbstractContextManager
from pathlib import Path

from kadr.errors import InputError
from kadr.ingest import ingest
from kadr.ingest.fetch import fetch, listing_key
from kadr.io.presets import set_value
from kadr.io.storage import alone
from kadr.io.text_files import write_json
from kadr.operations.tracking.recording import PARAMS_FILE
from kadr.params import Params
from kadr.project import PROJECT

logger = logging.getLogger(__name__)

RAW = Path("data/raw")
TAKEN = RAW / ".snapshots.json"  # key of a listing -> the folder that has its content; lost, it costs one more fetch


def take(address: str, params: Params) -> tuple[Path, bool]:
    """Make the snapshot at `address` the project's input; a folder right in data/raw stays where it is.

    Nothing of the project changes before the snapshot has passed all checks of stage ingest.

    Args:
        address: a folder, or of fsspec, e.g. s3://bucket/photos.
        params: of the project as it is.

    Returns:
        The folder, and whether it is a new one.

    Raises:
        InputError: the address cannot be read, the snapshot does not pass, or another process is taking one.
    """
    RAW.mkdir(parents=True, exist_ok=True)
    with _alone():
        key, taken, source = listing_key(address), _taken(), Path(params.ingest.source)
        folder = Path(taken.get(key, ""))
        if is_new := not (key in taken and folder.is_dir()):
            folder = _bring(address, key, source)
            if is_new := folder != source or _is_ours(address):
                _validate(address, folder, params)
                _keep(folder)
            if _is_ours(address):
                key = listing_key(address)  # DVC may have changed its files' times
            write_json(TAKEN, taken | {key: folder.as_posix()})
        if folder != source:
            set_value("ingest.source", folder.as_posix(), PARAMS_FILE)
    return folder, is_new


def _alone() -> AbstractContextManager[None]:
    busy = InputError(f"{RAW}: another process is taking a snapshot; wait until it is done")
    return alone(RAW / ".snapshots.lock", busy)


def _taken() -> dict[str, str]:
    try:
        return {str(key): str(folder) for key, folder in json.loads(TAKEN.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _is_ours(address: str) -> bool:
    """Whether it is a folder right in data/raw."""
    return "://" not in address and Path(address).resolve().parent == RAW.resolve()


def _bring(address: str, key: str, source: Path) -> Path:
    """The snapshot's folder in data/raw, whole; `source`, where that has the very same content."""
    if _is_ours(address):
        return RAW / Path(address).resolve().name
    name = re.sub(r"[^\w.-]+", "_", address.rstrip("/").rsplit("/", 1)[-1])
    folder = RAW / f"{name}-{key}"
    for old in RAW.glob(f".{name}-*.partial"):  # of a listing that is no more
        if old.name != f".{folder.name}.partial":
            shutil.rmtree(old)
    if not folder.is_dir():
        fetch(address, folder)
        if listing_key(address) != key:
            shutil.rmtree(folder)
            raise InputError(f"{address} has changed while it was copied; run this again when it lies still")
    if _is_same(folder, source):
        shutil.rmtree(folder)
        return source
    return folder


def _is_same(folder: Path, other: Path) -> bool:
    """Whether both have the same files with the same bytes."""
    ours, theirs = (
        sorted(path.relative_to(where) for path in where.rglob("*") if path.is_file()) for where in (folder, other)
    )
    return ours == theirs and all(filecmp.cmp(folder / name, other / name, shallow=False) for name in ours)


def _validate(address: str, folder: Path, params: Params) -> None:
    """Raise InputError unless stage ingest would take the folder."""
    try:
        ingested = ingest(params.ingest.model_copy(update={"source": folder.as_posix()}), PROJECT.expectations)
    except InputError as error:
        raise InputError(
            f"the snapshot {address} does not pass, and nothing is changed: {error}\nWhat came is in {folder}"
        ) from error
    logger.info("%s passes: %s", folder, ", ".join(f"{len(table):,} {name}" for name, table in ingested.tables.items()))


def _keep(folder: Path) -> None:
    """`dvc add` the folder."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(_wait_for_lock=True) as repo:
            repo.add(str(folder))
    except DvcException as error:
        raise InputError(f"{folder}: DVC does not take it ({error}); `kadr doctor` says what is wrong") from error
