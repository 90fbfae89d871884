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
from kadr.operations.champion.refresh_report import Report, read_report


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
        pipeline_run = await pipeline(None, max_parallel, retries, stage_timeout_s, return_state=True)
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
    if drift := report.get("drift"):
        await acreate_table_artifact(
            drift, key="drift", description="Drift between the champion's data and the snapshot"
        )


def to_markdown(report: Report) -> str:
    """Return the report of a challenge as a Markdown page."""
    run, url = report["mlflow_run"], report["mlflow_url"]
    properties = {
        "Champion": report["champion"],
        "Snapshot": f"`{report['snapshot']}`",
        "MLflow run": f"[{run}]({url})" if url else f"`{run}`",
        "Model": f"`{report['model_sha256']}` (tag `kadr.model_sha256` of the MLflow run)",
    }
    if pairs := report.get("compared_pairs"):
        properties["Compared on"] = (
            f"{pairs['n']:,} pairs that both models predicted out of fold (sha256 `{pairs['sha256']}`). "
            f"The champion has no prediction for {pairs['n_excluded']:,} other pairs."
        )
    lines = [f"# {report['verdict'].capitalize()}", "", report["reason"], ""]
    lines += [f"- {name}: {value}" for name, value in properties.items()]
    if metrics := report.get("metrics"):
        lines += ["", "| metric | challenger | champion | difference | low | high |", "|---|---|---|---|---|---|"]
        lines += [
            f"| {row['metric']} | " + " | ".join(f"{value:.4g}" for key, value in row.items() if key != "metric") + " |"
            for row in metrics
        ]
    return "\n".join(lines)


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
