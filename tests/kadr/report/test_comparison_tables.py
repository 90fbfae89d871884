"""Tests for the comparison tables of baselines, reranking, ablations and kinds of pairs."""

import pandas as pd
import pytest

from kadr.report.comparison_tables import (
    compare_ablations,
    compare_pair_kinds,
    compare_reranking,
    compare_with_baselines,
)
from kadr.report.metric_rows import MetricCell
from tests.kadr.report.literal_tables import EVALUATE, PREDICTIONS, RELEVANCE


def test_differences_from_the_baselines_are_significant_without_0_in_the_interval() -> None:
    table = compare_with_baselines(EVALUATE)
    assert table.columns == ["model − cosine", "model − concatenation"]
    assert [(row.name, row.cells) for row in table.rows] == [
        ("tau-c", [MetricCell("+2.1", "+1.0 to +3.0", significant=True), None])
    ]
    assert compare_with_baselines({}).rows == []


@pytest.mark.parametrize(
    ("recall", "mrr", "conclusion"),
    [
        (
            (0.1, 0.2),
            (-0.1, 0.1),
            "Reranking significantly improves recall@1 and makes no metric significantly worse. Turn reranking on.",
        ),
        ((0.1, 0.2), (-0.2, -0.1), "Reranking makes MRR significantly worse. Turn reranking off."),
        ((-0.1, 0.2), (-0.1, 0.1), "Reranking does not significantly change any metric. Turn reranking off"),
    ],
)
def test_reranking_is_recommended_only_if_it_improves_a_metric_and_harms_none(
    recall: tuple[float, float], mrr: tuple[float, float], conclusion: str
) -> None:
    differences = {
        key: {"value": (low + high) / 2, "low": low, "high": high}
        for key, (low, high) in {"recall_at_1": recall, "mrr": mrr}.items()
    }
    table = compare_reranking({"reordering": differences | {"ndcg_at_10": None}}, 0)
    assert [row.name for row in table.rows] == ["recall@1", "MRR"]
    assert table.conclusion.startswith(conclusion)
    assert table.conclusion.endswith("index.rerank is 0 (off).")
    assert compare_reranking({}, 100).rows == []


def test_ablations_are_compared_with_the_model() -> None:
    difference = {"tau_c": {"value": -1.0, "low": -2.5, "high": 0.5}}
    variant = {"tau_c": {"value": 47.9, "low": 46, "high": 49}, "difference": difference}
    ablate = {
        "model": {"tau_c": EVALUATE["tau_c"], "tau_b": None},
        "rows": {"blocks": {"without cosine": variant}},
    }
    table = compare_ablations(ablate)
    assert table.columns == ["tau-c", "− model"]
    assert [row.name for row in table.rows] == ["model", "without cosine"]
    assert table.rows[1].cells == [
        MetricCell("47.9", "46.0 to 49.0"),
        MetricCell("-1.0", "-2.5 to +0.5", significant=False),
    ]
    assert compare_ablations({"model": ablate["model"], "rows": {}}).rows == []


def test_errors_are_computed_for_each_kind_of_pair() -> None:
    queries = pd.DataFrame(
        {"query_id": ["1", "2"], "text": ["A dog", "No two cats on 3 mats of the hall"], "image_id": "a"}
    )
    relevance = RELEVANCE.assign(n_expert=[2, 0, 0, 1], spread=[0.3, None, 0.0, 0.15])
    table = compare_pair_kinds(PREDICTIONS, relevance, queries)
    cells = {row.name: [cell and cell.value for cell in row.cells] for row in table.rows}
    assert {name: values[0] for name, values in cells.items()} == {
        "up to 7 words": "3",
        "8 to 12 words": "1",
        "with a number": "1",
        "with a negation": "1",
        "own caption": "2",
        "rated by experts": "2",
        "rated only by the crowd": "2",
        "raters agree": "1",
        "raters differ": "1",
        "raters disagree strongly": "1",
    }
    assert cells["up to 7 words"][1:] == ["0.600", "0.400", "0.424", "0.500"]
    assert cells["with a negation"][1:] == ["0.900", "0.800", "0.100", None]
