"""The orchestration room's tasks: run a DVC stage, or a command, in a process of its own, and leave none behind."""

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

RETRY_EVERY_S = 5.0  # between two looks at files that another DVC process is using
GRACE_S = 10.0  # from the interrupt of a cancelled stage to its kill
LONGEST_LINE = 2**20  # bytes of one log line

_OUTCOMES: dict[str, Outcome] = {"' didn't change, skipping": "unchanged", "' is cached - skipping run": "from cache"}
_BUSY = re.compile(r"^ERROR: .*(is busy, it is being blocked by|Unable to acquire lock)")
_STAGE_FAILED = re.compile(r"^ERROR: failed to reproduce .*: failed to run: ")


class StageError(Exception):
    """A stage ended with an error of its own; the message is the stage's last one."""


class StageBusyError(StageError):
    """Another DVC process is using the files of the stage; it is worth another try."""


def run_here(flow: Coroutine[Any, Any, object]) -> None:
    """Run a flow from a command line; one that fails ends the process with its message alone and exit code 1."""
    try:
        asyncio.run(flow)
    except FailedRun as failure:
        sys.exit(str(failure))


async def _is_busy(_task: Task[..., Any], _run: TaskRun, state: State) -> bool:
    return isinstance(await state.aresult(raise_on_failure=False), StageBusyError)


@task(
    task_run_name="{stage}",
    retries=60,
    retry_delay_seconds=RETRY_EVERY_S,
    retry_condition_fn=_is_busy,
    cache_policy=NO_CACHE,
    persist_result=False,
)
async def run_stage(stage: str, force: bool = False) -> Outcome:
    """Bring one stage up to date by `dvc repro --single-item`, its log line by line in Prefect's.

    Args:
        stage: its address in DVC, e.g. `embed_images@clip`.
        force: run it even where nothing changed.

    Returns:
        Whether the stage ran, was restored from DVC's run cache, or was up to date.

    Raises:
        StageError: it ended with an error.
        StageBusyError: another DVC process is using its files.
    """
    options = ["--single-item", *(["--force"] if force else [])]
    code, lines = await _run("dvc", ["--wait-for-lock", "repro", *options, stage])
    if code:
        raise (StageBusyError if any(map(_BUSY.search, lines)) else StageError)(last_message(lines))
    said = (outcome for line in lines for text, outcome in _OUTCOMES.items() if f"'{stage}{text}" in line)
    return next(said, "ran")


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
    """Run a module to its end; its exit code and what it wrote. Nothing of it is left, however this ends."""
    process = await _start(module, arguments)
    try:
        lines = await _log_lines(cast(asyncio.StreamReader, process.stdout), get_run_logger())
        return await process.wait(), lines
    finally:
        await _stop(process)


async def _start(module: str, arguments: list[str]) -> asyncio.subprocess.Process:
    """Start a module by this interpreter, in a process group of its own; `python` in dvc.yaml is the same one."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    page = flow_run.ui_url if PREFECT_API_URL.value() else None  # a temporary server's is gone with it
    ours = {"PREFECT__FLOW_RUN_ID": flow_run.id or "", "KADR_FLOW_RUN_URL": page or ""}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", module, *arguments),
        env={**os.environ, **ours, "PATH": path, "PYTHONUNBUFFERED": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=LONGEST_LINE,
        start_new_session=True,
    )


async def _log_lines(output: asyncio.StreamReader, logger: Logger) -> list[str]:
    """Log each line of the output as it comes; of a line that was overwritten, what was left on it."""
    lines: list[str] = []
    async for raw in output:
        line = raw.decode(errors="replace").rstrip().rpartition("\r")[2]
        if line:
            logger.info(line)
            lines.append(line)
    return lines


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End the whole process group: DVC, the stage, and what the stage started. Ask first: DVC then frees its locks."""
    with suppress(ProcessLookupError):
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGINT)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), GRACE_S)
        os.killpg(process.pid, signal.SIGKILL)
    await process.communicate()


def last_message(lines: list[str]) -> str:
    r"""Give the last message in a stage's log: its last line, from the nearest line above it that is not indented.

    DVC's remark that the stage's command failed is left out where the stage said something itself.

    >>> last_message(["> python -m tasks.ingest", "ingest: params.yaml is not valid:", "  seed: missing key"])
    'ingest: params.yaml is not valid:\n  seed: missing key'
    """
    own = [line for line in lines if not _STAGE_FAILED.search(line)]
    spoke = own and not own[-1].startswith("> ")
    lines = own if spoke else lines
    first = next((at for at in reversed(range(len(lines))) if not lines[at][0].isspace()), 0)
    return "\n".join(lines[first:]).removeprefix("ERROR: ") or "it said nothing"
