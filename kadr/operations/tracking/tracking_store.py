"""Open the MLflow tracking store and explain its errors.

The address of the store is $MLFLOW_TRACKING_URI. The default is sqlite:///mlflow.db in the project folder.

`dvc exp run --queue` and `--temp` run a stage in a temporary copy of the project, below .dvc/tmp/exps of the project.
There, the store and its artifacts are those of the project.
"""

import logging
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from kadr.errors import KadrError
from kadr.operations.tracking.artifact_paths import ARTIFACTS, correct_artifact_paths
from kadr.operations.tracking.store_probe import probe_store
from kadr.project import project_folder

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

DEFAULT_STORE = "sqlite:///mlflow.db"
SQLITE = "sqlite:///"
_MLFLOW_SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
_RETRY_SETTINGS = {  # the defaults of MLflow retry for four minutes if the tracking server stops
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
_NEW_STORE = "Move the file to another folder. MLflow then creates a new store."
_EXPLANATIONS = {  # part of the original error message -> explanation
    "out-of-date database schema": "another version of MLflow wrote this store. If that version was older, copy the "
    "file and run `mlflow db upgrade {store}`. If that version was newer, install that version.",
    "database is locked": "another process has locked the store. Wait until that process ends, or stop it.",
    "not a database": f"the file is not an SQLite database. {_NEW_STORE}",
    "disk I/O error": "the disk is full or faulty. Free up disk space, or check the disk.",
    "database or disk is full": "the disk is full. Free up disk space.",
    "malformed": f"the database is damaged. {_NEW_STORE}",
    "No module named 'psycopg": "the PostgreSQL driver is not installed. Install it: `pip install 'kadr[postgres]'`.",
    "Connection refused": "no server responds at this address. Start the server, or correct MLFLOW_TRACKING_URI.",
    "timed out": "the server does not respond. Restart the server, or correct MLFLOW_TRACKING_URI.",
    "timeout expired": "the server does not respond. Restart the server, or correct MLFLOW_TRACKING_URI.",
}


class TrackingError(KadrError):
    """The MLflow store cannot be read or written, or does not contain a requested run."""


def store_address() -> str:
    """Return the address of the tracking store. The path of an SQLite file is absolute."""
    store = os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_STORE)
    return f"{SQLITE}{project_folder() / store.removeprefix(SQLITE)}" if store.startswith(SQLITE) else store


def use_experiment(name: str) -> str:
    """Make an experiment the active MLflow experiment, and create it if it does not exist.

    The artifacts of a new experiment are stored in the folder mlruns of the project, or where the tracking server
    stores them.

    Returns:
        The ID of the experiment.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    if not store_address().startswith("http") and mlflow.get_experiment_by_name(name) is None:
        try:
            mlflow.create_experiment(name, str(project_folder() / ARTIFACTS / name))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process has created it in the meantime
                raise
    return str(mlflow.set_experiment(name).experiment_id)


@contextmanager
def open_store() -> Iterator[None]:
    """Connect MLflow to the tracking store inside a `with` block.

    Raises:
        TrackingError: an MLflow call inside the block fails.
    """
    for name, value in _MLFLOW_SETTINGS.items():  # MLflow reads these variables when it is imported
        os.environ.setdefault(name, value)
    import mlflow
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    store = store_address()
    mlflow.set_tracking_uri(store)
    try:
        probe_store(store)
        if database := project_database():
            correct_artifact_paths(database)
        yield
    except (mlflow.exceptions.MlflowException, SQLAlchemyError, sqlite3.Error, CommandError, OSError) as error:
        raise explain_store_error(store, error) from error


def project_database() -> Path | None:
    """Return the path of the SQLite store in the project folder, or None if the store is elsewhere or not created."""
    store = store_address()
    own = store.startswith(SQLITE) and sqlite_file(store).parent == project_folder()
    return sqlite_file(store) if own and is_created(sqlite_file(store)) else None


def sqlite_file(store: str) -> Path:
    """Return the path of the file of an SQLite store."""
    return Path(store.removeprefix(SQLITE).partition("?")[0])


def is_created(database: Path) -> bool:
    """Return whether an SQLite file exists and is not empty."""
    return database.is_file() and database.stat().st_size > 0


def explain_store_error(store: str, error: Exception) -> TrackingError:
    """Return an error that explains why a store failed and how to fix it.

    Args:
        store: address of the store.
        error: the original error.
    """
    text = str(error).strip() or type(error).__name__
    explanation = next((known for part, known in _EXPLANATIONS.items() if part in text), text.splitlines()[0])
    store = hide_password(store)
    return TrackingError(f"{store}: {explanation.replace('{store}', store)}")


def hide_password(store: str) -> str:
    """Return the address of a store with `***` in place of the password.

    >>> hide_password("postgresql://kadr:secret@localhost/mlflow")
    'postgresql://kadr:***@localhost/mlflow'
    """
    return re.sub(r"(?<=://)([^:/@]*):[^/]*@", r"\1:***@", store)


def limit_retries() -> None:
    """Limit the time that MLflow waits for a tracking server that stops, unless the environment sets other limits."""
    for name, value in _RETRY_SETTINGS.items():
        os.environ.setdefault(name, value)


def tolerate_store_errors(subject: str) -> Callable[[Callable[P, T]], Callable[P, T | None]]:
    """Decorate a function that uses the tracking store. If the store fails, log a warning and return None.

    The function is not called if the store does not respond.

    Args:
        subject: words that complete the warning "MLflow did not record ...", e.g. "the training run".
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T | None]:
        @wraps(function)
        def tolerant(*args: P.args, **kwargs: P.kwargs) -> T | None:
            limit_retries()
            try:
                with open_store():
                    return function(*args, **kwargs)
            except TrackingError as error:
                logger.warning(
                    "MLflow did not record %s. The files of the stage are complete. Fix the store and run the stage "
                    "again. %s",
                    subject,
                    error,
                )
                return None

        return tolerant

    return decorate
