"""The figures of metrics/*.json as rows that a page and a terminal can show; what a run does not have is left out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Stages = Mapping[str, Mapping[str, Any]]  # stage -> what metrics/<stage>.json holds


@dataclass(frozen=True)
class Metric:
    """How a key of metrics/evaluate.json is shown."""

    label: str
    meaning: str
    digits: int


METRICS = {
    "tau_c": Metric("tau-c", "Kendall tau-c x 100 with single expert ratings, own captions left out", 1),
    "tau_b": Metric("tau-b", "Kendall tau-b x 100 with the crowd's share of yes", 1),
    "spearman": Metric("Spearman", "rank correlation with the relevance", 3),
    "rmse": Metric("RMSE", "root mean square error of the relevance; lower is better", 3),
    "r2": Metric("R²", "share of the relevance's variance explained", 3),
    "auc": Metric("AUC", "how often a relevant pair stands above an irrelevant one", 3),
    "recall_at_1": Metric("recall@1", "test texts whose own photo comes first", 3),
    "recall_at_5": Metric("recall@5", "test texts whose own photo is among the first 5", 3),
    "recall_at_10": Metric("recall@10", "test texts whose own photo is among the first 10", 3),
    "mrr": Metric("MRR", "mean reciprocal rank of the own photo", 3),
}
HEADLINE = ("tau_c", "tau_b", "rmse", "auc", "recall_at_1", "recall_at_5")
AGREEMENT = ("tau_c", "tau_b", "spearman", "rmse", "r2", "auc")
RETRIEVAL = ("recall_at_1", "recall_at_5", "recall_at_10", "mrr")
COLUMNS = {"model": "model", "cosine": "cosine", "concat": "concatenation", "mean": "mean", "ceiling": "human ceiling"}


@dataclass(frozen=True)
class Cell:
    """A figure with its interval, e.g. `48.9` and `47.1 to 50.6`."""

    value: str
    interval: str


@dataclass(frozen=True)
class MetricRow:
    """One metric by the model, by each baseline and by people; None where there is no such figure.

    Attributes:
        key: of metrics/evaluate.json.
        metric: how it is shown.
        cells: a cell for each of COLUMNS.
    """

    key: str
    metric: Metric
    cells: dict[str, Cell | None]


def metric_rows(evaluate: Mapping[str, Any], keys: tuple[str, ...] = tuple(METRICS)) -> list[MetricRow]:
    """Rows of what metrics/evaluate.json has of `keys`; a metric that neither model nor baselines have is left out."""
    baselines = evaluate.get("baselines") or {}
    sources = {
        "model": evaluate,
        **{name: baselines.get(name) or {} for name in ("cosine", "concat", "mean")},
        "ceiling": evaluate.get("ceiling") or {},
    }
    rows = []
    for key in keys:
        cells = {name: _cell(source.get(key), METRICS[key].digits) for name, source in sources.items()}
        if any(cells.values()):
            rows.append(MetricRow(key, METRICS[key], cells))
    return rows


def _cell(figure: Mapping[str, float] | None, digits: int) -> Cell | None:
    if not figure or figure.get("value") is None:
        return None
    low, high = figure.get("low"), figure.get("high")
    interval = "" if low is None or high is None else f"{low:.{digits}f} to {high:.{digits}f}"
    return Cell(f"{figure['value']:.{digits}f}", interval)


@dataclass(frozen=True)
class Fact:
    """One named figure: what it is of, its value, and what stands beside it."""

    name: str
    value: str
    note: str


def headline(stages: Stages, keys: tuple[str, ...] = tuple(METRICS)) -> list[Fact]:
    """What a run is known by: how much went in, and what metrics/evaluate.json has of `keys`."""
    return [*_counts(stages), *_judgements(metric_rows(stages.get("evaluate", {}), keys))]


def _counts(stages: Stages) -> Iterator[Fact]:
    ingest, index = stages.get("ingest", {}), stages.get("index", {})
    good = {split: statuses.get("ok", 0) for split, statuses in ingest.get("photos", {}).items()}
    set_aside = {kind: sum(rules.values()) for kind, rules in ingest.get("set_aside", {}).items()}
    for name, parts in (
        ("photos", good),
        ("texts", ingest.get("queries", {})),
        ("ratings", ingest.get("ratings", {})),
        ("set aside", set_aside),
    ):
        if parts:
            yield Fact(name, f"{sum(parts.values()):,}", ", ".join(f"{n:,} {part}" for part, n in parts.items() if n))
    if "n_images" in index:
        yield Fact("searchable photos", f"{index['n_images']:,}", "")


def _judgements(rows: list[MetricRow]) -> Iterator[Fact]:
    for row in rows:
        cell = row.cells["model"]
        if cell is None:
            continue
        others = [f"{COLUMNS[name]} {other.value}" for name, other in row.cells.items() if other and name != "model"]
        yield Fact(row.metric.label, cell.value, "; ".join(filter(None, [cell.interval, *others])))


def facts(figures: Mapping[str, Any]) -> list[Fact]:
    """Every plain number of a stage's figures, in its order; keys of inner mappings are joined by a space."""
    found = []
    for key, value in figures.items():
        name = key.removeprefix("n_").replace("_", " ")
        if isinstance(value, Mapping):
            found += [Fact(f"{name} {inner.name}", inner.value, inner.note) for inner in facts(value)]
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append(Fact(name, f"{value:,}" if isinstance(value, int) else f"{value:.3f}", ""))
    return found
