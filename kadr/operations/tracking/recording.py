"""Record training runs and evaluations in MLflow.

If the MLflow store fails, the functions log a warning, and the stage continues. A finished run is never reopened: the
functions that add to it leave its start and end time unchanged.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kadr.operations.tracking.lineage import (
    GATE_FAILURES_TAG,
    GATES_TAG,
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
from kadr.operations.tracking.metric_tables import estimate_table, metric_values
from kadr.operations.tracking.runs import find_run
from kadr.operations.tracking.tracking_store import tolerate_store_errors, use_experiment
from kadr.params import Params
from kadr.project import PROJECT

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

logger = logging.getLogger(__name__)

LOGGED_MODEL_FILES = ("model.txt", "model.json")
"""Model files that are logged to MLflow. The other model files can exceed 100 MB, so only DVC stores them."""

SAMPLING_SECONDS = 2
"""Seconds between two samples of the system metrics. $MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL has priority."""


@dataclass
class TrainingRun:
    """The MLflow run of a training in progress.

    Attributes:
        run_id: ID of the run, None if the store failed when the training started.
        tags: tags that describe the code, data and machine.
        monitor: thread that records the system metrics.
    """

    run_id: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    monitor: "SystemMetricsMonitor | None" = None

    def record(self, model: Path, tables: Mapping[str, "pd.DataFrame"], plots: Mapping[str, "Figure"]) -> None:
        """Record the trained model.

        Args:
            model: model folder. The other stages use the digest of this folder to find the run.
            tables: tables to log as tables/<name>.csv, by name.
            plots: plots to log as plots/<name>.png, by name.
        """
        if self.run_id is not None:
            self._record(self.run_id, model, tables, plots)

    @tolerate_store_errors("the training run")
    def _start(self, params: Params, inputs: Mapping[str, Path]) -> None:
        from mlflow import MlflowClient
        from mlflow.tracking.context.registry import resolve_tags

        client, experiment_id = MlflowClient(), use_experiment(params.train.experiment)
        kind = "mlflow.experimentKind", "custom_model_development"
        _retry_once(lambda: client.set_experiment_tag(experiment_id, *kind))
        self.tags = lineage_tags(inputs)
        run = client.create_run(experiment_id, tags=resolve_tags(self.tags), run_name=run_name(params))
        self.run_id = run_id = str(run.info.run_id)
        logger.info("MLflow run %s: %s", run_id, run.info.run_name)
        log_batch(client, run_id, params=flatten_params(params))
        dataset = _rated_pairs_dataset(params.train.experiment, inputs["relevance"])
        _retry_once(lambda: client.log_inputs(run_id, [dataset]))
        if PROJECT.params.is_file():
            client.log_artifact(run_id, str(PROJECT.params))
        self.monitor = _start_monitor(run_id)

    @tolerate_store_errors("the trained model")
    def _record(
        self, run_id: str, model: Path, tables: Mapping[str, "pd.DataFrame"], plots: Mapping[str, "Figure"]
    ) -> None:
        from mlflow import MlflowClient

        client = MlflowClient()
        for path in (model / name for name in LOGGED_MODEL_FILES):
            if path.is_file():
                client.log_artifact(run_id, str(path))
        _log_files(client, run_id, tables, plots)
        model_tags = {MODEL_TAG: folder_digest(model), ROLE_TAG: MODEL_ROLE}
        note = {"mlflow.note.content": reproduction_note(self.tags | model_tags)}
        log_batch(client, run_id, tags=model_tags | note)

    def _end(self, status: str) -> None:
        if self.monitor is not None:
            self.monitor.finish()  # type: ignore[no-untyped-call]
        if self.run_id is not None:
            _terminate(self.run_id, status)


@tolerate_store_errors("the end of the training run")
def _terminate(run_id: str, status: str) -> None:
    from mlflow import MlflowClient

    MlflowClient().set_terminated(run_id, status)


@contextmanager
def training_run(params: Params, inputs: Mapping[str, Path]) -> Iterator[TrainingRun]:
    """Record a training as an MLflow run that lasts as long as the `with` block.

    The run records the settings, the code, the data, the machine and the system metrics. Its status is FAILED if the
    block raises an error, and KILLED if the user interrupts the block.

    Args:
        params: all settings.
        inputs: paths of the input files, by name. The file `relevance` is logged as the dataset of the run.

    Yields:
        The run. Use `TrainingRun.record` to record the trained model.
    """
    run, status = TrainingRun(), "FAILED"
    run._start(params, inputs)
    try:
        yield run
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        run._end(status)


@tolerate_store_errors("the evaluation")
def record_evaluation(experiment: str, model: Path, metrics: Mapping[str, Any], plots: Mapping[str, "Figure"]) -> None:
    """Add the metrics of metrics/evaluate.json to the newest training run of a model.

    Args:
        experiment: name of the experiment.
        model: model folder.
        metrics: content of metrics/evaluate.json. The keys of a group are joined by slashes, e.g.
            `baselines/cosine/tau_c`. The intervals of the model are logged as `tau_c.low` and `tau_c.high`, and the
            table tables/evaluation.csv contains all intervals.
        plots: plots to log as plots/<name>.png, by name.
    """
    from mlflow import MlflowClient

    run, client = find_run(experiment, folder_digest(model)), MlflowClient()
    if run is None:
        logger.warning("MLflow has no training run of this model. The metrics are only in metrics/evaluate.json.")
        return
    log_batch(client, run.info.run_id, metrics=metric_values(metrics))
    _log_files(client, run.info.run_id, {"evaluation": estimate_table(metrics)}, plots)


@tolerate_store_errors("a table")
def record_table(experiment: str, model: Path, name: str, table: "pd.DataFrame") -> None:
    """Add a table to the newest training run of a model, as tables/<name>.csv, or replace it.

    Args:
        experiment: name of the experiment.
        model: model folder.
        name: name of the table.
        table: the table.
    """
    from mlflow import MlflowClient

    run = find_run(experiment, folder_digest(model))
    if run is None:
        logger.warning("MLflow has no training run of this model. It does not record the table %r.", name)
        return
    _log_files(MlflowClient(), run.info.run_id, {name: table}, {})


@tolerate_store_errors("the result of the quality gates")
def record_gates(experiment: str, model: Path, failures: Sequence[str]) -> None:
    """Tag the newest training run of a model with the result of the quality gates.

    The tag `kadr.gates` is `passed` or `failed`, and `kadr.gate_failures` contains the messages. The status of the run
    is FAILED if a gate failed, and FINISHED otherwise.

    Args:
        experiment: name of the experiment.
        model: model folder.
        failures: one message for each gate that the model does not pass.
    """
    from mlflow import MlflowClient

    run, client = find_run(experiment, folder_digest(model)), MlflowClient()
    if run is None:
        return  # record_evaluation has already logged the warning
    run_id = run.info.run_id
    client.set_tag(run_id, GATES_TAG, "failed" if failures else "passed")
    if failures:
        client.set_tag(run_id, GATE_FAILURES_TAG, "\n".join(failures))
    elif GATE_FAILURES_TAG in run.data.tags:
        client.delete_tag(run_id, GATE_FAILURES_TAG)
    client.set_terminated(run_id, "FAILED" if failures else "FINISHED", run.info.end_time)


def log_batch(
    client: "MlflowClient",
    run_id: str,
    *,
    metrics: Mapping[str, float] | None = None,
    params: Mapping[str, object] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Log metrics, parameters and tags in few requests."""
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    client.log_batch(
        run_id,
        [Metric(key, value, now, 0) for key, value in (metrics or {}).items()],
        [Param(key, str(value)) for key, value in (params or {}).items()],
        [RunTag(key, value) for key, value in (tags or {}).items()],
    )


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


def _start_monitor(run_id: str) -> "SystemMetricsMonitor":
    """Start the thread that records the use of CPU, memory, disk, network and GPU until the training ends."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)
    monitor = SystemMetricsMonitor(run_id, sampling_interval=SAMPLING_SECONDS)  # type: ignore[no-untyped-call]
    monitor.start()  # type: ignore[no-untyped-call]
    return monitor


def _rated_pairs_dataset(name: str, relevance: Path) -> "DatasetInput":
    """Return the relevance table as an MLflow dataset, with the first 8 digits of the DVC md5 as its digest."""
    import pandas as pd
    from mlflow.data.pandas_dataset import from_pandas
    from mlflow.data.sources import LocalArtifactDatasetSource  # type: ignore[attr-defined]
    from mlflow.entities import Dataset, DatasetInput, InputTag

    pairs = pd.read_parquet(relevance, columns=["image_id", "query_id", "relevance", "weight"])
    source = LocalArtifactDatasetSource(str(relevance))
    dataset = from_pandas(pairs, source, name=name, digest=dvc_md5(relevance)[:8])
    return DatasetInput(Dataset(**dataset.to_dict()), [InputTag("mlflow.data.context", "training")])


def _log_files(
    client: "MlflowClient", run_id: str, tables: Mapping[str, "pd.DataFrame"], plots: Mapping[str, "Figure"]
) -> None:
    """Log tables as tables/<name>.csv, and plots as plots/<name>.png. MLflow displays both formats."""
    for name, table in tables.items():
        client.log_text(run_id, table.to_csv(index=False), f"tables/{name}.csv")
    for name, figure in plots.items():
        client.log_figure(run_id, figure, f"plots/{name}.png")
