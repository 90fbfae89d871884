"""The commands on MLflow runs: `kadr compare` and `kadr register`."""

from typing import Annotated

import typer

from kadr.cli.console import console
from kadr.project import PROJECT

app = typer.Typer()


@app.command()
def compare(
    run: Annotated[list[str] | None, typer.Argument(metavar="[RUN]...", help="Run IDs, or prefixes of them.")] = None,
    last: Annotated[int, typer.Option(min=1, help="Number of the newest trainings to compare, without RUN.")] = 10,
) -> None:
    """Compare trainings of the experiment in params.yaml: different settings, and metrics."""
    from kadr.operations.tracking import recording
    from kadr.operations.tracking.comparison import MANY, chosen, comparison, last_runs
    from kadr.operations.tracking.lineage import MODEL_TAG, folder_digest
    from kadr.params import load_params

    with recording.opened():
        experiment = load_params().train.experiment
        runs = chosen(last_runs(experiment, MANY), run) if run else last_runs(experiment, last)
        digest = folder_digest(PROJECT.relevance_model) if PROJECT.relevance_model.is_dir() else None
        output = console()
        output.print(comparison(runs, digest))
        if any(one.data.tags.get(MODEL_TAG) == digest for one in runs):
            output.print(f"* its model is in {PROJECT.relevance_model}", highlight=False)


@app.command()
def register() -> None:
    """Register the model of the last training with MLflow, as a new version of kadr-<train.experiment>."""
    from kadr.cli.console import share_cores
    from kadr.operations.tracking import recording
    from kadr.operations.tracking.model_registry import register as register_model
    from kadr.params import load_params

    share_cores()
    with recording.opened():
        name, version = register_model(load_params())
    console().print(f"models:/{name}/{version}", highlight=False)
