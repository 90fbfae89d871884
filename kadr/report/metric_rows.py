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
    "average_precision": Metric("average precision", "mean precision at the places of the relevant pairs", 3),
    "ndcg_at_10": Metric("NDCG@10", "order of a text's rated photos, the first ten", 3),
    "ece": Metric("ECE", "expected calibration error: mean gap between predicted and observed; lower is better", 3),
    "recall_at_1": Metric("recall@1", "test texts whose own photo comes first", 3),
    "recall_at_5": Metric("recall@5", "test texts whose own photo is among the first 5", 3),
    "recall_at_10": Metric("recall@10", "test texts whose own photo is among the first 10", 3),
    "mrr": Metric("MRR", "mean reciprocal rank of the own photo", 3),
}
HEADLINE = ("tau_c", "tau_b", "rmse", "auc", "recall_at_1", "recall_at_5")
AGREEMENT = ("tau_c", "tau_b", "spearman", "auc", "average_precision", "ndcg_at_10", "rmse", "r2", "ece")
DIFFERENCES = ("tau_c", "tau_b")
RETRIEVAL = ("recall_at_1", "recall_at_5", "recall_at_10", "mrr")
COLUMNS = {
    "model": "model",
    "seen_text": "seen text",
    "cosine": "cosine",
    "concat": "concatenation",
    "mean": "mean",
    "human": "other experts",
    "ceiling": "human ceiling",
}


@dataclass(frozen=True)
class Cell:
    """A figure with its interval, e.g. `48.9` and `47.1 to 50.6`; `sure` where that of a difference leaves out 0."""

    value: str
    interval: str
    sure: bool = False


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
        "seen_text": evaluate.get("seen_text") or {},
        **{name: baselines.get(name) or {} for name in ("cosine", "concat", "mean")},
        "human": evaluate.get("human") or {},
        "ceiling": evaluate.get("ceiling") or {},
    }
    rows = []
    for key in keys:
        cells = {name: figure_cell(source.get(key), METRICS[key].digits) for name, source in sources.items()}
        if any(cells.values()):
            rows.append(MetricRow(key, METRICS[key], cells))
    return rows


def figure_cell(figure: Mapping[str, float] | None, digits: int, sign: str = "") -> Cell | None:
    """A figure as `{value, low, high}` rounded to so many digits; with `sign` "+" it is a difference from 0."""
    if not figure or figure.get("value") is None:
        return None
    low, high, form = figure.get("low"), figure.get("high"), f"{sign}.{digits}f"
    interval = "" if low is None or high is None else f"{low:{form}} to {high:{form}}"
    sure = bool(sign) and low is not None and high is not None and not low <= 0 <= high
    return Cell(f"{figure['value']:{form}}", interval, sure)


@dataclass(frozen=True)
class Fact:
    """One named figure: what it is of, its value, and what stands beside it."""

    name: str
    value: str
    note: str


def headline(stages: Stages, keys: tuple[str, ...] = tuple(METRICS)) -> list[Fact]:
    """What a run is known by: how much went in, and what metrics/evaluate.json has of `keys`."""
    evaluate = stages.get("evaluate", {})
    return [*_counts(stages), *_judgements(metric_rows(evaluate, keys)), *_human(evaluate), *_differences(evaluate)]


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


def _differences(evaluate: Mapping[str, Any]) -> Iterator[Fact]:
    """The model less each baseline it is said to beat, by the paired bootstrap."""
    for name, own in (evaluate.get("differences") or {}).items():
        cells = [(METRICS[key].label, figure_cell(own.get(key), METRICS[key].digits, "+")) for key in DIFFERENCES]
        found = [(label, cell) for label, cell in cells if cell]
        if found:
            (label, first), *others = found
            note = [first.interval, *(f"{other} {cell.value} ({cell.interval})" for other, cell in others)]
            yield Fact(f"{label} above {COLUMNS[name]}", first.value, "; ".join(note))


def _human(evaluate: Mapping[str, Any]) -> Iterator[Fact]:
    human = evaluate.get("human") or {}
    share, model, others = (figure_cell(human.get(key), n) for key, n in (("share", 0), ("model", 1), ("tau_c", 1)))
    if share and model and others:
        note = f"{share.interval}; tau-c with single expert ratings: model {model.value}, other experts {others.value}"
        yield Fact("of human agreement", f"{share.value} %", note)


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
