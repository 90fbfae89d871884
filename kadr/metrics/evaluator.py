"""Evaluate predictions against the ratings of the current project."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kadr.io.schemas import PAIR, PREDICTIONS, QUERIES, RATINGS, read_table
from kadr.metrics.benchmark_ratings import crowd_ratings, expert_ratings
from kadr.metrics.evaluation import ERROR_METRICS, RANKING_METRICS, Estimates, agreement_metrics
from kadr.params import EvaluateParams
from kadr.project import PROJECT


@dataclass(frozen=True)
class Evaluator:
    """Compute comparable metrics for several models, using the same ratings and bootstrap settings.

    Attributes:
        expert: expert ratings, as returned by `kadr.metrics.expert_ratings`.
        crowd: crowd ratings, as returned by `kadr.metrics.crowd_ratings`.
        params: number of resamples and confidence level.
        seed: random seed of the bootstrap.
    """

    expert: pd.DataFrame
    crowd: pd.DataFrame
    params: EvaluateParams
    seed: int

    @classmethod
    def read(cls, params: EvaluateParams, seed: int) -> "Evaluator":
        """Read the project's ratings and select the ratings for the evaluation."""
        queries = read_table(PROJECT.queries, QUERIES).to_pandas()
        ratings = read_table(PROJECT.ratings, RATINGS).to_pandas()
        return cls(expert_ratings(ratings, queries), crowd_ratings(ratings), params, seed)

    def evaluate(self, predictions: pd.DataFrame, names: Sequence[str] = RANKING_METRICS + ERROR_METRICS) -> Estimates:
        """Compute metrics for a set of predictions. See `agreement_metrics`.

        Args:
            predictions: table with columns image_id, query_id, relevance and score, one row per pair.
            names: names of the metrics to compute.
        """
        return agreement_metrics(predictions, self.expert, self.crowd, self.params, self.seed, names=names)


def read_predictions(folder: Path, name: str) -> pd.DataFrame:
    """Read out-of-fold predictions from `folder`.

    Args:
        folder: predictions folder, e.g. data/predictions.
        name: `model` or the name of a baseline.
    """
    predictions: pd.DataFrame = read_table(folder / f"{name}.parquet", PREDICTIONS).to_pandas()
    return predictions


def common_pairs(predictions: pd.DataFrame, champion: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Select the pairs that both the model and the champion scored.

    Args:
        predictions: predictions of the current model, with the relevance of each pair.
        champion: folder that contains the champion's predictions.

    Returns:
        Two tables with the same pairs and the same relevance. The column `score` contains the scores of the current
        model in the first table, and the scores of the champion in the second table.
    """
    champion_score = read_predictions(champion, "model")[[*PAIR, "score"]]
    both = predictions.merge(champion_score, on=PAIR, suffixes=("", "_champion"))
    return both, both.assign(score=both["score_champion"])
