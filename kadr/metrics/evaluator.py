"""Evaluate predictions on the ratings of a project."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kadr.io.schemas import PAIR, PREDICTIONS, QUERIES, RATINGS, read_table
from kadr.metrics.benchmark_pairs import crowd_pairs, expert_pairs
from kadr.metrics.evaluation import ERRORS, RANKING, Figures, agreement_figures
from kadr.params import Params
from kadr.project import PROJECT


@dataclass(frozen=True)
class Judge:
    """The ratings that scores are judged on."""

    expert: pd.DataFrame
    crowd: pd.DataFrame
    params: Params

    @classmethod
    def read(cls, params: Params) -> "Judge":
        """Read the ratings, and choose those of the public protocol."""
        queries = read_table(PROJECT.queries, QUERIES).to_pandas()
        ratings = read_table(PROJECT.ratings, RATINGS).to_pandas()
        return cls(expert_pairs(ratings, queries), crowd_pairs(ratings), params)

    def figures(self, predictions: pd.DataFrame, names: Sequence[str] = RANKING + ERRORS) -> Figures:
        """The figures `names` of these predictions."""
        evaluate, seed = self.params.evaluate, self.params.seed
        return agreement_figures(predictions, self.expert, self.crowd, evaluate, seed, names=names)


def read_predictions(folder: Path, name: str) -> pd.DataFrame:
    """One model's out-of-fold predictions."""
    predictions: pd.DataFrame = read_table(folder / f"{name}.parquet", PREDICTIONS).to_pandas()
    return predictions


def pairs_of_both(ours: pd.DataFrame, champion: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The model's and the champion's predictions of the pairs that both have, against today's relevance."""
    theirs = read_predictions(champion, "model")
    both = ours.merge(theirs[[*PAIR, "score"]], on=PAIR, suffixes=("", "_champion"))
    return both, both.assign(score=both["score_champion"])
