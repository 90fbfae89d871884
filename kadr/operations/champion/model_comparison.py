"""Compare the challenger and the champion on the same pairs, with a paired bootstrap."""

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

from kadr.io.schemas import PAIR, read_table
from kadr.metrics import Interval, gates
from kadr.metrics.evaluation import ERROR_METRICS, RANKING_METRICS, Estimates, as_json, differences
from kadr.metrics.evaluator import Evaluator, common_pairs, read_predictions
from kadr.operations.champion.champion_versions import REFERENCE_TABLES
from kadr.params import EvaluateParams
from kadr.project import PROJECT


def compare_with_champion(version: Path, params: EvaluateParams, seed: int) -> dict[str, Any]:
    """Evaluate the challenger and the champion on the pairs that both models predicted out of fold.

    Both models are evaluated with the current ratings.

    Args:
        version: folder of the champion version.
        params: settings of the `evaluate` stage. `gates.figures` lists the metrics to compare.
        seed: random seed of the bootstrap.

    Returns:
        compared_pairs: number of compared pairs (`n`), number of challenger pairs that the champion did not predict
            (`n_excluded`), and checksum of the compared pairs and their relevance (`sha256`).
        metrics: value of each metric for both models, with the difference and its confidence interval.
        rejected: reason why the challenger is rejected, empty if the challenger passes.
        accepted: reason why the challenger is accepted.
    """
    evaluator, predictions = Evaluator.read(params, seed), read_predictions(PROJECT.predictions, "model")
    names = [name for name in params.gates.figures if name in RANKING_METRICS + ERROR_METRICS]
    both = common_pairs(select_same_content(predictions, version), version / PROJECT.predictions.name)
    challenger, champion = (evaluator.evaluate(table, names) for table in both)
    by_metric = differences(challenger, champion)
    rows = [_metric_row(name, challenger, champion, difference) for name, difference in by_metric.items()]
    regressions = list(gates.find_regressions(challenger, f"champion {version.name}", champion, list(by_metric)))
    if not by_metric:
        regressions = [f"too few pairs for a comparison: {len(both[0]):,} pairs have predictions from {version.name}"]
    summary = ", ".join(
        f"{row['metric']} {row['difference']:+.3g} ({row['low']:+.3g} to {row['high']:+.3g})" for row in rows
    )
    return {
        "compared_pairs": {
            "n": len(both[0]),
            "n_excluded": len(predictions) - len(both[0]),
            "sha256": _pairs_sha256(both[0]),
        },
        "metrics": rows,
        "rejected": "; ".join(regressions),
        "accepted": f"not significantly worse than champion {version.name}: {summary}",
    }


def select_same_content(predictions: pd.DataFrame, version: Path) -> pd.DataFrame:
    """Return the predictions of pairs whose image and text have the same ID and content in a champion version.

    Different snapshots can use the same ID for different images or texts.

    Args:
        predictions: one row per pair, with the columns image_id and query_id.
        version: folder of the champion version.
    """
    for table, id_column, content in (("images", "image_id", "sha256"), ("queries", "query_id", "text")):
        path, schema = REFERENCE_TABLES[table]
        current = read_table(path, schema).to_pandas()[[id_column, content]].dropna()
        reference = read_table(version / "tables" / path.name, schema).to_pandas()[[id_column, content]]
        same = current.merge(reference)[id_column]
        predictions = predictions[predictions[id_column].isin(same)]
    return predictions


def _pairs_sha256(pairs: pd.DataFrame) -> str:
    content = pairs[[*PAIR, "relevance"]].to_csv(index=False)
    return hashlib.sha256(content.encode()).hexdigest()


def _metric_row(name: str, challenger: Estimates, champion: Estimates, difference: Interval) -> dict[str, object]:
    """Return the value of a metric for each model, with the confidence interval of their difference."""
    estimates = {"challenger": as_json(challenger)[name], "champion": as_json(champion)[name]}
    values = {model: estimate and estimate["value"] for model, estimate in estimates.items()}
    return {"metric": name, **values, "difference": difference.value, "low": difference.low, "high": difference.high}
