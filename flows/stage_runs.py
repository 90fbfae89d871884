"""Run the stages of a plan as Prefect tasks. Independent stages run in parallel."""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from prefect import State, Task

from flows.dag import Plan
from flows.subprocess_tasks import Outcome, StageError
from kadr.operations.experiment import Experiment

StageTask = Task[[str, bool, bool, Experiment | None], Coroutine[Any, Any, Outcome]]


@dataclass(frozen=True)
class StageRun:
    """Result of one stage in a flow run.

    Attributes:
        stage: DVC address of the stage.
        status: `ran`, `from cache`, `pulled`, `unchanged`, `failed` or `skipped`.
        seconds: duration of the stage in seconds.
        message: error message, or reason why the stage was skipped. The message is empty if the stage succeeded.
    """

    stage: str
    status: str
    seconds: float
    message: str = ""


@dataclass(frozen=True)
class RunOptions:
    """Options of a flow run that are passed on to its stages. See `pipeline`."""

    targets: list[str] | None
    stage_task: StageTask
    max_parallel: int
    force: bool
    pull: bool


async def run_stages(plan: Plan, options: RunOptions, experiment: Experiment | None) -> list[StageRun]:
    """Run each stage as soon as all its upstream stages have succeeded, and skip stages downstream of a failed stage.

    A stage without changes is not started if its upstream stages are also unchanged.
    """
    slots = asyncio.Semaphore(options.max_parallel)
    started: dict[str, asyncio.Task[tuple[State[Outcome] | None, StageRun]]] = {}

    async def run(stage: str) -> tuple[State[Outcome] | None, StageRun]:
        upstream = [await started[name] for name in plan[stage].upstream]
        if not (options.force or plan[stage].changes) and all(result.status == "unchanged" for _, result in upstream):
            return None, StageRun(stage, "unchanged", 0.0)
        states = [state for state, _ in upstream if state is not None]
        async with slots:
            start = time.monotonic()
            arguments = (stage, options.force, options.pull, experiment)
            state = await options.stage_task(*arguments, wait_for=states, return_state=True)  # type: ignore[misc]  # a coroutine
            return state, await _stage_run(stage, state, time.monotonic() - start)

    async with asyncio.TaskGroup() as group:
        for stage in plan:
            started[stage] = group.create_task(run(stage))
    return [task.result()[1] for task in started.values()]


async def _stage_run(stage: str, state: State[Outcome], seconds: float) -> StageRun:
    if state.is_completed():
        return StageRun(stage, await state.aresult(), round(seconds, 1))
    if not state.is_final():
        return StageRun(stage, "skipped", 0.0, "an upstream stage failed")
    error = await state.aresult(raise_on_failure=False)
    message = str(error) if isinstance(error, StageError) else str(state.message)
    return StageRun(stage, "failed", round(seconds, 1), message)
