"""Save the results of an experiment in DVC, and show them as a Prefect artifact."""

from collections.abc import Sequence

from prefect.artifacts import acreate_markdown_artifact

from flows.subprocess_tasks import run_dvc
from kadr.operations.experiment import Experiment, compare_metrics
from kadr.operations.tracking.lineage import folder_digest
from kadr.operations.tracking.runs import find_run, run_address
from kadr.operations.tracking.tracking_store import store_address, tolerate_store_errors
from kadr.params import load_params
from kadr.project import Project


async def save_experiment(experiment: Experiment, stages: Sequence[str]) -> None:
    """Save the copy of the project as a DVC experiment, and move the experiment to the git repository of the project.

    Raises:
        StageError: DVC cannot save the experiment.
    """
    await run_dvc(["exp", "save", "--name", experiment.name, *stages], experiment)
    await run_dvc(["exp", "push", "--quiet", "--no-cache", "origin", experiment.name], experiment)


async def publish_experiment(experiment: Experiment, overrides: Sequence[str], saved: bool) -> None:
    """Store the settings, the metrics and the MLflow run of an experiment as a Prefect artifact."""
    await acreate_markdown_artifact(
        to_markdown(experiment, overrides, saved),
        key="experiment",
        description=f"Settings and metrics of the experiment {experiment.name}",
    )


def to_markdown(experiment: Experiment, overrides: Sequence[str], saved: bool) -> str:
    """Return a Markdown page with the settings, the metrics and the MLflow run of an experiment."""
    lines = [f"# Experiment {experiment.name}", ""]
    lines += [f"- Settings: {', '.join(f'`{override}`' for override in overrides) or 'as in params.yaml'}"]
    lines += [f"- MLflow run: {_mlflow_run(experiment) or 'the MLflow store cannot be read'}"]
    if saved:
        lines += [f"- Use its settings and results: `dvc exp apply {experiment.name}`"]
        lines += [f"- Delete it: `dvc exp remove {experiment.name}`"]
    else:
        lines += [f"- The experiment failed. Its files are in `{experiment.folder}`."]
    if rows := compare_metrics(experiment):
        lines += ["", "| metric | experiment | low | high | project |", "|---|---|---|---|---|"]
        lines += [f"| {' | '.join(map(_cell, row.values()))} |" for row in rows]
        lines += ["", "The interval [low, high] belongs to the experiment. The column `project` contains the metrics "]
        lines[-1] += "of the last run in the project folder."
    return "\n".join(lines)


@tolerate_store_errors("the link to the run")
def _mlflow_run(experiment: Experiment) -> str:
    """Return the ID of the newest MLflow run of the model of an experiment, with a link if a server stores the run."""
    project = Project(experiment.folder)
    if not project.relevance_model.is_dir():
        return "none"
    run = find_run(load_params(project.params).train.experiment, folder_digest(project.relevance_model))
    if run is None:
        return "none"
    address = run_address(run)
    return f"[{run.info.run_id}]({address})" if address else f"`{run.info.run_id}` in `{store_address()}`"


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value if value is not None else "-")
