"""Evaluation of predictions on the ratings of a project."""

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
    """Benchmark ratings and bootstrap settings, shared by all predictions that are compared.

    Attributes:
        expert: expert ratings, by `kadr.metrics.expert_ratings`.
        crowd: crowd ratings, by `kadr.metrics.crowd_ratings`.
        params: number of resamples and confidence level.
        seed: random seed of the bootstrap.
    """

    expert: pd.DataFrame
    crowd: pd.DataFrame
    params: EvaluateParams
    seed: int

    @classmethod
    def read(cls, params: EvaluateParams, seed: int) -> "Evaluator":
        """Read the project's ratings and select the benchmark ratings."""
        queries = read_table(PROJECT.queries, QUERIES).to_pandas()
        ratings = read_table(PROJECT.ratings, RATINGS).to_pandas()
        return cls(expert_ratings(ratings, queries), crowd_ratings(ratings), params, seed)

    def evaluate(self, predictions: pd.DataFrame, names: Sequence[str] = RANKING_METRICS + ERROR_METRICS) -> Estimates:
        """Compute metrics of predictions.

        Args:
            predictions: columns image_id, query_id, relevance and score, one row per pair.
            names: metrics to compute.
        """
        return agreement_metrics(predictions, self.expert, self.crowd, self.params, self.seed, names=names)


def read_predictions(folder: Path, name: str) -> pd.DataFrame:
    """Read the out-of-fold predictions of a model or baseline."""
    predictions: pd.DataFrame = read_table(folder / f"{name}.parquet", PREDICTIONS).to_pandas()
    return predictions


def common_pairs(predictions: pd.DataFrame, champion: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the model's and the champion's predictions for the pairs that both scored.

    Args:
        predictions: the model's predictions, with the current relevance of each pair.
        champion: predictions folder of the champion.

    Returns:
        Two tables with the same pairs and relevance; `score` is the model's and the champion's.
    """
    champion_score = read_predictions(champion, "model")[[*PAIR, "score"]]
    both = predictions.merge(champion_score, on=PAIR, suffixes=("", "_champion"))
    return both, both.assign(score=both["score_champion"])
