"""The doctor's look at what DVC, MLflow and Prefect say of the project. It changes nothing of theirs."""

import json
import logging
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import psutil

from kadr.operations.doctor import Finding, note, ok, wrong
from kadr.operations.doctor.dvc_status import NOT_RUN, changes_of, in_words
from kadr.operations.tracking import recording

RWLOCK = Path(".dvc/tmp/rwlock")
WAIT_S = 3.0
_SQLITE = "sqlite:///"


def check_dvc() -> Iterator[Finding]:
    """What is stale, and why; what is in neither the project nor the cache; what keeps DVC from telling."""
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.lock import LockError
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.CRITICAL)  # what it would warn of is a finding
    if broken := _broken_lock(RWLOCK):
        yield broken
        return
    try:
        with Repo() as repo, repo.lock:
            stages = {stage.addressing: changes_of(stage) for stage in repo.index.stages}
            remote = bool(repo.config["core"].get("remote"))
    except NotDvcRepoError:
        yield wrong(
            "dvc", "this folder is no DVC project", "git checkout .dvc, or: dvc init (dvc init --no-scm, no git)"
        )
    except LockError:
        yield note(
            "dvc", "another DVC process is at work, so what is stale cannot be told now", "wait until it is done"
        )
    except DvcException as error:
        yield wrong("dvc", _sentence(error), _mend_of(str(error)))
    else:
        yield from _stale(stages, remote)


def _stale(stages: dict[str, list[tuple[str, str]]], remote: bool) -> Iterator[Finding]:
    counts = Counter(bool(changes) for changes in stages.values())
    if stages and all(changes == [("", NOT_RUN)] for changes in stages.values()):
        yield wrong("stages", "none has run yet", "dvc pull, or: dvc repro" if remote else "dvc repro")
        return
    for name, changes in stages.items():
        if not changes:
            continue
        yield wrong(f"stage {name}", in_words(changes), _command({how for _, how in changes}, remote))
    if not counts[True]:
        yield ok("stages", f"{counts[False]} are up to date")


def _command(states: set[str], remote: bool) -> str:
    """The command for a stage of whose files DVC says this."""
    if states == {"deleted"}:
        return "dvc checkout (its files are in the cache)"
    if states <= {"deleted", "not in cache"}:
        return "dvc pull" if remote else "dvc repro"
    return "dvc repro"


def _sentence(error: Exception) -> str:
    """An error of DVC's with what it was raised from, on one line: where a file is damaged stands in the cause."""
    said = " ".join(str(error).split())
    return f"{said} ({' '.join(str(error.__cause__).split())})" if error.__cause__ else said


def _mend_of(said: str) -> str:
    if "dvc.lock" in said:
        return (
            "git checkout dvc.lock, or where git has none: rm dvc.lock; dvc repro (it finds what it made in the cache)"
        )
    return "mend the file it names, or `git checkout` it"


def _broken_lock(path: Path) -> Finding | None:
    """What is wrong with the list of files in use that DVC keeps; entries of ended processes it removes by itself."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        writers, readers = held.get("write", {}).values(), held.get("read", {}).values()
        pids = {int(one["pid"]) for one in [*writers, *(one for each in readers for one in each)]}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        return wrong("dvc", f"{path} is damaged ({error}): DVC was killed while it wrote it", f"rm {path}")
    taken = [pid for pid in pids if psutil.pid_exists(pid) and not _is_dvc(pid)]
    if taken:
        said = f"{path} names process {taken[0]}, which is no DVC (any more), so DVC would wait for it"
        return wrong("dvc", said, f"rm {path}")
    return None


def _is_dvc(pid: int) -> bool:
    try:
        return any("dvc" in part or "flows" in part for part in psutil.Process(pid).cmdline())
    except psutil.Error:
        return False


def check_mlflow() -> Iterator[Finding]:
    """Whether the store can be read and written, by this version of MLflow."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(int(WAIT_S)))
    store = os.environ.get("MLFLOW_TRACKING_URI", recording.DEFAULT_STORE)
    try:
        if store.startswith(_SQLITE):
            path = Path(store.removeprefix(_SQLITE))
            if not path.exists() or not path.stat().st_size:
                yield ok("mlflow", f"{path} is made by the first training")
                return
            _try_to_lock(path)
        with recording.opened():
            from mlflow import MlflowClient

            n = len(MlflowClient().search_experiments())
        yield ok("mlflow", f"{store}: {n} experiments, and it can be written")
    except (recording.TrackingError, sqlite3.Error) as error:
        said = error if isinstance(error, recording.TrackingError) else recording.store_error(store, error)
        yield wrong("mlflow", str(said), "see docs/mlflow.md; trainings go on meanwhile, without their record")


def _try_to_lock(path: Path) -> None:
    """Take the lock that a writer takes, and give it back. Raises sqlite3.Error."""
    with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=WAIT_S)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("PRAGMA quick_check(1)").fetchone()
        database.execute("ROLLBACK")


def check_prefect() -> Iterator[Finding]:
    """Whether the server that flows report to answers."""
    api = os.environ.get("PREFECT_API_URL")
    if not api:
        yield ok("prefect", "PREFECT_API_URL is not set: each flow starts a server of its own")
        return
    try:
        httpx.get(f"{api.rstrip('/')}/health", timeout=WAIT_S).raise_for_status()
        yield ok("prefect", f"{api} answers")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        said = f"PREFECT_API_URL: {api} does not answer ({error})"
        yield wrong("prefect", said, "prefect server start, or: unset PREFECT_API_URL (a flow then starts its own)")
