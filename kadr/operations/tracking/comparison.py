"""Compare trainings: `kadr compare` prints what differs in their settings, and their figures.

It is here and not in the command `kadr`, because the library room never imports MLflow.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.table import Table

from kadr.metrics.gates import LOWER_IS_BETTER
from kadr.operations.tracking import recording
from kadr.operations.tracking.lineage import MODEL_TAG, ROLE_TAG

if TYPE_CHECKING:
    from mlflow.entities import Run

FIGURES = ("tau_c", "tau_b", "spearman", "rmse", "auc", "recall_at_1", "mrr")  # those of them that a run has
MANY = 1000  # trainings among which a run is looked for by the start of its id


def last_runs(experiment: str, n: int) -> "list[Run]":
    """The newest n trainings of an experiment, newest first. Raises TrackingError where there is none."""
    import mlflow

    found: list[Run] = mlflow.search_runs(
        experiment_names=[experiment],
        filter_string=f"tags.`{ROLE_TAG}` = '{recording.MODEL_ROLE}'",
        max_results=n,
        output_format="list",
    )
    if not found:
        raise recording.TrackingError(f"experiment {experiment!r} has no training yet; run `dvc repro`")
    return found


def chosen(runs: "Sequence[Run]", starts: Sequence[str]) -> "list[Run]":
    """The run whose id begins so, for each start. Raises TrackingError where not exactly one does."""
    found = []
    for start in starts:
        fitting = [run for run in runs if run.info.run_id.startswith(start)]
        if len(fitting) != 1:
            raise recording.TrackingError(
                f"{len(fitting)} trainings have an id that begins with {start!r}; `kadr compare` lists them"
            )
        found += fitting
    return found


def differing(params: Sequence[Mapping[str, str]]) -> list[str]:
    """The keys whose values are not the same in all, in the order of the first that has them; a missing one differs."""
    keys = dict.fromkeys(key for one in params for key in one)
    return [key for key in keys if len({one.get(key) for one in params}) > 1]


def comparison(runs: "Sequence[Run]", digest: str | None) -> Table:
    """One row a run; the run of the model with this digest has an asterisk, the best of a figure is bold."""
    keys = differing([run.data.params for run in runs])
    figures = [name for name in FIGURES if any(name in run.data.metrics for run in runs)]
    table = Table("run", "started", *(key.removeprefix("train.") for key in keys), *figures)
    for column in table.columns[2 + len(keys) :]:
        column.justify = "right"
    best = {name: _best(name, [run.data.metrics[name] for run in runs if name in run.data.metrics]) for name in figures}
    for run in runs:
        here = "*" if run.data.tags.get(MODEL_TAG) == digest else ""
        started = datetime.fromtimestamp(run.info.start_time / 1000).astimezone().strftime("%Y-%m-%d %H:%M")
        shown = [_figure(name, run.data.metrics, best[name]) for name in figures]
        table.add_row(run.info.run_id[:8] + here, started, *(run.data.params.get(key, "") for key in keys), *shown)
    return table


def _best(name: str, values: Sequence[float]) -> float:
    return min(values) if name in LOWER_IS_BETTER else max(values)


def _figure(name: str, metrics: Mapping[str, float], best: float) -> str:
    if name not in metrics:
        return ""
    shown = f"{metrics[name]:.1f}" if name.startswith("tau") else f"{metrics[name]:.3f}"
    return f"[bold]{shown}[/bold]" if metrics[name] == best else shown
