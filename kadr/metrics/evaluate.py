"""One model's figures with their intervals, by the protocol of docs/quality.md."""

from collections.abc import Callable, Mapping

import pandas as pd

from kadr.embeddings import Rows
from kadr.metrics.agreement import Values, agreement
from kadr.metrics.bootstrap import Interval, bootstrap
from kadr.metrics.retrieval import Ranks, retrieval
from kadr.params import EvaluateParams

Figure = Callable[[Values, Values], float | None]
Figures = dict[str, Interval | None]


def agreement_figures(
    predictions: pd.DataFrame, expert: pd.DataFrame, crowd: pd.DataFrame, params: EvaluateParams, seed: int
) -> Figures:
    """Agreement of out-of-fold scores with people, bootstrapped by photo.

    Args:
        predictions: columns image_id, query_id, relevance, score; one row a pair.
        expert: expert ratings by kadr.metrics.expert_pairs; tau_c is taken on them.
        crowd: crowd ratings by kadr.metrics.crowd_pairs; tau_b is taken on them.
        params: number of resamples and the confidence.
        seed: of the resamples.

    Returns:
        tau_c, tau_b, and over all pairs against the aggregated relevance spearman, rmse, r2, auc;
        None where the data has no such ratings.
    """
    pairs = ["image_id", "query_id"]
    score = predictions[[*pairs, "score"]]
    samples = {
        "tau_c": expert.merge(score, on=pairs).rename(columns={"rating": "people"}),
        "tau_b": crowd.merge(score, on=pairs).rename(columns={"rating": "people"}),
    }
    aggregated = predictions.rename(columns={"relevance": "people"})
    figures: Figures = {}
    for name, figure in agreement.items():
        sample = samples.get(name, aggregated)
        statistic = _of_rows(figure, sample["people"].to_numpy(dtype=float), sample["score"].to_numpy(dtype=float))
        figures[name] = bootstrap(statistic, sample["image_id"].tolist(), params.n_bootstrap, params.confidence, seed)
    return figures


def _of_rows(figure: Figure, people: Values, score: Values) -> Callable[[Rows], float | None]:
    return lambda rows: figure(people[rows], score[rows])


def retrieval_figures(rank: Ranks, image_ids: list[str], params: EvaluateParams, seed: int) -> Figures:
    """recall_at_k and mrr of queries' own photos at ranks `rank`, bootstrapped by those photos (`image_ids`)."""

    def interval(figure: Callable[[Ranks], float | None]) -> Interval | None:
        return bootstrap(lambda rows: figure(rank[rows]), image_ids, params.n_bootstrap, params.confidence, seed)

    return {name: interval(figure) for name, figure in retrieval.items()}


def ceiling(expert: pd.DataFrame, params: EvaluateParams, seed: int) -> Figures:
    """tau_c of the experts' own mean: what a score that knew it would reach on the ratings behind it."""
    mean = expert.groupby(["image_id", "query_id"])["rating"].transform("mean")
    statistic = _of_rows(agreement["tau_c"], expert["rating"].to_numpy(dtype=float), mean.to_numpy(dtype=float))
    return {"tau_c": bootstrap(statistic, expert["image_id"].tolist(), params.n_bootstrap, params.confidence, seed)}


def as_json(figures: Mapping[str, Interval | None]) -> dict[str, dict[str, float] | None]:
    """Figures as `{value, low, high}` rounded to six digits, null where there is none."""
    return {
        name: None if figure is None else {key: round(value, 6) for key, value in vars(figure).items()}
        for name, figure in figures.items()
    }


def no_figures() -> Figures:
    """Every figure's name with None, for what a baseline or a data set cannot have."""
    return dict.fromkeys([*agreement, *retrieval])


def rank_order_only(figures: Figures) -> Figures:
    """Figures of a score that is no relevance, such as a cosine: its errors say nothing."""
    return figures | {"rmse": None, "r2": None}


def errors_only(figures: Figures) -> Figures:
    """Figures of a score that is constant within a fold: its rank correlations would compare folds, not pairs."""
    return figures | dict.fromkeys(["tau_c", "tau_b", "spearman", "auc"])
