"""Open the MLflow tracking store and explain its errors.

The address of the store is $MLFLOW_TRACKING_URI. The default is sqlite:///mlflow.db in the project folder.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from kadr.errors import KadrError

logger = logging.getLogger(__name__)

DEFAULT_STORE = "sqlite:///mlflow.db"
_MLFLOW_SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
_NEW_STORE = "Move the file to another folder. MLflow then creates a new store."
_EXPLANATIONS = {  # part of the original error message -> explanation
    "out-of-date database schema": "another version of MLflow wrote this store. If that version was older, copy the "
    "file and run `mlflow db upgrade {store}`. If that version was newer, install that version.",
    "database is locked": "another process has locked the store. Wait until that process ends, or stop it.",
    "not a database": f"the file is not an SQLite database. {_NEW_STORE}",
    "disk I/O error": "the disk is full or faulty. Free up disk space, or check the disk.",
    "database or disk is full": "the disk is full. Free up disk space.",
    "malformed": f"the database is damaged. {_NEW_STORE}",
}


class TrackingError(KadrError):
    """The MLflow store cannot be read or written, or does not contain a requested run."""


def store_address() -> str:
    """Return the address of the tracking store."""
    return os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_STORE)


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
        yield
    except (mlflow.exceptions.MlflowException, SQLAlchemyError, CommandError, OSError) as error:
        raise explain_store_error(store, error) from error


def explain_store_error(store: str, error: Exception) -> TrackingError:
    """Return an error that explains why a store failed and how to fix it.

    Args:
        store: address of the store.
        error: the original error.
    """
    text = str(error).strip() or type(error).__name__
    explanation = next((known for part, known in _EXPLANATIONS.items() if part in text), text.splitlines()[0])
    return TrackingError(f"{store}: {explanation.replace('{store}', store)}")


@contextmanager
def tolerate_store_errors(subject: str) -> Iterator[None]:
    """Connect MLflow to the tracking store in a `with` block. If the store fails, log a warning and exit the block.

    Args:
        subject: words that complete the warning "MLflow did not record ...", e.g. "the training run".
    """
    try:
        with open_store():
            yield
    except TrackingError as error:
        logger.warning(
            "MLflow did not record %s. The files of the stage are complete. Fix the store and run the stage again. %s",
            subject,
            error,
        )
