"""The run report: one HTML file with embedded styles, plots and images."""

from collections.abc import Sequence
from dataclasses import dataclass

from kadr.report.comparison_tables import ComparisonTable
from kadr.report.input_tables import QuarantineRule, SplitImages
from kadr.report.leak_tables import LeakCount, NearDuplicatePair
from kadr.report.metric_rows import SOURCE_LABELS, MetricRow
from kadr.report.named_value import NamedValue
from kadr.report.prediction_examples import PredictionExample
from kadr.report.search_examples import SearchExample
from kadr.report.svg_plots import SvgPlot
from kadr.report.templates import load_templates


@dataclass(frozen=True)
class RunPage:
    """Contents of the run report. The page omits empty sections."""

    title: str
    summary: Sequence[NamedValue]
    images: Sequence[SplitImages]
    quarantine: Sequence[QuarantineRule]
    ratings: Sequence[SvgPlot]
    agreement: Sequence[SvgPlot]
    agreement_values: Sequence[NamedValue]
    model: Sequence[SvgPlot]
    metrics: Sequence[MetricRow]
    retrieval: Sequence[MetricRow]
    best: Sequence[PredictionExample]
    worst: Sequence[PredictionExample]
    searches: Sequence[SearchExample]
    baselines: ComparisonTable
    ablations: ComparisonTable
    pair_kinds: ComparisonTable
    reranking: ComparisonTable
    leaks: Sequence[LeakCount] = ()
    duplicates: Sequence[NearDuplicatePair] = ()


def render_run_page(page: RunPage) -> str:
    """Render the run report as HTML. All text is escaped."""
    templates = load_templates()
    templates.globals["list_columns"] = _list_columns
    return templates.get_template("run_page.html.j2").render(page=page, labels=SOURCE_LABELS)


def _list_columns(rows: Sequence[MetricRow]) -> list[str]:
    """Return the columns that have a value in at least one row of the metric table."""
    return [name for name in SOURCE_LABELS if any(row.cells[name] for row in rows)]
