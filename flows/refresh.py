"""The orchestration room's refresh: a new snapshot becomes the input, the pipeline runs, the better model is in use.

`python -m flows.refresh SNAPSHOT` runs it, on the server of PREFECT_API_URL or else on a temporary one.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from prefect import State, flow
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.states import Completed, Failed
from pydantic import Field

from flows.pipeline import MaxParallel, Retries, StageTimeout, pipeline
from flows.stage import StageError, run_command, run_here

REPORT = Path("reports/refresh.json")
Report = dict[str, Any]


@flow
async def refresh(
    snapshot: str,
    max_parallel: Annotated[int, Field(ge=1)] = 2,
    retries: Annotated[int, Field(ge=0)] = 60,
    stage_timeout_s: Annotated[float, Field(gt=0)] = 6 * 3600,
) -> State[Any]:
    """Take a snapshot of photos, texts and ratings, run the pipeline on it, and promote its model or reject it.

    A run that is Completed is called Promoted, Rejected, or Unchanged where nothing is new since the last one.

    Args:
        snapshot: a folder, or an fsspec address such as s3://bucket/photos.
        max_parallel: how many stages run side by side.
        retries: looks, 5 s apart, at a stage whose files another DVC process is using.
        stage_timeout_s: a stage that takes longer is stopped and counts as failed.
    """
    try:
        await run_command("snapshot", [snapshot])
        ran = await pipeline(None, max_parallel, retries, stage_timeout_s, return_state=True)
        if not ran.is_completed():
            return Failed(message=f"the champion stays, for the pipeline failed: {ran.message}")
        await run_command("champion", ["challenge"])
    except StageError as error:
        return Failed(message=f"the champion stays: {error}")
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    await _show(report)
    return Completed(name=report["verdict"].capitalize(), message=report["reason"])


async def _show(report: Report) -> None:
    """Keep the verdict and the drift as artifacts."""
    await acreate_markdown_artifact(page(report), key="refresh", description="Promoted or rejected, and why")
    if drift := report.get("drift"):
        await acreate_table_artifact(drift, key="drift", description="The snapshot against the champion's")


def page(report: Report) -> str:
    """The verdict for people, in Markdown."""
    run, url = report["mlflow_run"], report["mlflow_url"]
    facts = {
        "Champion": report["champion"],
        "Snapshot": f"`{report['snapshot']}`",
        "MLflow run": f"[{run}]({url})" if url else f"`{run}`",
        "Model": f"`{report['model_sha256']}` (tag `kadr.model_sha256` of that run)",
    }
    if pairs := report.get("pairs"):
        facts["Judged on"] = (
            f"{pairs['judged']:,} pairs that both models foretold unseen (sha256 `{pairs['sha256']}`); "
            f"{pairs['not_judged']:,} more the champion did not foretell"
        )
    lines = [f"# {report['verdict'].capitalize()}", "", report["reason"], ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    if figures := report.get("figures"):
        lines += ["", "| figure | challenger | champion | difference | from | to |", "|---|---|---|---|---|---|"]
        lines += [
            f"| {row['figure']} | " + " | ".join(f"{value:.4g}" for key, value in row.items() if key != "figure") + " |"
            for row in figures
        ]
    return "\n".join(lines)


app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def main(
    snapshot: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="A folder, or of fsspec: s3://bucket/photos.")],
    max_parallel: MaxParallel = 2,
    retries: Retries = 60,
    stage_timeout_s: StageTimeout = 6 * 3600,
) -> None:
    """Take a snapshot, run the pipeline on it, and promote its model where it is not worse than the champion."""
    run_here(refresh(snapshot, max_parallel, retries, stage_timeout_s))


if __name__ == "__main__":
    app()
