"""Record training runs and evaluations in MLflow.

If the MLflow store fails, the functions log a warning, and the stage continues.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kadr.operations.tracking.lineage import (
    MODEL_ROLE,
    MODEL_TAG,
    ROLE_TAG,
    dvc_md5,
    flatten_params,
    folder_digest,
    lineage_tags,
    reproduction_note,
    run_name,
)
from kadr.operations.tracking.runs import find_run
from kadr.operations.tracking.tracking_store import tolerate_store_errors
from kadr.params import Params
from kadr.project import PROJECT

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow.data.pandas_dataset import PandasDataset
    from mlflow.entities import Run

logger = logging.getLogger(__name__)

LOGGED_MODEL_FILES = ("model.txt", "model.json")
"""Model files that are logged to MLflow. The other model files can exceed 100 MB, so only DVC stores them."""


def record_training(
    params: Params,
    model: Path,
    inputs: Mapping[str, Path],
    child_metrics: Mapping[str, Mapping[str, float]],
    plots: Mapping[str, "Figure"],
) -> None:
    """Record a training run, with one child run for each fold and baseline.

    Args:
        params: all settings.
        model: model folder. The `evaluate` stage uses the digest of this folder to find the run.
        inputs: paths of the input files, by name. The file `relevance` is logged as the dataset of the run.
        child_metrics: metrics of each child run, by child run name.
        plots: plots of the training run, by name.
    """
    with tolerate_store_errors("the training run"):
        import mlflow

        tags = lineage_tags(inputs) | {MODEL_TAG: folder_digest(model)}
        mlflow.set_experiment(params.train.experiment)
        _retry_once(lambda: mlflow.set_experiment_tag("mlflow.experimentKind", "custom_model_development"))
        run_tags = tags | {ROLE_TAG: MODEL_ROLE, "mlflow.note.content": reproduction_note(tags)}
        with mlflow.start_run(run_name=run_name(params), tags=run_tags) as run:
            mlflow.log_params(flatten_params(params))
            dataset = _rated_pairs_dataset(params.train.experiment, inputs["relevance"])
            _retry_once(lambda: mlflow.log_input(dataset, "training"))
            for path in (PROJECT.params, *(model / name for name in LOGGED_MODEL_FILES)):
                if path.is_file():
                    mlflow.log_artifact(str(path))
            _log_plots(plots)
            for name, metrics in child_metrics.items():
                _record_child(run, name, metrics, tags)
        logger.info("MLflow run %s: %s", run.info.run_id, run_name(params))


def record_evaluation(
    experiment: str, model: Path, metrics: Mapping[str, Mapping[str, float]], plots: Mapping[str, "Figure"]
) -> None:
    """Add evaluation metrics to the newest training run of a model and to its child runs.

    Args:
        experiment: name of the experiment.
        model: model folder.
        metrics: metrics of each run, by role. The role is `model` or the name of a child run.
        plots: plots of the training run, by name.
    """
    with tolerate_store_errors("the evaluation"):
        import mlflow

        digest = folder_digest(model)
        for role, values in metrics.items():
            run = find_run(experiment, digest, role)
            if run is None:
                logger.warning(
                    "MLflow has no run with role %r for this model. The metrics are only in metrics/evaluate.json.",
                    role,
                )
                continue
            with mlflow.start_run(run_id=run.info.run_id):
                mlflow.log_metrics(dict(values))
                _log_plots(plots if role == MODEL_ROLE else {})


def record_children(experiment: str, model: Path, metrics: Mapping[str, Mapping[str, float]]) -> None:
    """Add child runs to the newest training run of a model, and update existing child runs.

    Args:
        experiment: name of the experiment.
        model: model folder.
        metrics: metrics of each child run, by role.
    """
    with tolerate_store_errors("the child runs"):
        import mlflow

        digest = folder_digest(model)
        parent = find_run(experiment, digest)
        if parent is None:
            logger.warning(
                "MLflow has no training run of this model. The metrics of the child runs are stored only in metrics/."
            )
            return
        for role, values in metrics.items():
            child = find_run(experiment, digest, role)
            if child is None:
                _record_child(parent, role, values, {MODEL_TAG: digest})
                continue
            with mlflow.start_run(run_id=child.info.run_id):
                mlflow.log_metrics(dict(values))


def _retry_once(write: Callable[[], object]) -> None:
    """Write a database row that several training runs share, and retry once if the write fails.

    MLflow first looks for the row and then inserts it. The insert fails if another process has inserted the row in the
    meantime. The retry then finds the row.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        write()
    except (MlflowException, SQLAlchemyError):
        write()


def _record_child(parent: "Run", name: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
    """Record one child run with the client API, which needs fewer transactions than the fluent API."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    client = MlflowClient()
    child_tags = {**tags, ROLE_TAG: name, "mlflow.parentRunId": parent.info.run_id}
    child = client.create_run(parent.info.experiment_id, tags=child_tags, run_name=name)
    timestamp = child.info.start_time
    client.log_batch(child.info.run_id, metrics=[Metric(key, value, timestamp, 0) for key, value in metrics.items()])
    client.set_terminated(child.info.run_id)


def _rated_pairs_dataset(name: str, relevance: Path) -> "PandasDataset":
    """Return the relevance table as an MLflow dataset, with the first 8 digits of the DVC md5 as its digest."""
    import pandas as pd
    from mlflow.data.pandas_dataset import from_pandas
    from mlflow.data.sources import LocalArtifactDatasetSource  # type: ignore[attr-defined]

    pairs = pd.read_parquet(relevance, columns=["image_id", "query_id", "relevance", "weight"])
    return from_pandas(pairs, LocalArtifactDatasetSource(str(relevance)), name=name, digest=dvc_md5(relevance)[:8])


def _log_plots(plots: Mapping[str, "Figure"]) -> None:
    """Log plots to the current run as plots/<name>.png."""
    import mlflow

    for name, figure in plots.items():
        mlflow.log_figure(figure, f"plots/{name}.png")
