"""How the model stands against others: its paired differences from the baselines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kadr.report.figures import COLUMNS, METRICS, Cell, figure_cell


@dataclass(frozen=True)
class Row:
    """A row of a table of figures: its name, what it means, and a cell or None for each column."""

    name: str
    meaning: str
    cells: Sequence[Cell | None]


@dataclass(frozen=True)
class Judged:
    """A table of figures; a difference whose interval leaves out 0 is `sure`."""

    columns: Sequence[str]
    rows: Sequence[Row]


def difference_table(evaluate: Mapping[str, Any]) -> Judged:
    """The model less each baseline, by the paired bootstrap, for each metric of metrics/evaluate.json."""
    sources = evaluate.get("differences") or {}
    rows = [
        Row(metric.label, metric.meaning, [figure_cell(own.get(key), metric.digits, "+") for own in sources.values()])
        for key, metric in METRICS.items()
    ]
    return Judged([f"model − {COLUMNS.get(name, name)}" for name in sources], [row for row in rows if any(row.cells)])
