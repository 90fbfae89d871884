"""The page itself: one HTML file with its style, plots and photos inside, in light and dark, for any width."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kadr.report.comparison_tables import Judged
from kadr.report.examples import Example, Query
from kadr.report.leaks import DuplicatePair, LeakCount
from kadr.report.metric_rows import COLUMNS, Fact, MetricRow
from kadr.report.plots import Plot
from kadr.report.tables import PhotoCount, Rule

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True)
class Page:
    """All that the page shows; an empty section is left out."""

    title: str
    headline: Sequence[Fact]
    photos: Sequence[PhotoCount]
    quarantine: Sequence[Rule]
    ratings: Sequence[Plot]
    agreement: Sequence[Plot]
    agreement_facts: Sequence[Fact]
    model: Sequence[Plot]
    metrics: Sequence[MetricRow]
    retrieval: Sequence[MetricRow]
    best: Sequence[Example]
    worst: Sequence[Example]
    searches: Sequence[Query]
    differences: Judged
    ablations: Judged
    kinds: Judged
    reordering: Judged
    leaks: Sequence[LeakCount] = ()
    duplicates: Sequence[DuplicatePair] = ()


def render_page(page: Page) -> str:
    """The page as HTML; every text in it is escaped."""
    templates = environment()
    templates.globals["shown_columns"] = _shown_columns
    return templates.get_template("page.html.j2").render(page=page, columns=COLUMNS)


def environment() -> "Environment":
    """The templates of this package; what they show is escaped, and what they miss is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("kadr.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown_columns(rows: Sequence[MetricRow]) -> list[str]:
    """The columns in which at least one of `rows` has a figure."""
    return [name for name in COLUMNS if any(row.cells[name] for row in rows)]
