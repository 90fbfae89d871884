"""Check the DVC project: failed and outdated stages, missing files and leftover lock entries."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import psutil

from kadr.io.stage_failure import StageFailure, read_failures
from kadr.operations.doctor.dvc_status import NOT_RUN, describe_changes, stage_changes
from kadr.operations.doctor.finding import Finding, note, ok, problem

RWLOCK = Path(".dvc/tmp/rwlock")
"""File in which DVC lists the paths that its running processes read and write."""


def check_dvc() -> Iterator[Finding]:
    """Check that all stages are up to date. For a stage whose last run failed, the finding is the reason."""
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.lock import LockError
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.CRITICAL)  # the findings replace DVC's own warnings
    if finding := _check_rwlock(RWLOCK):
        yield finding
        return
    try:
        with Repo() as repo, repo.lock:
            changes = {stage.addressing: stage_changes(stage) for stage in repo.index.stages}
            has_remote = bool(repo.config["core"].get("remote"))
    except NotDvcRepoError:
        yield problem(
            "dvc",
            "This folder is not a DVC project.",
            "git checkout .dvc, or dvc init (without git: dvc init --no-scm)",
        )
    except LockError:
        yield note(
            "dvc", "Another DVC process is running, so the stages were not checked.", "wait until that process ends"
        )
    except DvcException as error:
        yield problem("dvc", _one_line(error), _fix_for(str(error)))
    else:
        yield from _check_stages(changes, has_remote)


def _check_stages(changes: dict[str, list[tuple[str, str]]], has_remote: bool) -> Iterator[Finding]:
    outdated = {name: stage for name, stage in changes.items() if stage}
    failures = [failure for failure in read_failures() if failure.stage in outdated]
    for failure in failures:
        yield _failed(failure)
        del outdated[failure.stage]
    if changes and all(stage == [("", NOT_RUN)] for stage in changes.values()):
        if not failures:
            yield problem("stages", "No stage has run yet.", "dvc pull, or dvc repro" if has_remote else "dvc repro")
        return
    for name, stage in outdated.items():
        fix = _fix_for_states({state for _, state in stage}, has_remote)
        yield problem(f"stage {name}", describe_changes(stage), fix)
    if not outdated and not failures:
        yield ok("stages", f"{len(changes)} stages are up to date")


def _failed(failure: StageFailure) -> Finding:
    flow_run = f" in flow run {failure.flow_run_id}" if failure.flow_run_id else ""
    message = f"failed on {failure.time:%Y-%m-%d at %H:%M} UTC{flow_run}: {failure.describe()}"
    return problem(f"stage {failure.stage}", message, f"correct the cause, then dvc repro {failure.stage}")


def _fix_for_states(states: set[str], has_remote: bool) -> str:
    """Return the command that brings a stage up to date.

    Args:
        states: DVC states of the changed files, e.g. `modified` or `deleted`.
        has_remote: whether the project has a default DVC remote.
    """
    if states == {"deleted"}:
        return "dvc checkout (the files are in the cache)"
    if states <= {"deleted", "not in cache"}:
        return "dvc pull" if has_remote else "dvc repro"
    return "dvc repro"


def _one_line(error: Exception) -> str:
    """Return the messages of a DVC error and its cause on one line.

    If a file is damaged, the cause gives the position of the damage.
    """
    message = " ".join(str(error).split())
    return f"{message} ({' '.join(str(error.__cause__).split())})" if error.__cause__ else message


def _fix_for(message: str) -> str:
    if "dvc.lock" in message:
        return "git checkout dvc.lock; without git: rm dvc.lock; dvc repro (restores the results from the DVC cache)"
    return "correct the file that the message names, or restore it with `git checkout FILE`"


def _check_rwlock(path: Path) -> Finding | None:
    """Return a finding if RWLOCK is damaged or names a process that is not DVC.

    DVC itself removes processes that have ended.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        writers, readers = entries.get("write", {}).values(), entries.get("read", {}).values()
        pids = {int(user["pid"]) for user in [*writers, *(user for users in readers for user in users)]}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        message = f"{path} is damaged ({error}). DVC was killed while it was writing this file."
        return problem("dvc", message, f"rm {path}")
    other_pids = [pid for pid in pids if psutil.pid_exists(pid) and not _is_dvc(pid)]
    if other_pids:
        message = (
            f"{path} names process {other_pids[0]}, which is not a DVC process. DVC would wait until that process ends."
        )
        return problem("dvc", message, f"rm {path}")
    return None


def _is_dvc(pid: int) -> bool:
    try:
        return any("dvc" in argument or "flows" in argument for argument in psutil.Process(pid).cmdline())
    except psutil.Error:
        return False
