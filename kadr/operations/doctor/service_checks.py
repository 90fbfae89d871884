"""Check the MLflow store and the Prefect server."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx

from kadr.operations.doctor.finding import Finding, ok, problem
from kadr.operations.tracking.tracking_store import TrackingError, explain_store_error, open_store, store_address

TIMEOUT_S = 3.0
_SQLITE = "sqlite:///"


def check_mlflow() -> Iterator[Finding]:
    """Check that this version of MLflow can read and write the tracking store."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(int(TIMEOUT_S)))
    store = store_address()
    try:
        if store.startswith(_SQLITE):
            path = Path(store.removeprefix(_SQLITE))
            if not path.exists() or not path.stat().st_size:
                yield ok("mlflow", f"{path} does not exist yet; the first training run creates it")
                return
            _check_writable(path)
        with open_store():
            from mlflow import MlflowClient

            n = len(MlflowClient().search_experiments())
        yield ok("mlflow", f"{store}: {n} experiments, writable")
    except (TrackingError, sqlite3.Error) as error:
        explained = error if isinstance(error, TrackingError) else explain_store_error(store, error)
        yield problem(
            "mlflow", str(explained), "see docs/mlflow.md; until the store works, training runs are not recorded"
        )


def _check_writable(path: Path) -> None:
    """Check that an SQLite database can be locked for writing.

    Raises:
        sqlite3.Error: the database is read-only, locked or damaged.
    """
    with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=TIMEOUT_S)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("PRAGMA quick_check(1)").fetchone()
        database.execute("ROLLBACK")


def check_prefect() -> Iterator[Finding]:
    """Check that the Prefect server at $PREFECT_API_URL responds."""
    api = os.environ.get("PREFECT_API_URL")
    if not api:
        yield ok("prefect", "PREFECT_API_URL is not set, so each flow starts a temporary server")
        return
    try:
        httpx.get(f"{api.rstrip('/')}/health", timeout=TIMEOUT_S).raise_for_status()
        yield ok("prefect", f"{api} responds")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        message = f"The Prefect server {api} (PREFECT_API_URL) does not respond ({error})."
        yield problem("prefect", message, "prefect server start, or `unset PREFECT_API_URL` to use a temporary server")
