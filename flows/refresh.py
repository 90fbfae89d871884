"""The `refresh` flow fetches a data snapshot, runs the pipeline, and promotes or rejects the new models.

Run the flow with `python -m flows.refresh SNAPSHOT`. The flow starts a temporary Prefect server if $PREFECT_API_URL is
not set.
"""

from typing import Annotated, Any

import typer
from prefect import State, flow
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.states import Completed, Failed
from pydantic import Field

from flows.pipeline import MaxParallel, Retries, StageTimeout, pipeline
from flows.subprocess_tasks import StageError, run_command, run_flow
from kadr.operations.champion.refresh_report import Report, read_report, to_markdown


@flow
async def refresh(
    snapshot: str,
    max_parallel: Annotated[int, Field(ge=1)] = 2,
    retries: Annotated[int, Field(ge=0)] = 60,
    stage_timeout_s: Annotated[float, Field(gt=0)] = 6 * 3600,
) -> State[Any]:
    """Fetch a snapshot of images, texts and ratings, run the pipeline, and promote or reject the new models.

    A completed run ends in the state Promoted, Rejected or Unchanged. Unchanged means that the new models needed no
    comparison.

    Args:
        snapshot: local folder, or fsspec address such as s3://bucket/photos.
        max_parallel: maximum number of stages that run at the same time.
        retries: maximum number of retries while another DVC process is using the files of a stage. Retries are 5 s
            apart.
        stage_timeout_s: maximum duration of a stage in seconds. A stage that runs longer is stopped and counts as
            failed.
    """
    try:
        await run_command("snapshot", [snapshot])
        pipeline_run = await pipeline(
            max_parallel=max_parallel, retries=retries, stage_timeout_s=stage_timeout_s, return_state=True
        )
        if not pipeline_run.is_completed():
            return Failed(message=f"The champion was not changed because the pipeline failed: {pipeline_run.message}")
        await run_command("champion", ["challenge"])
    except StageError as error:
        return Failed(message=f"The champion was not changed: {error}")
    report = read_report()
    await _publish_report(report)
    return Completed(name=report["verdict"].capitalize(), message=report["reason"])


async def _publish_report(report: Report) -> None:
    """Store the verdict and the drift as Prefect artifacts."""
    await acreate_markdown_artifact(
        to_markdown(report), key="refresh", description="Verdict on the challenger, with the reason"
    )
    if drift := report.get("data_drift"):
        description = f"Drift from the data of champion {drift['reference']}: {drift['action']}. {drift['reason']}"
        await acreate_table_artifact(drift["variables"], key="drift", description=description)


app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def main(
    snapshot: Annotated[
        str, typer.Argument(metavar="SNAPSHOT", help="Local folder, or fsspec address such as s3://bucket/photos.")
    ],
    max_parallel: MaxParallel = 2,
    retries: Retries = 60,
    stage_timeout_s: StageTimeout = 6 * 3600,
) -> None:
    """Fetch a data snapshot, run the pipeline, and promote the new models unless they are significantly worse."""
    run_flow(refresh(snapshot, max_parallel, retries, stage_timeout_s))


if __name__ == "__main__":
    app()
