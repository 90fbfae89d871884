"""The orchestration room's main flow: every stage of DVC's DAG as soon as its upstream is done, side by side.

`python -m flows.pipeline` runs it, on the server of PREFECT_API_URL or else on a temporary one.
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

from flows.dag import Plan, read_plan, why
from flows.stage import Outcome, StageError, run_here, run_stage

StageTask = Task[[str, bool], Coroutine[Any, Any, Outcome]]


@dataclass(frozen=True)
class StageRun:
    """What became of one stage in a run of the flow: a row of the summary."""

    stage: str
    status: str  # ran | from cache | unchanged | failed | skipped
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
        targets: stages to reach, with all that they need, e.g. `[evaluate]`; None for the whole DAG.
        max_parallel: how many stages run side by side.
        retries: how often to look again, every 5 s, at a stage whose files another DVC process is using. A stage that
            fails by itself is not tried again.
        stage_timeout_s: a stage that takes longer is stopped and counts as failed.
        force: run every stage even where nothing changed.
    """
    try:
        plan = read_plan(targets)
    except DvcException as error:
        return Failed(message=str(error))
    await _announce(plan, force)
    stage_task = run_stage.with_options(retries=retries, timeout_seconds=stage_timeout_s)
    runs = await _run_stages(plan, stage_task, max_parallel, force)
    await acreate_table_artifact([asdict(run) for run in runs], key="pipeline", description="What became of each stage")
    return _verdict(runs)


async def _announce(plan: Plan, force: bool) -> None:
    """Say which stages will run and why, in the log and as an artifact."""
    logger = get_run_logger()
    reasons = {stage: "force" if force else why(plan, stage) for stage in plan}
    for stage, reason in reasons.items():
        if reason:
            logger.info("%s will run: %s", stage, reason)
    logger.info("%d of %d stages are up to date", sum(not reason for reason in reasons.values()), len(plan))
    table = [{"stage": stage, "why": reason or "up to date"} for stage, reason in reasons.items()]
    await acreate_table_artifact(table, key="plan", description="Which stages will run, and why")


async def _run_stages(plan: Plan, stage_task: StageTask, max_parallel: int, force: bool) -> list[StageRun]:
    """Run each stage when all before it succeeded, `max_parallel` at a time; those after a failed one are skipped.

    A stage without a change, all of whose upstream turned out unchanged, is not handed to DVC.
    """
    slots = asyncio.Semaphore(max_parallel)
    started: dict[str, asyncio.Task[tuple[State[Outcome] | None, StageRun]]] = {}

    async def run(stage: str) -> tuple[State[Outcome] | None, StageRun]:
        before = [await started[name] for name in plan[stage].upstream]
        if not (force or plan[stage].changes) and all(ended.status == "unchanged" for _, ended in before):
            return None, StageRun(stage, "unchanged", 0.0)
        states = [state for state, _ in before if state is not None]
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
        return StageRun(stage, "skipped", 0.0, "a stage before it failed")
    error = await state.aresult(raise_on_failure=False)
    return StageRun(
        stage, "failed", round(seconds, 1), str(error) if isinstance(error, StageError) else str(state.message)
    )


def _verdict(runs: list[StageRun]) -> State[Any]:
    """Say how the whole run ended: failed stages with their own messages, else how many ran."""
    failed = [run for run in runs if run.status == "failed"]
    if failed:
        return Failed(message="\n".join(f"stage {run.stage} failed: {run.message}" for run in failed))
    counts = Counter(run.status for run in runs)
    return Completed(message=", ".join(f"{n} {status}" for status, n in sorted(counts.items())))


MaxParallel = Annotated[int, typer.Option(min=1, help="How many stages run side by side.")]
Retries = Annotated[int, typer.Option(min=0, help="Looks at files that another DVC process is using, 5 s apart.")]
StageTimeout = Annotated[float, typer.Option(min=1, help="Seconds after which a stage is stopped.")]
app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def main(
    target: Annotated[
        list[str] | None, typer.Option(help="Stage to reach, with all that it needs; may be repeated.")
    ] = None,
    max_parallel: MaxParallel = 2,
    retries: Retries = 60,
    stage_timeout_s: StageTimeout = 6 * 3600,
    force: Annotated[bool, typer.Option("--force", help="Run every stage even where nothing changed.")] = False,
) -> None:
    """Bring the stages of dvc.yaml up to date, independent ones side by side."""
    run_here(pipeline(target, max_parallel, retries, stage_timeout_s, force))


if __name__ == "__main__":
    app()
