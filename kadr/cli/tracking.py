"""The commands `kadr compare` and `kadr register`, which use MLflow runs."""

from typing import Annotated

import typer

from kadr.cli.console import console
from kadr.project import PROJECT

app = typer.Typer()


@app.command()
def compare(
    run: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="IDs of the runs to compare, or prefixes of the IDs.")
    ] = None,
    last: Annotated[int, typer.Option(min=1, help="Number of most recent runs to compare if no RUN is given.")] = 10,
) -> None:
    """Compare training runs of the experiment `train.experiment`: the metrics, and the settings that differ."""
    from kadr.operations.tracking.lineage import MODEL_TAG, folder_digest
    from kadr.operations.tracking.run_comparison import comparison_table
    from kadr.operations.tracking.runs import MAX_RUNS, latest_runs, select_runs
    from kadr.operations.tracking.tracking_store import open_store
    from kadr.params import load_params

    with open_store():
        experiment = load_params().train.experiment
        runs = select_runs(latest_runs(experiment, MAX_RUNS), run) if run else latest_runs(experiment, last)
        digest = folder_digest(PROJECT.relevance_model) if PROJECT.relevance_model.is_dir() else None
        output = console()
        output.print(comparison_table(runs, digest))
        if any(compared.data.tags.get(MODEL_TAG) == digest for compared in runs):
            output.print(f"* The model of this run is in {PROJECT.relevance_model}.", highlight=False)


@app.command()
def register() -> None:
    """Register the model of the last training run in MLflow, as a new version of the model kadr-<train.experiment>."""
    from kadr.operations.tracking.model_registry import register_model
    from kadr.operations.tracking.tracking_store import open_store
    from kadr.params import load_params

    params = load_params()
    with open_store():
        name, version = register_model(params.train.experiment, params.embed_images, params.embed_texts)
    console().print(f"models:/{name}/{version}", highlight=False)
