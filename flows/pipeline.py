"""The `pipeline` flow runs each DVC stage as soon as its upstream stages are done.

Independent stages run in parallel.

Run the flow with `python -m flows.pipeline`. The flow starts a temporary Prefect server if $PREFECT_API_URL is not set.
"""

import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, chdir, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from dvc.exceptions import DvcException
from filelock import AsyncFileLock, Timeout
from prefect import State, flow, get_run_logger
from prefect.artifacts import acreate_table_artifact
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from pydantic import Field

from flows.dag import Plan, read_plan, reason_to_run
from flows.experiment_results import publish_experiment, save_experiment
from flows.run_tags import tagged
from flows.stage_runs import RunOptions, StageRun, run_stages
from flows.subprocess_tasks import StageError, run_dvc, run_flow, run_stage
from kadr.errors import KadrError, ParamsError
from kadr.io.presets import parse_override
from kadr.operations.experiment import Experiment, create_experiment

LOCK = Path(".dvc/tmp/flow.lock")
"""File that a run locks in the project folder. Experiments do not lock it."""


@flow
async def pipeline(
    targets: list[str] | None = None,
    *,
    max_parallel: Annotated[int, Field(ge=1)] = 2,
    retries: Annotated[int, Field(ge=0)] = 60,
    stage_timeout_s: Annotated[float, Field(gt=0)] = 6 * 3600,
    force: bool = False,
    pull: bool = False,
    push: bool = False,
    overrides: dict[str, Any] | None = None,
    experiment: str | None = None,
) -> State[Any]:
    """Bring the stages of dvc.yaml up to date.

    If `overrides` or `experiment` is given, the stages run as a DVC experiment in a temporary copy of the project. The
    project itself is not changed, so several experiments can run at the same time. A run that is not an experiment
    waits until no other such run uses the project folder.

    Args:
        targets: names of the stages to run, together with their upstream stages, e.g. `[evaluate]`. None runs all
            stages.
        max_parallel: maximum number of stages that run at the same time.
        retries: maximum number of retries while another DVC process is using the files of a stage. Retries are 5 s
            apart. A stage that fails with an error is not retried.
        stage_timeout_s: maximum duration of a stage in seconds. A stage that runs longer is stopped and counts as
            failed.
        force: run all stages, even stages that are up to date.
        pull: fetch the missing inputs and the known results of each stage from the DVC remote.
        push: push the results to the DVC remote after a successful run. Results of an experiment are not pushed.
        overrides: settings of the experiment by dotted key, e.g. `{"train.num_leaves": 7}`.
        experiment: name of the experiment. The default is the name of the flow run.
    """
    stage_task = run_stage.with_options(retries=retries, timeout_seconds=stage_timeout_s)
    options = RunOptions(targets, stage_task, max_parallel, force, pull)
    try:
        if overrides or experiment:
            settings = [f"{key}={json.dumps(value)}" for key, value in (overrides or {}).items()]
            name = experiment or str(flow_run.name)
            async with tagged(f"experiment:{name}"):
                return await _run_experiment(name, settings, options)
        async with tagged(), _only_run():
            state = _final_state(await _run_plan(options))
            if push and state.is_completed():
                await run_dvc(["push", "--run-cache"])
            return state
    except (DvcException, KadrError, StageError) as error:
        return Failed(message=str(error))


@asynccontextmanager
async def _only_run() -> AsyncIterator[None]:
    """Wait until no other run uses the project folder. If a flow is killed, the system releases its lock."""
    if not LOCK.parents[1].is_dir():  # DVC will report that the folder is not a DVC project
        yield
        return
    LOCK.parent.mkdir(exist_ok=True)
    lock = AsyncFileLock(LOCK)
    try:
        await lock.acquire(timeout=0)
    except Timeout:
        get_run_logger().info("Waiting for another run in this folder. An experiment would not wait.")
        await lock.acquire(poll_interval=1)
    try:
        yield
    finally:
        await lock.release()


async def _run_experiment(name: str, settings: list[str], options: RunOptions) -> State[Any]:
    """Run the stages in a copy of the project, and save the results as a DVC experiment.

    The copy is deleted, unless a stage failed or DVC cannot save the results.
    """
    experiment = create_experiment(name, settings)
    failed = False
    try:
        runs = await _run_plan(options, experiment)
        state = _final_state(runs)
        failed = state.is_failed()
        if not failed:
            await save_experiment(experiment, [run.stage for run in runs])
        await publish_experiment(experiment, settings, saved=not failed)
    except StageError:
        failed = True
        raise
    else:
        return state
    finally:
        if not failed:
            experiment.delete()


async def _run_plan(options: RunOptions, experiment: Experiment | None = None) -> list[StageRun]:
    """Read the plan, run its stages, and store the plan and the results as Prefect artifacts."""
    with chdir(experiment.folder) if experiment else nullcontext():
        plan = read_plan(options.targets)
    await _publish_plan(plan, options.force)
    runs = await run_stages(plan, options, experiment)
    await acreate_table_artifact([asdict(run) for run in runs], key="pipeline", description="Result of each stage")
    return runs


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
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-S",
        metavar="KEY=VALUE",
        help="Setting of an experiment, as in `dvc exp run -S`, e.g. train.num_leaves=7. Repeat the option for several "
        "settings. The stages then run in a temporary copy of the project.",
    ),
]
app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def main(
    *,
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
    pull: Annotated[
        bool,
        typer.Option(
            "--pull", help="Fetch the missing inputs and the known results of each stage from the DVC remote."
        ),
    ] = False,
    push: Annotated[
        bool, typer.Option("--push", help="Push the results to the DVC remote after a successful run.")
    ] = False,
    overrides: Overrides = None,
    experiment: Annotated[
        str | None, typer.Option(help="Name of the experiment. Default: the name of the flow run.")
    ] = None,
) -> None:
    """Bring the stages of dvc.yaml up to date. Independent stages run in parallel."""
    try:
        settings = dict(map(parse_override, overrides or []))
    except ParamsError as error:
        sys.exit(str(error))
    run_flow(
        pipeline(
            target,
            max_parallel=max_parallel,
            retries=retries,
            stage_timeout_s=stage_timeout_s,
            force=force,
            pull=pull,
            push=push,
            overrides=settings or None,
            experiment=experiment,
        )
    )


if __name__ == "__main__":
    app()
