"""Correct the artifact paths in the SQLite store of a project that was copied or moved.

MLflow stores the absolute path of the artifacts of each experiment, run and model. After a project is copied or moved
together with its store, these paths still name the artifact folder of the original project.
"""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

logger = logging.getLogger(__name__)

ARTIFACTS = "mlruns"
"""Name of the artifact folder in a project folder."""

TIMEOUT_S = 10.0
"""Time to wait for another process that writes to the store."""

_PATH_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def correct_artifact_paths(database: Path) -> None:
    """Replace the artifact folder of the original project with that of this project, if the artifacts are here.

    Args:
        database: SQLite store in a project folder. The folder mlruns next to the file is the project's artifact folder.

    Raises:
        sqlite3.Error: the database cannot be read or written.
    """
    own = database.parent / ARTIFACTS
    for other, experiments in _other_folders(database).items():
        if other.exists() and not any((own / experiment).exists() for experiment in experiments):
            continue
        with closing(sqlite3.connect(database, timeout=TIMEOUT_S)) as store, store:
            for table, column in _PATH_COLUMNS:
                store.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608
                    (f"{own}/", len(f"{other}/") + 1, len(f"{other}/"), f"{other}/"),
                )
        logger.info("The project was copied or moved. Its MLflow store now refers to %s instead of %s.", own, other)


def find_other_artifacts(database: Path) -> dict[Path, list[str]]:
    """Return the experiments whose artifacts are in another project, by the artifact folder of that project.

    Args:
        database: SQLite store in a project folder, after `correct_artifact_paths`.

    Raises:
        sqlite3.Error: the database cannot be read.
    """
    folders = _other_folders(database)
    return {
        other: found
        for other, experiments in folders.items()
        if (found := [experiment for experiment in experiments if (other / experiment).exists()])
    }


def _other_folders(database: Path) -> dict[Path, list[str]]:
    """Return the subfolder of each experiment outside of the project, by the folder mlruns that contains it."""
    with closing(sqlite3.connect(database, timeout=TIMEOUT_S)) as store:
        if not store.execute("SELECT 1 FROM sqlite_master WHERE name = 'logged_models'").fetchone():
            return {}  # MLflow creates or rejects this store
        locations = [location for (location,) in store.execute("SELECT artifact_location FROM experiments")]
    folders: dict[Path, list[str]] = {}
    for location in locations:
        folder, separator, experiment = location.rpartition(f"/{ARTIFACTS}/")
        if separator and folder.startswith("/") and Path(folder) != database.parent:
            folders.setdefault(Path(folder) / ARTIFACTS, []).append(experiment)
    return folders
