"""Record a hyperparameter search as an MLflow run with one child run for each finished trial."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kadr.operations.tracking.lineage import ROLE_TAG, lineage_tags
from kadr.operations.tracking.tracking_store import tolerate_store_errors
from kadr.operations.tuning.study import finished_trials
from kadr.operations.tuning.tuning_result import TuningResult

if TYPE_CHECKING:
    import optuna

TUNE_TAG = "kadr.tune"
TUNE_ROLE = "tune"
TRIAL_ROLE = "trial"


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
    with tolerate_store_errors("the search"):
        import mlflow

        experiment_id = mlflow.set_experiment(experiment).experiment_id
        runs = mlflow.search_runs(
            [experiment_id], f"tags.`{TUNE_TAG}` = '{key}'", output_format="list", max_results=50_000
        )
        run_id = next((run.info.run_id for run in runs if run.data.tags[ROLE_TAG] == TUNE_ROLE), None)
        recorded = {run.info.run_name for run in runs}
        tags = lineage_tags({}) | {TUNE_TAG: key}
        with mlflow.start_run(run_id=run_id, run_name=f"tune {metric}", tags=tags | {ROLE_TAG: TUNE_ROLE}):
            gain = {} if result.gain is None else {"gain_low": result.gain.low, "gain_high": result.gain.high}
            mlflow.log_metrics({metric: result.tuned, f"{metric}_as_now": result.current, **gain})
            mlflow.log_dict({f"train.{name}": value for name, value in result.best.items()}, "best.json")
            for study in studies:
                cell = study.study_name.rpartition("-")[2]
                for trial in finished_trials(study):
                    if (name := f"{cell} trial {trial.number}") not in recorded:
                        _record_trial(name, trial, metric, tags | {ROLE_TAG: TRIAL_ROLE})


def _record_trial(name: str, trial: "optuna.trial.FrozenTrial", metric: str, tags: dict[str, str]) -> None:
    import mlflow

    with mlflow.start_run(run_name=name, nested=True, tags=tags):
        mlflow.set_tag("optuna.state", trial.state.name)
        mlflow.log_params({f"train.{key}": value for key, value in trial.params.items()})
        for step, value in sorted(trial.intermediate_values.items()):
            mlflow.log_metric(f"inner_{metric}", value, step=step)
