"""Read and write reports/refresh.json, the report of the last challenge, and format it as a page."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from kadr.io.text_files import write_json
from kadr.project import PROJECT

Report = dict[str, Any]

_ADVICE = {
    "nothing": "The snapshot resembles the data of the champion. No action is needed.",
    "look": "Inspect the snapshot in `reports/index.html` and `reports/ratings.html` before you rely on the metrics.",
    "retrain": (
        "The champion was trained on different data, so use a model that is trained on the snapshot. If the challenger "
        "was rejected, add ratings of the new images or tune the settings, and run the flow again."
    ),
}


def read_report() -> Report:
    """Return the report of the last challenge, or an empty report if there was no challenge."""
    report: Report = (
        json.loads(PROJECT.refresh_report.read_text(encoding="utf-8")) if PROJECT.refresh_report.is_file() else {}
    )
    return report


def write_report(report: Report) -> Report:
    """Write the report of a challenge to PROJECT.refresh_report, and return the report."""
    write_json(PROJECT.refresh_report, report)
    return report


def to_markdown(report: Report) -> str:
    """Return the report of a challenge as a Markdown page."""
    run, url = report["mlflow_run"], report["mlflow_url"]
    properties = {
        "Champion": report["champion"],
        "Snapshot": f"`{report['snapshot']}`",
        "MLflow run": f"[{run}]({url})" if url else f"`{run}`" if run else "not recorded",
        "Model": f"`{report['model_sha256']}` (tag `kadr.model_sha256` of the MLflow run)",
    }
    if pairs := report.get("compared_pairs"):
        properties["Compared on"] = (
            f"{pairs['n']:,} pairs that both models predicted out of fold (sha256 `{pairs['sha256']}`). "
            f"The champion has no prediction for {pairs['n_excluded']:,} other pairs."
        )
    lines = [f"# {report['verdict'].capitalize()}", "", report["reason"], ""]
    lines += [f"- {name}: {value}" for name, value in properties.items()]
    metrics, drift = report.get("metrics"), report.get("data_drift")
    if report["verdict"] == "unchanged" and (metrics or drift):
        lines += ["", "The results below are from the earlier challenge of the same model."]
    if metrics:
        lines += ["", "## Metrics", ""]
        lines += ["| metric | challenger | champion | difference | interval |", "|---|---|---|---|---|"]
        lines += [_metric_line(row) for row in metrics]
    if drift:
        lines += ["", *_drift_lines(drift)]
    return "\n".join(lines)


def _metric_line(row: Mapping[str, Any]) -> str:
    interval = f"{row['low']:+.4g} to {row['high']:+.4g}"
    values = f"{row['challenger']:.4g} | {row['champion']:.4g} | {row['difference']:+.4g}"
    return f"| {row['metric']} | {values} | {interval} |"


def _drift_lines(drift: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a Markdown section about the drift.

    Args:
        drift: result of `kadr.operations.champion.drift.summarise`.
    """
    yield f"## Drift from champion {drift['reference']}: {drift['action']}"
    yield ""
    yield f"{_ADVICE[drift['action']]} Drift in standard deviations: {drift['reason']}."
    yield ""
    yield "| variable | n before | n now | mean before | mean now | drift (SD) | interval | action |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in drift["variables"]:
        means = ("" if row[key] is None else f"{row[key]:.3g}" for key in ("mean_before", "mean_now"))
        compared = row["drift"] is not None
        size = (f"{row['drift']:.2f}", f"{row['low']:.2f} to {row['high']:.2f}") if compared else ("", row["note"])
        cells = (row["variable"], f"{row['n_before']:,}", f"{row['n_now']:,}", *means, *size, row["action"])
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield f"Rule for the action: {drift['rule']}. The intervals are from a bootstrap over images."
