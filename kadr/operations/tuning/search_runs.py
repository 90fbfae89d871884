"""Record a hyperparameter search as an MLflow run with one child run for each finished trial."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, cast

from kadr.operations.tracking.lineage import ROLE_TAG, lineage_tags
from kadr.operations.tracking.recording import log_batch
from kadr.operations.tracking.tracking_store import tolerate_store_errors, use_experiment
from kadr.operations.tuning.study import finished_trials
from kadr.operations.tuning.tuning_result import TuningResult

if TYPE_CHECKING:
    import optuna
    from mlflow.entities import Run

TUNE_TAG = "kadr.tune"
TUNE_ROLE = "tune"
TRIAL_ROLE = "trial"


@tolerate_store_errors("the search")
def record_tuning(
    experiment: str, key: str, metric: str, result: TuningResult, studies: "Sequence[optuna.Study]"
) -> None:
    """Record a search in MLflow.

    If the search was resumed, its existing run is updated and a child run is added for each new trial.

    Args:
        experiment: name of the MLflow experiment.
        key: `TuningProblem.key`, which identifies the run of a resumed search.
        metric: name of the metric that the search maximises.
        result: result of the search.
        studies: one study per outer cell.
    """
    from mlflow import MlflowClient
    from mlflow.tracking.context.registry import resolve_tags

    client, experiment_id = MlflowClient(), use_experiment(experiment)
    runs = client.search_runs([experiment_id], f"tags.`{TUNE_TAG}` = '{key}'", max_results=50_000)
    recorded = {run.info.run_name for run in runs}
    tags = resolve_tags(lineage_tags({}) | {TUNE_TAG: key})
    trials = {
        f"{study.study_name.rpartition('-')[2]} trial {trial.number}": trial
        for study in studies
        for trial in finished_trials(study)
    }
    parent = next((run for run in runs if run.data.tags[ROLE_TAG] == TUNE_ROLE), None)
    if parent is None:
        start = min(_milliseconds(trial.datetime_start) for trial in trials.values())
        name = f"tune {metric} / {key[:6]}"
        parent = client.create_run(experiment_id, start, tags | {ROLE_TAG: TUNE_ROLE}, name)
    for name in sorted(trials.keys() - recorded):
        _record_trial(parent, name, trials[name], metric, tags)
    metrics = {metric: result.tuned, f"{metric}_as_now": result.current}
    if gain := result.gain:
        metrics |= {"gain": gain.value, "gain.low": gain.low, "gain.high": gain.high}
    log_batch(client, parent.info.run_id, metrics=metrics)
    best = {f"train.{setting}": value for setting, value in result.best.items()}
    client.log_dict(parent.info.run_id, best, "best.json")
    client.set_terminated(parent.info.run_id)


def _record_trial(
    parent: "Run", name: str, trial: "optuna.trial.FrozenTrial", metric: str, tags: Mapping[str, str]
) -> None:
    """Record a trial as a child run with the start and end time of the trial."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient()
    tags = {**tags, ROLE_TAG: TRIAL_ROLE, "mlflow.parentRunId": parent.info.run_id, "optuna.state": trial.state.name}
    start, end = _milliseconds(trial.datetime_start), _milliseconds(trial.datetime_complete)
    run = client.create_run(parent.info.experiment_id, start, tags, name)
    values = [Metric(f"inner_{metric}", value, end, step) for step, value in sorted(trial.intermediate_values.items())]
    settings = [Param(f"train.{key}", str(value)) for key, value in trial.params.items()]
    client.log_batch(run.info.run_id, values, settings)
    client.set_terminated(run.info.run_id, end_time=end)


def _milliseconds(time: datetime | None) -> int:
    """Return a local time of a finished trial, which is never None, in milliseconds since 1970."""
    return int(cast(datetime, time).timestamp() * 1000)
