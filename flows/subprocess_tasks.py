"""Prefect tasks that run a DVC stage or a kadr command as a subprocess."""

import asyncio
import logging
import os
import re
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, cast

from prefect import State, Task, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.exceptions import FailedRun
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL

Logger = logging.Logger | logging.LoggerAdapter[Any]
Outcome = Literal["ran", "from cache", "unchanged"]

RETRY_DELAY_S = 5.0
"""Seconds to wait before a retry if another DVC process is using the files of the stage."""

GRACE_PERIOD_S = 10.0
"""Seconds between SIGINT and SIGKILL when a subprocess is stopped."""

MAX_LINE_BYTES = 2**20
"""Maximum length of a log line in bytes."""

_OUTCOMES: dict[str, Outcome] = {"' didn't change, skipping": "unchanged", "' is cached - skipping run": "from cache"}
_BUSY = re.compile(r"^ERROR: .*(is busy, it is being blocked by|Unable to acquire lock)")
_STAGE_FAILED = re.compile(r"^ERROR: failed to reproduce .*: failed to run: ")


class StageError(Exception):
    """A stage or command failed. The error message is the last message in its log."""


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
async def run_stage(stage: str, force: bool = False) -> Outcome:
    """Run `dvc repro --single-item` for one stage, and log its output line by line.

    Args:
        stage: DVC address of the stage, e.g. `embed_images@clip`.
        force: run the stage even if it is up to date.

    Returns:
        `ran`, `from cache` if DVC restored the outputs from its run cache, or `unchanged` if the stage was up to date.

    Raises:
        StageError: the stage failed.
        StageBusyError: another DVC process is using the files of the stage.
    """
    options = ["--single-item", *(["--force"] if force else [])]
    code, lines = await _run("dvc", ["--wait-for-lock", "repro", *options, stage])
    if code:
        raise (StageBusyError if any(map(_BUSY.search, lines)) else StageError)(last_message(lines))
    outcomes = (outcome for line in lines for text, outcome in _OUTCOMES.items() if f"'{stage}{text}" in line)
    return next(outcomes, "ran")


@task(task_run_name="kadr {command}", cache_policy=NO_CACHE, persist_result=False)
async def run_command(command: str, arguments: list[str]) -> None:
    """Run `kadr COMMAND ARGUMENTS` and log its output line by line.

    Raises:
        StageError: the command failed.
    """
    code, lines = await _run("kadr", [command, *arguments])
    if code:
        raise StageError(last_message(lines))


async def _run(module: str, arguments: list[str]) -> tuple[int, list[str]]:
    """Run a Python module as a subprocess, and return its exit code and output lines.

    If the task is cancelled, the subprocess and all its child processes are stopped.
    """
    process = await _start(module, arguments)
    try:
        lines = await _log_lines(cast(asyncio.StreamReader, process.stdout), get_run_logger())
        return await process.wait(), lines
    finally:
        await _stop(process)


async def _start(module: str, arguments: list[str]) -> asyncio.subprocess.Process:
    """Start a Python module in a new process group, with the folder of this interpreter first in PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    page = flow_run.ui_url if PREFECT_API_URL.value() else None  # a temporary server disappears after the run
    lineage = {"PREFECT__FLOW_RUN_ID": flow_run.id or "", "KADR_FLOW_RUN_URL": page or ""}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", module, *arguments),
        env={**os.environ, **lineage, "PATH": path, "PYTHONUNBUFFERED": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=MAX_LINE_BYTES,
        start_new_session=True,
    )


async def _log_lines(output: asyncio.StreamReader, logger: Logger) -> list[str]:
    """Log each output line as it arrives, and return all lines. Text before a carriage return is dropped."""
    lines: list[str] = []
    async for raw in output:
        line = raw.decode(errors="replace").rstrip().rpartition("\r")[2]
        if line:
            logger.info(line)
            lines.append(line)
    return lines


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Stop DVC, the stage and its child processes. SIGINT is sent first, so that DVC can release its locks."""
    with suppress(ProcessLookupError):
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGINT)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), GRACE_PERIOD_S)
        os.killpg(process.pid, signal.SIGKILL)
    await process.communicate()


def last_message(lines: list[str]) -> str:
    r"""Return the last message in the log of a stage.

    Indented lines belong to the message in the line above them. DVC's own message about the failed command is ignored
    if the stage printed a message.

    >>> last_message(["> python -m tasks.ingest", "ingest: params.yaml is not valid:", "  seed: missing key"])
    'ingest: params.yaml is not valid:\n  seed: missing key'
    """
    stage_lines = [line for line in lines if not _STAGE_FAILED.search(line)]
    has_message = stage_lines and not stage_lines[-1].startswith("> ")
    lines = stage_lines if has_message else lines
    first = next((row for row in reversed(range(len(lines))) if not lines[row][0].isspace()), 0)
    return "\n".join(lines[first:]).removeprefix("ERROR: ") or "no output"
