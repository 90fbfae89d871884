"""What a search for settings leaves in MLflow: one run, and a child run for each finished trial."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kadr.operations.tracking.lineage import ROLE_TAG, lineage
from kadr.operations.tracking.recording import recorded
from kadr.operations.tuning.study import finished
from kadr.params import Params

if TYPE_CHECKING:
    import optuna

    from kadr.operations.tuning.nested_search import Tuned

TUNE_TAG = "kadr.tune"
ROLE = "tune"


def record_tuning(params: Params, key: str, figure: str, tuned: "Tuned", studies: "Sequence[optuna.Study]") -> None:
    """Record the search `key`; a search that goes on goes on in its run, with a child for each new trial.

    Args:
        params: all settings.
        key: of the search.
        figure: what was maximised.
        tuned: what came out.
        studies: one for each outer cell.
    """
    with recorded("the search"):
        import mlflow

        experiment = mlflow.set_experiment(params.train.experiment)
        known = mlflow.search_runs(
            [experiment.experiment_id], f"tags.`{TUNE_TAG}` = '{key}'", output_format="list", max_results=50_000
        )
        parent = next((run.info.run_id for run in known if run.data.tags[ROLE_TAG] == ROLE), None)
        there = {run.info.run_name for run in known}
        tags = lineage({}) | {TUNE_TAG: key}
        with mlflow.start_run(run_id=parent, run_name=f"tune {figure}", tags=tags | {ROLE_TAG: ROLE}):
            gain = {} if tuned.gain is None else {"gain_low": tuned.gain.low, "gain_high": tuned.gain.high}
            mlflow.log_metrics({figure: tuned.tuned, f"{figure}_as_now": tuned.now, **gain})
            mlflow.log_dict({f"train.{name}": value for name, value in tuned.best.items()}, "best.json")
            for study in studies:
                cell = study.study_name.rpartition("-")[2]
                for trial in finished(study):
                    name = f"{cell} trial {trial.number}"
                    if name not in there:
                        with mlflow.start_run(run_name=name, nested=True, tags=tags | {ROLE_TAG: "trial"}):
                            mlflow.set_tag("optuna.state", trial.state.name)
                            mlflow.log_params({f"train.{key}": value for key, value in trial.params.items()})
                            for step, value in sorted(trial.intermediate_values.items()):
                                mlflow.log_metric(f"inner_{figure}", value, step=step)
