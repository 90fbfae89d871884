"""Summarise a run as named values: data sizes, metrics, and differences from the baselines."""

from collections.abc import Iterator, Mapping
from typing import Any

from kadr.report.metric_rows import METRICS, SOURCE_LABELS, MetricRow, format_metric, make_metric_rows
from kadr.report.named_value import NamedValue

StageMetrics = Mapping[str, Mapping[str, Any]]
"""Mapping from the name of a stage to the contents of metrics/<stage>.json."""

SUMMARY_KEYS = ("tau_c", "tau_b", "rmse", "auc", "recall_at_1", "recall_at_5")
DIFFERENCE_KEYS = ("tau_c", "tau_b")
_UNCHANGED_NAMES = ("exact", "missing", "name_ambiguous", "not_an_image")


def summarise_run(stages: StageMetrics, keys: tuple[str, ...] = tuple(METRICS)) -> list[NamedValue]:
    """Return the data sizes and the metrics of a run.

    Args:
        stages: Metrics of the stages. The summary omits missing stages.
        keys: Keys of the metrics to include from metrics/evaluate.json.
    """
    evaluate = stages.get("evaluate", {})
    return [
        *_data_sizes(stages),
        *_metric_values(make_metric_rows(evaluate, keys)),
        *_human_agreement(evaluate),
        *_baseline_differences(evaluate),
    ]


def list_numbers(metrics: Mapping[str, Any]) -> list[NamedValue]:
    """Return all numbers in the metrics of a stage, in their original order. Nested keys are joined with spaces."""
    values = []
    for key, value in metrics.items():
        name = key.removeprefix("n_").replace("_", " ")
        if isinstance(value, Mapping):
            values += [NamedValue(f"{name} {nested.name}", nested.value, nested.note) for nested in list_numbers(value)]
        elif isinstance(value, int | float) and not isinstance(value, bool):
            values.append(NamedValue(name, f"{value:,}" if isinstance(value, int) else f"{value:.3f}", ""))
    return values


def _data_sizes(stages: StageMetrics) -> Iterator[NamedValue]:
    ingest, index = stages.get("ingest", {}), stages.get("index", {})
    valid_images = {split: statuses.get("ok", 0) for split, statuses in ingest.get("photos", {}).items()}
    quarantined = {kind: sum(rules.values()) for kind, rules in ingest.get("set_aside", {}).items()}
    name_kinds = ingest.get("image_names", {}).items()
    matched_names = {kind.replace("_", " "): count for kind, count in name_kinds if kind not in _UNCHANGED_NAMES}
    passed_over = {folder: sum(kinds.values()) for folder, kinds in ingest.get("passed_over", {}).items() if kinds}
    for name, counts in (
        ("images", valid_images),
        ("queries", ingest.get("queries", {})),
        ("ratings", ingest.get("ratings", {})),
        ("quarantined", quarantined),
        ("image names in another form", matched_names),
        ("files passed over", passed_over),
    ):
        if counts:
            note = ", ".join(f"{count:,} {part}" for part, count in counts.items() if count)
            yield NamedValue(name, f"{sum(counts.values()):,}", note)
    for source, scale in ingest.get("rating_scales", {}).items():
        if scale["chosen_by"] != "default":
            ends = f"{scale['minimum']:g} to {scale['maximum']:g}"
            yield NamedValue(f"scale of the {source} ratings", ends, scale["reason"])
    if "n_images" in index:
        yield NamedValue("indexed images", f"{index['n_images']:,}", "")


def _metric_values(rows: list[MetricRow]) -> Iterator[NamedValue]:
    for row in rows:
        cell = row.cells["model"]
        if cell is None:
            continue
        others = [
            f"{SOURCE_LABELS[name]} {other.value}" for name, other in row.cells.items() if other and name != "model"
        ]
        yield NamedValue(row.metric.label, cell.value, "; ".join(filter(None, [cell.interval, *others])))


def _human_agreement(evaluate: Mapping[str, Any]) -> Iterator[NamedValue]:
    human = evaluate.get("human") or {}
    share, model, experts = (
        format_metric(human.get(key), digits) for key, digits in (("share", 0), ("model", 1), ("tau_c", 1))
    )
    if share and model and experts:
        tau_c = f"model {model.value}, other experts {experts.value}"
        note = f"{share.interval}; tau-c with individual expert ratings: {tau_c}"
        yield NamedValue("share of human agreement", f"{share.value} %", note)


def _baseline_differences(evaluate: Mapping[str, Any]) -> Iterator[NamedValue]:
    """Yield the differences between the model and each baseline, with paired bootstrap intervals."""
    for name, differences in (evaluate.get("differences") or {}).items():
        cells = {
            METRICS[key].label: format_metric(differences.get(key), METRICS[key].digits, "+") for key in DIFFERENCE_KEYS
        }
        available = [(label, cell) for label, cell in cells.items() if cell]
        if available:
            (label, first), *others = available
            notes = [first.interval, *(f"{other} {cell.value} ({cell.interval})" for other, cell in others)]
            yield NamedValue(f"{label} above {SOURCE_LABELS[name]}", first.value, "; ".join(notes))
