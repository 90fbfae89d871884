"""Check the MLflow store and the Prefect server."""

import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx

from kadr.operations.doctor.finding import Finding, ok, problem
from kadr.operations.tracking.artifact_paths import ARTIFACTS, find_other_artifacts
from kadr.operations.tracking.tracking_store import (
    SQLITE,
    TrackingError,
    explain_store_error,
    hide_password,
    is_created,
    limit_retries,
    open_store,
    project_database,
    sqlite_file,
    store_address,
)
from kadr.project import project_folder

TIMEOUT_S = 3.0


def check_mlflow() -> Iterator[Finding]:
    """Check that this version of MLflow can read and write the tracking store."""
    limit_retries()
    store = store_address()
    try:
        if store.startswith(SQLITE):
            path = sqlite_file(store)
            if not is_created(path):
                yield ok("mlflow", f"{path} does not exist yet; the first training run creates it")
                return
            _check_writable(path)
        with open_store():
            from mlflow import MlflowClient

            n = len(MlflowClient().search_experiments())
            database = project_database()
            others = find_other_artifacts(database) if database else {}
        yield ok("mlflow", f"{hide_password(store)}: {n} experiments, writable")
        for other, experiments in others.items():
            yield problem(
                "mlflow",
                f"The artifacts of {', '.join(experiments)} are in {other}, and not in {project_folder() / ARTIFACTS}. "
                "New runs also store their artifacts there.",
                f"if this project is a copy, copy the artifacts too: `cp -r {shlex.quote(str(other))} .`",
            )
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
