"""Prefect tasks that run a DVC stage or a kadr command as a subprocess."""

import asyncio
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, cast

from anyio import CancelScope
from prefect import State, Task, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.exceptions import FailedRun
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL

from flows.stage_log import explain_log, is_busy, last_message, line_level
from kadr.io.stage_failure import (
    FAILURES_VARIABLE,
    FLOW_RUN_VARIABLE,
    StageFailure,
    clear_failure,
    read_failure,
    write_failure,
)
from kadr.operations.experiment import Experiment
from kadr.operations.tracking.lineage import FLOW_RUN_URL_VARIABLE
from kadr.project import Project

Logger = logging.Logger | logging.LoggerAdapter[Any]
Outcome = Literal["ran", "from cache", "pulled", "unchanged"]

RETRY_DELAY_S = 5.0
"""Seconds to wait before a retry if another DVC process is using the files of the stage."""

LAST_WRITES_S = 2.0
"""Seconds in which a subprocess that is about to end can end, before it receives SIGINT."""

GRACE_PERIOD_S = 10.0
"""Seconds between SIGINT and SIGKILL when a subprocess is stopped."""

MAX_LINE_BYTES = 2**20
"""Maximum length of a log line in bytes."""

_OUTCOMES: dict[str, Outcome] = {
    "'{}' didn't change, skipping": "unchanged",
    "'{}' is cached - skipping run": "from cache",
    "Running stage '{}'": "ran",
    "Pulling data for stage: '{}'": "pulled",
}


class StageError(Exception):
    """A stage or command failed. The error message is the whole message of the stage, with its evidence."""


class StageBusyError(StageError):
    """Another DVC process is using the files of the stage, so a retry can succeed."""


def run_flow(flow: Coroutine[Any, Any, object]) -> None:
    """Run a flow from the command line. If the flow fails, print its message and exit with code 1."""
    try:
        asyncio.run(flow)
    except FailedRun as failure:
        sys.exit(str(failure))


async def _is_busy(_task: Task[..., Any], _run: TaskRun, state: State) -> bool:
    return isinstance(await state.aresult(raise_on_failure=False), StageBusyError)


@task(
    task_run_name="{stage}",
    retries=60,
    retry_delay_seconds=RETRY_DELAY_S,
    retry_condition_fn=_is_busy,
    cache_policy=NO_CACHE,
    persist_result=False,
)
async def run_stage(
    stage: str, force: bool = False, pull: bool = False, experiment: Experiment | None = None
) -> Outcome:
    """Run `dvc repro --single-item` for one stage, and log its output line by line.

    Args:
        stage: DVC address of the stage, e.g. `embed_images@clip`.
        force: run the stage even if it is up to date.
        pull: fetch missing inputs, and outputs of known runs, from the DVC remote.
        experiment: experiment in whose copy of the project the stage runs. None is the project itself.

    Returns:
        `ran`, `from cache` if DVC restored the outputs from its run cache, `pulled` if DVC fetched the outputs that
        dvc.lock names, or `unchanged` if the stage was up to date.

    Raises:
        StageError: the stage failed.
        StageBusyError: another DVC process is using the files of the stage.
    """
    options = ["--single-item", *(["--force"] if force else []), *(["--pull"] if pull else [])]
    failures = Project(experiment.folder if experiment else Path.cwd()).failures
    clear_failure(stage, failures)
    code, lines = await _run("dvc", ["--wait-for-lock", "repro", *options, stage], failures, experiment)
    if code:
        if is_busy(lines):
            raise StageBusyError(last_message(lines))
        if not (failure := read_failure(stage, failures)):
            failure = StageFailure(stage, "StageError", explain_log(lines, code), flow_run_id=flow_run.id)
            write_failure(failure, failures)
        raise StageError(failure.describe())
    outcomes = (
        outcome for line in reversed(lines) for text, outcome in _OUTCOMES.items() if text.format(stage) in line
    )
    return next(outcomes, "ran")


@task(task_run_name="kadr {command}", cache_policy=NO_CACHE, persist_result=False)
async def run_command(command: str, arguments: list[str]) -> None:
    """Run `kadr COMMAND ARGUMENTS` and log its output line by line.

    Raises:
        StageError: the command failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        failures = Path(folder)
        code, lines = await _run("kadr", [command, *arguments], failures)
        if code:
            failure = read_failure("kadr", failures)
            raise StageError(failure.describe() if failure else explain_log(lines, code))


@task(task_run_name="dvc {arguments[0]} {arguments[1]}", cache_policy=NO_CACHE, persist_result=False)
async def run_dvc(arguments: list[str], experiment: Experiment | None = None) -> None:
    """Run `dvc ARGUMENTS`, and log its output line by line.

    Args:
        arguments: arguments of the command.
        experiment: experiment in whose copy of the project the command runs. None is the project itself.

    Raises:
        StageError: the command failed.
    """
    code, lines = await _run("dvc", arguments, experiment=experiment)
    if code:
        raise StageError(explain_log(lines, code))


async def _run(
    module: str, arguments: list[str], failures: Path | None = None, experiment: Experiment | None = None
) -> tuple[int, list[str]]:
    """Run a Python module as a subprocess, and return its exit code and output lines.

    If the task is cancelled, the subprocess and all its child processes are stopped.

    Args:
        module: name of the module.
        arguments: arguments of the module.
        failures: folder in which the subprocess writes the reason of a failure. None if it writes none.
        experiment: experiment in whose copy of the project the module runs. None is the project itself.
    """
    process = await _start(module, arguments, failures, experiment)
    try:
        lines = await _log_lines(cast(asyncio.StreamReader, process.stdout), get_run_logger())
        return await process.wait(), lines
    finally:
        with CancelScope(shield=True):  # a timeout of Prefect cancels each await, also those in here
            await _stop(process)


async def _start(
    module: str, arguments: list[str], failures: Path | None, experiment: Experiment | None
) -> asyncio.subprocess.Process:
    """Start a Python module in a new process group, with the folder of this interpreter first in PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    page = flow_run.ui_url if PREFECT_API_URL.value() else None  # a temporary server disappears after the run
    lineage = {FLOW_RUN_VARIABLE: flow_run.id or "", FLOW_RUN_URL_VARIABLE: page or ""}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", module, *arguments),
        env={**os.environ, **lineage, "PATH": path, "PYTHONUNBUFFERED": "1"}
        | ({FAILURES_VARIABLE: str(failures)} if failures else {})
        | (experiment.environment if experiment else {}),
        cwd=experiment.folder if experiment else None,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=MAX_LINE_BYTES,
        start_new_session=True,
    )


async def _log_lines(output: asyncio.StreamReader, logger: Logger) -> list[str]:
    """Log each output line as it arrives with its level, and return all lines.

    Text before a carriage return is dropped.
    """
    lines: list[str] = []
    level = logging.INFO
    async for raw in output:
        line = raw.decode(errors="replace").rstrip().rpartition("\r")[2]
        if line:
            level = line_level(line, level)
            logger.log(level, line)
            lines.append(line)
    return lines


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Stop DVC, the stage and its child processes. SIGINT is sent first, so that DVC can release its locks.

    A process that is about to end is not interrupted, because DVC writes dvc.lock in place after a stage.
    """
    await _wait(process, LAST_WRITES_S)
    if process.returncode is None:
        _send(process, signal.SIGINT)
        await _wait(process, GRACE_PERIOD_S)
    _send(process, signal.SIGKILL)
    await process.communicate()


async def _wait(process: asyncio.subprocess.Process, seconds: float) -> None:
    """Wait until a subprocess ends, or until the time is over.

    The end of an event loop cancels a task that is already cancelled once more, so cancellations do not end the wait.
    """
    end = time.monotonic() + seconds
    while process.returncode is None and (left := end - time.monotonic()) > 0:
        with suppress(TimeoutError, asyncio.CancelledError):
            await asyncio.wait_for(process.wait(), left)


def _send(process: asyncio.subprocess.Process, signal_number: signal.Signals) -> None:
    """Send a signal to a subprocess and its child processes, if any of them is running."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal_number)
