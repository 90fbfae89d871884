"""Create a table that compares the metrics and the differing settings of training runs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.table import Table

from kadr.metrics.gates import LOWER_IS_BETTER
from kadr.operations.tracking.lineage import GATES_TAG, MODEL_TAG

if TYPE_CHECKING:
    from mlflow.entities import Run

COMPARED_METRICS = ("tau_c", "tau_b", "spearman", "rmse", "auc", "recall_at_1", "mrr")


def differing_params(params: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the names of the parameters whose values differ between runs.

    A missing parameter counts as a different value.

    Args:
        params: the parameters of each run.

    >>> differing_params([{"seed": "0", "trees": "20"}, {"seed": "0", "trees": "50"}])
    ['trees']
    """
    keys = dict.fromkeys(key for values in params for key in values)
    return [key for key in keys if len({values.get(key) for values in params}) > 1]


def comparison_table(runs: "Sequence[Run]", model_sha256: str | None) -> Table:
    """Return a table with one row per run. The best value of each metric is bold.

    If a run did not pass the quality gates, the table has a column with the result of the gates.

    Args:
        runs: the runs to compare.
        model_sha256: digest of the model in models/relevance, or None. An asterisk marks the run that trained this
            model.
    """
    keys = differing_params([run.data.params for run in runs])
    names = [name for name in COMPARED_METRICS if any(name in run.data.metrics for run in runs)]
    settings = [key.removeprefix("train.") for key in keys]
    gates = ["gates"] if any(run.data.tags.get(GATES_TAG) == "failed" for run in runs) else []
    table = Table("run", "started", *gates, *settings)
    for name in names:
        table.add_column(name, justify="right")
    best = {name: _best(name, [run.data.metrics[name] for run in runs if name in run.data.metrics]) for name in names}
    for run in runs:
        asterisk = "*" if run.data.tags.get(MODEL_TAG) == model_sha256 else ""
        started = datetime.fromtimestamp(run.info.start_time / 1000).astimezone().strftime("%Y-%m-%d %H:%M")
        cells = [run.data.tags.get(GATES_TAG, "") for _ in gates]
        cells += [run.data.params.get(key, "") for key in keys]
        cells += [_format_metric(name, run.data.metrics, best[name]) for name in names]
        table.add_row(run.info.run_id[:8] + asterisk, started, *cells)
    return table


def _best(name: str, values: Sequence[float]) -> float:
    return min(values) if name in LOWER_IS_BETTER else max(values)


def _format_metric(name: str, metrics: Mapping[str, float], best: float) -> str:
    if name not in metrics:
        return ""
    value = f"{metrics[name]:.1f}" if name.startswith("tau") else f"{metrics[name]:.3f}"
    return f"[bold]{value}[/bold]" if metrics[name] == best else value
