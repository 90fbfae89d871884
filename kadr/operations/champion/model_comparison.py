"""The challenger's and the champion's figures on the same pairs, by the paired bootstrap of stage evaluate."""

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

from kadr.io.schemas import PAIR, read_table
from kadr.metrics import Interval, gates
from kadr.metrics.evaluation import ERRORS, RANKING, Figures, as_json, differences
from kadr.metrics.evaluator import Judge, pairs_of_both, read_predictions
from kadr.operations.champion.champion import TABLES
from kadr.params import Params
from kadr.project import PROJECT


def judged(version: Path, params: Params) -> dict[str, Any]:
    """Both models' figures on the pairs that both foretold out of fold, by today's ratings.

    Returns:
        pairs: how many were judged, how many of the challenger's were not as the champion has none of them, and the
            sha256 of the judged ones and their relevance.
        figures: one entry for each of evaluate.gates.figures that both have.
        rejected: why the champion stays; empty where the challenger passes.
        passed: why it does.
    """
    judge, model = Judge.read(params), read_predictions(PROJECT.predictions, "model")
    names = [name for name in params.evaluate.gates.figures if name in RANKING + ERRORS]
    both = pairs_of_both(of_the_same(model, version), version / PROJECT.predictions.name)
    content = both[0][[*PAIR, "relevance"]].to_csv(index=False)
    pairs = {
        "judged": len(both[0]),
        "not_judged": len(model) - len(both[0]),
        "sha256": hashlib.sha256(content.encode()).hexdigest(),
    }
    ours, theirs = (judge.figures(table, names) for table in both)
    gaps = differences(ours, theirs)
    figures = [_row(name, ours, theirs, gap) for name, gap in gaps.items()]
    worse = list(gates.worse(ours, f"champion {version.name}", theirs, list(gaps)))
    if not gaps:
        worse = [f"champion {version.name} foretold too few of these pairs to compare: {pairs['judged']:,}"]
    said = ", ".join(
        f"{row['figure']} {row['difference']:+.3g} ({row['low']:+.3g} to {row['high']:+.3g})" for row in figures
    )
    passed = f"not worse than champion {version.name} by more than noise: {said}"
    return {"pairs": pairs, "figures": figures, "rejected": "; ".join(worse), "passed": passed}


def of_the_same(predictions: pd.DataFrame, version: Path) -> pd.DataFrame:
    """Those of photos and texts that the champion knew by the same id: in another snapshot an id may be another's."""
    for table, id_, content in (("images", "image_id", "sha256"), ("queries", "query_id", "text")):
        path, schema = TABLES[table]
        now, before = (read_table(of, schema).to_pandas() for of in (path, version / "tables" / path.name))
        same = now[[id_, content]].dropna().merge(before[[id_, content]])[id_]
        predictions = predictions[predictions[id_].isin(same)]
    return predictions


def _row(name: str, ours: Figures, theirs: Figures, gap: Interval) -> dict[str, object]:
    values = {who: as_json(of)[name] for who, of in (("challenger", ours), ("champion", theirs))}
    shown = {who: value and value["value"] for who, value in values.items()}
    return {"figure": name, **shown, "difference": gap.value, "low": gap.low, "high": gap.high}
