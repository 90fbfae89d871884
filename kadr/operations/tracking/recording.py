"""The stages' way to MLflow: what came out, with which parameters, data and code.

The store is $MLFLOW_TRACKING_URI, or sqlite:///mlflow.db in the project. A store that cannot be written costs the
record, never the training: the stage warns and goes on.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kadr.errors import KadrError
from kadr.operations.tracking.lineage import (
    MODEL_TAG,
    ROLE_TAG,
    dvc_md5,
    flat_params,
    folder_digest,
    lineage,
    run_name,
    way_back,
)
from kadr.params import Params

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow.data.pandas_dataset import PandasDataset
    from mlflow.entities import Run

logger = logging.getLogger(__name__)

DEFAULT_STORE = "sqlite:///mlflow.db"
PARAMS_FILE = Path("params.yaml")
SMALL = ("model.txt", "model.json")  # of the model's folder; its rest, over 100 MB for a large corpus, is in DVC alone
MODEL_ROLE = "model"  # of a training's own run; its children are `fold <n>` and `baseline <name>`
_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
_SAYINGS = {
    "out-of-date database schema": "another version of MLflow wrote this store. One of an older version is brought up "
    "by `mlflow db upgrade {store}` (copy it first); one of a newer version wants that version",
    "database is locked": "another process keeps the store locked; end that one",
    "not a database": "this is no SQLite database; move it away, and a new one is made",
    "disk I/O error": "its disk is full, or fails; make room there",
    "database or disk is full": "its disk is full; make room there",
    "malformed": "the database is damaged; move it away, and a new one is made",
}


class TrackingError(KadrError):
    """MLflow's store cannot be read or written, or does not have what was asked of it."""


@contextmanager
def opened() -> Iterator[None]:
    """A block that uses the store. Raises TrackingError where the store fails within it."""
    for switch, value in _QUIET.items():  # before it is imported
        os.environ.setdefault(switch, value)
    import mlflow
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    store = os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_STORE)
    mlflow.set_tracking_uri(store)
    try:
        yield
    except (mlflow.exceptions.MlflowException, SQLAlchemyError, CommandError, OSError) as error:
        raise store_error(store, error) from error


def store_error(store: str, error: Exception) -> TrackingError:
    """What failed with the store, and what to do."""
    said = str(error).strip() or type(error).__name__
    reason = next((saying for words, saying in _SAYINGS.items() if words in said), said.splitlines()[0])
    return TrackingError(f"{store}: {reason.replace('{store}', store)}")


@contextmanager
def recorded(what: str) -> Iterator[None]:
    """A block that writes to the store; where it fails, warn and go on without the record of `what`."""
    try:
        with opened():
            yield
    except TrackingError as error:
        logger.warning("MLflow did not record %s; the files are written. Mend the store and re-run. %s", what, error)


def record_training(
    params: Params,
    model: Path,
    inputs: Mapping[str, Path],
    figures: Mapping[str, Mapping[str, float]],
    plots: Mapping[str, "Figure"],
) -> None:
    """Record one training as a parent run, with a child run for each entry of `figures` (folds, baselines).

    Args:
        params: all settings.
        model: the folder of the model; its digest is the tag by which stage evaluate finds the run.
        inputs: name -> file that the training read, for the tags dvc.md5.<name>; `relevance` is the run's data set.
        figures: child's name -> its metrics.
        plots: name -> picture.
    """
    with recorded("the training"):
        import mlflow

        tags = lineage(inputs) | {MODEL_TAG: folder_digest(model)}
        mlflow.set_experiment(params.train.experiment)
        _shared(lambda: mlflow.set_experiment_tag("mlflow.experimentKind", "custom_model_development"))
        own = tags | {ROLE_TAG: MODEL_ROLE, "mlflow.note.content": way_back(tags)}
        with mlflow.start_run(run_name=run_name(params), tags=own) as run:
            mlflow.log_params(flat_params(params))
            data = _dataset(params.train.experiment, inputs["relevance"])
            _shared(lambda: mlflow.log_input(data, "training"))
            for path in (PARAMS_FILE, *(model / name for name in SMALL)):
                if path.is_file():
                    mlflow.log_artifact(str(path))
            log_plots(plots)
            for name, metrics in figures.items():
                _record_child(run, name, metrics, tags)
        logger.info("MLflow run %s: %s", run.info.run_id, run_name(params))


def record_evaluation(
    params: Params, model: Path, figures: Mapping[str, Mapping[str, float]], plots: Mapping[str, "Figure"]
) -> None:
    """Add figures to the newest runs of the model in folder `model`.

    Args:
        params: all settings.
        model: the folder of the model.
        figures: role (`model` or a child's name) -> its metrics.
        plots: name -> picture, of the training's own run.
    """
    with recorded("the evaluation"):
        import mlflow

        digest = folder_digest(model)
        for role, metrics in figures.items():
            run = find_run(params.train.experiment, digest, role)
            if run is None:
                logger.warning("no MLflow run of this model with role %s; its figures are in metrics/ alone", role)
                continue
            with mlflow.start_run(run_id=run.info.run_id):
                mlflow.log_metrics(dict(metrics))
                log_plots(plots if role == MODEL_ROLE else {})


def record_children(params: Params, model: Path, figures: Mapping[str, Mapping[str, float]]) -> None:
    """Add child runs (role -> metrics) to the newest run of the model in folder `model`.

    One that is there gets the new figures.
    """
    with recorded("the child runs"):
        import mlflow

        digest = folder_digest(model)
        parent = find_run(params.train.experiment, digest)
        if parent is None:
            logger.warning("no MLflow run of this model; its child runs are in metrics/ alone")
            return
        for role, metrics in figures.items():
            known = find_run(params.train.experiment, digest, role)
            if known is None:
                _record_child(parent, role, metrics, {MODEL_TAG: digest})
                continue
            with mlflow.start_run(run_id=known.info.run_id):
                mlflow.log_metrics(dict(metrics))


def _shared(write: Callable[[], object]) -> None:
    """Write a row that trainings share.

    MLflow looks whether the row is there, then adds it. Where another training added it in between, the second look
    finds it.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        write()
    except (MlflowException, SQLAlchemyError):
        write()


def _record_child(parent: "Run", name: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
    """One child run in three transactions, where the fluent calls take many."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    client = MlflowClient()
    own = {**tags, ROLE_TAG: name, "mlflow.parentRunId": parent.info.run_id}
    child = client.create_run(parent.info.experiment_id, tags=own, run_name=name)
    at = child.info.start_time
    client.log_batch(child.info.run_id, metrics=[Metric(key, value, at, 0) for key, value in metrics.items()])
    client.set_terminated(child.info.run_id)


def _dataset(name: str, relevance: Path) -> "PandasDataset":
    """The pairs that people rated, under the start of the md5 by which DVC knows the file; a tag has it whole."""
    import pandas as pd
    from mlflow.data.pandas_dataset import from_pandas
    from mlflow.data.sources import LocalArtifactDatasetSource  # type: ignore[attr-defined]

    pairs = pd.read_parquet(relevance, columns=["image_id", "query_id", "relevance", "weight"])
    return from_pandas(pairs, LocalArtifactDatasetSource(str(relevance)), name=name, digest=dvc_md5(relevance)[:8])


def find_run(experiment: str, digest: str, role: str = MODEL_ROLE) -> "Run | None":
    """The newest run of `experiment` with this role in the training of the model with this digest."""
    import mlflow

    wanted = f"tags.`{MODEL_TAG}` = '{digest}' and tags.`{ROLE_TAG}` = '{role}'"
    found = mlflow.search_runs(experiment_names=[experiment], filter_string=wanted, max_results=1, output_format="list")
    return next(iter(found), None)


def log_plots(plots: Mapping[str, "Figure"]) -> None:
    """Keep pictures with the current run, as plots/<name>.png."""
    import mlflow

    for name, figure in plots.items():
        mlflow.log_figure(figure, f"plots/{name}.png")
