"""Summarise a hyperparameter search for the output of `kadr tune`."""

from typing import TYPE_CHECKING

from rich.table import Table

from kadr.operations.tuning.study import SEARCH_SPACE, current_settings, finished_trials
from kadr.operations.tuning.tuning_problem import TuningProblem
from kadr.operations.tuning.tuning_result import TuningResult

if TYPE_CHECKING:
    import optuna


def cell_table(problem: TuningProblem, studies: "list[optuna.Study]") -> Table:
    """Return a table with the number of trials and the best settings of each outer cell.

    Args:
        problem: pairs, cross-validation cells and settings that the search uses.
        studies: one study per outer cell.
    """
    metric, current = problem.reference.metric, current_settings(problem.settings.train)
    table = Table("outer cell", "trials", "pruned", f"inner {metric}", "current settings", *SEARCH_SPACE)
    for cell, study in zip(problem.outer_cells, studies, strict=True):
        finished = finished_trials(study)
        value = next((trial.value for trial in finished if trial.params == current), None)
        n_pruned = sum(trial.state.name == "PRUNED" for trial in finished)
        best = [f"{study.best_trial.params[key]:.3g}" for key in SEARCH_SPACE]
        values = [f"{study.best_value:.2f}", "" if value is None else f"{value:.2f}"]
        table.add_row(str(cell.fold), str(len(finished)), str(n_pruned), *values, *best)
    return table


def describe_result(problem: TuningProblem, result: TuningResult) -> str:
    """Return a text with the gain on the outer test pairs and the command that applies the best settings."""
    metric, gain = problem.reference.metric, result.gain
    text = f"{metric} on outer test pairs: {result.tuned:.2f} (tuned settings), {result.current:.2f} (current settings)"
    if gain is not None:
        text += f". Gain: {result.tuned - result.current:+.2f} ({gain.low:+.2f} to {gain.high:+.2f})"
    if result.best == current_settings(problem.settings.train):
        return f"{text}.\nThe current settings in params.yaml are the best."
    significant = gain is not None and gain.low > 0
    advice = "To apply" if significant else "The gain is not significant. To try"
    overrides = " ".join(f"-S train.{key}={value:.4g}" for key, value in result.best.items())
    return (
        f"{text}.\nReport this gain instead of the metrics of the `evaluate` stage, which are computed "
        f"from pairs that the search used.\n{advice} the best settings, run: dvc exp run {overrides}"
    )
