"""The `pipeline` flow runs each DVC stage as soon as its upstream stages are done.

Independent stages run in parallel.

Run the flow with `python -m flows.pipeline`. The flow starts a temporary Prefect server if $PREFECT_API_URL is not set.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from dvc.exceptions import DvcException
from prefect import State, Task, flow, get_run_logger
from prefect.artifacts import acreate_table_artifact
from prefect.states import Completed, Failed
from pydantic import Field

from flows.dag import Plan, read_plan, reason_to_run
from flows.subprocess_tasks import Outcome, StageError, run_flow, run_stage

StageTask = Task[[str, bool], Coroutine[Any, Any, Outcome]]


@dataclass(frozen=True)
class StageRun:
    """Result of one stage in a flow run.

    Attributes:
        stage: DVC address of the stage.
        status: `ran`, `from cache`, `unchanged`, `failed` or `skipped`.
        seconds: duration of the stage in seconds.
        message: error message, or reason why the stage was skipped. The message is empty if the stage succeeded.
    """

    stage: str
    status: str
    seconds: float
    message: str = ""


@flow
async def pipeline(
    targets: list[str] | None = None,
    max_parallel: Annotated[int, Field(ge=1)] = 2,
    retries: Annotated[int, Field(ge=0)] = 60,
    stage_timeout_s: Annotated[float, Field(gt=0)] = 6 * 3600,
    force: bool = False,
) -> State[Any]:
    """Bring the stages of dvc.yaml up to date.

    Args:
        targets: names of the stages to run, together with their upstream stages, e.g. `[evaluate]`. None runs all
            stages.
        max_parallel: maximum number of stages that run at the same time.
        retries: maximum number of retries while another DVC process is using the files of a stage. Retries are 5 s
            apart. A stage that fails with an error is not retried.
        stage_timeout_s: maximum duration of a stage in seconds. A stage that runs longer is stopped and counts as
            failed.
        force: run all stages, even stages that are up to date.
    """
    try:
        plan = read_plan(targets)
    except DvcException as error:
        return Failed(message=str(error))
    await _publish_plan(plan, force)
    stage_task = run_stage.with_options(retries=retries, timeout_seconds=stage_timeout_s)
    runs = await _run_stages(plan, stage_task, max_parallel, force)
    await acreate_table_artifact([asdict(run) for run in runs], key="pipeline", description="Result of each stage")
    return _final_state(runs)


async def _publish_plan(plan: Plan, force: bool) -> None:
    """Log the reason why each stage runs, and store the plan as a Prefect artifact."""
    logger = get_run_logger()
    reasons = {stage: "force" if force else reason_to_run(plan, stage) for stage in plan}
    for stage, reason in reasons.items():
        if reason:
            logger.info("%s will run: %s", stage, reason)
    logger.info("%d of %d stages are up to date", sum(not reason for reason in reasons.values()), len(plan))
    table = [{"stage": stage, "why": reason or "up to date"} for stage, reason in reasons.items()]
    await acreate_table_artifact(table, key="plan", description="Reason why each stage runs")


async def _run_stages(plan: Plan, stage_task: StageTask, max_parallel: int, force: bool) -> list[StageRun]:
    """Run each stage as soon as all its upstream stages have succeeded, and skip stages downstream of a failed stage.

    A stage without changes is not started if its upstream stages are also unchanged.
    """
    slots = asyncio.Semaphore(max_parallel)
    started: dict[str, asyncio.Task[tuple[State[Outcome] | None, StageRun]]] = {}

    async def run(stage: str) -> tuple[State[Outcome] | None, StageRun]:
        upstream = [await started[name] for name in plan[stage].upstream]
        if not (force or plan[stage].changes) and all(result.status == "unchanged" for _, result in upstream):
            return None, StageRun(stage, "unchanged", 0.0)
        states = [state for state, _ in upstream if state is not None]
        async with slots:
            start = time.monotonic()
            state = await stage_task(stage, force, wait_for=states, return_state=True)  # type: ignore[misc]  # a coroutine
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


def _final_state(runs: list[StageRun]) -> State[Any]:
    """Return the final state of the flow run.

    The message of the state contains the errors, or the number of stages by status.
    """
    failed = [run for run in runs if run.status == "failed"]
    if failed:
        return Failed(message="\n".join(f"stage {run.stage} failed: {run.message}" for run in failed))
    counts = Counter(run.status for run in runs)
    return Completed(message=", ".join(f"{n} {status}" for status, n in sorted(counts.items())))


MaxParallel = Annotated[int, typer.Option(min=1, help="Maximum number of stages that run at the same time.")]
Retries = Annotated[
    int,
    typer.Option(
        min=0,
        help="Maximum number of retries while another DVC process is using the files of a stage. "
        "Retries are 5 s apart.",
    ),
]
StageTimeout = Annotated[float, typer.Option(min=1, help="Maximum duration of a stage in seconds.")]
app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def main(
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of a stage to run, together with its upstream stages. "
            "Repeat the option to name several stages. Default: all stages."
        ),
    ] = None,
    max_parallel: MaxParallel = 2,
    retries: Retries = 60,
    stage_timeout_s: StageTimeout = 6 * 3600,
    force: Annotated[bool, typer.Option("--force", help="Run all stages, even stages that are up to date.")] = False,
) -> None:
    """Bring the stages of dvc.yaml up to date. Independent stages run in parallel."""
    run_flow(pipeline(target, max_parallel, retries, stage_timeout_s, force))


if __name__ == "__main__":
    app()
