"""Find the runs of an experiment in the MLflow store."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kadr.operations.tracking.lineage import MODEL_ROLE, MODEL_TAG, ROLE_TAG
from kadr.operations.tracking.tracking_store import TrackingError

if TYPE_CHECKING:
    from mlflow.entities import Run

MAX_RUNS = 1000
"""Number of most recent runs in which `kadr compare RUN` looks for the given run IDs."""


def find_run(experiment: str, model_sha256: str) -> "Run | None":
    """Return the newest training run of a model, or None if no such run exists.

    Args:
        experiment: name of the experiment.
        model_sha256: digest of the model folder.
    """
    import mlflow

    condition = f"tags.`{MODEL_TAG}` = '{model_sha256}' and tags.`{ROLE_TAG}` = '{MODEL_ROLE}'"
    runs = mlflow.search_runs(
        experiment_names=[experiment], filter_string=condition, max_results=1, output_format="list"
    )
    return next(iter(runs), None)


def run_address(run: "Run") -> str | None:
    """Return the address of a run's page on the tracking server, or None if the store is not a server."""
    import mlflow

    store = mlflow.get_tracking_uri()
    if not store.startswith("http"):
        return None
    return f"{store.rstrip('/')}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"


def latest_runs(experiment: str, n: int) -> "list[Run]":
    """Return the newest training runs of an experiment, newest first.

    Args:
        experiment: name of the experiment.
        n: maximum number of runs.

    Raises:
        TrackingError: the experiment has no training run.
    """
    import mlflow

    runs: list[Run] = mlflow.search_runs(
        experiment_names=[experiment],
        filter_string=f"tags.`{ROLE_TAG}` = '{MODEL_ROLE}'",
        max_results=n,
        output_format="list",
    )
    if not runs:
        raise TrackingError(f"Experiment {experiment!r} has no training run. Run `dvc repro` to train a model.")
    return runs


def select_runs(runs: "Sequence[Run]", prefixes: Sequence[str]) -> "list[Run]":
    """Return the run that matches each run ID prefix, in the order of the prefixes.

    Raises:
        TrackingError: a prefix matches no run, or more than one run.
    """
    selected = []
    for prefix in prefixes:
        matches = [run for run in runs if run.info.run_id.startswith(prefix)]
        if len(matches) != 1:
            raise TrackingError(
                f"{len(matches)} training runs have an ID that starts with {prefix!r}, expected 1. "
                "Run `kadr compare` to list the run IDs."
            )
        selected += matches
    return selected
