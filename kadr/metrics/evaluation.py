"""One model's figures with their intervals, by the protocol of docs/quality.md."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from kadr.io.embeddings import Rows
from kadr.metrics.agreement import Values, agreement
from kadr.metrics.benchmark_pairs import leave_one_out
from kadr.metrics.bootstrap import Interval, bootstrap
from kadr.metrics.retrieval import Ranks, ndcg_by_text, retrieval
from kadr.params import EvaluateParams

Figure = Callable[[Values, Values], float | None]
Figures = dict[str, Interval | None]

NDCG, NDCG_PLACES = "ndcg_at_10", 10
RANKING = ("tau_c", "tau_b", "spearman", "auc", "average_precision", NDCG)  # say how well pairs are ordered
ERRORS = ("rmse", "r2", "ece")  # say how far scores are from the relevance


def agreement_figures(
    predictions: pd.DataFrame,
    expert: pd.DataFrame,
    crowd: pd.DataFrame,
    params: EvaluateParams,
    seed: int,
    *,
    names: Sequence[str] = RANKING + ERRORS,
) -> Figures:
    """Agreement of out-of-fold scores with people, bootstrapped by photo.

    Args:
        predictions: columns image_id, query_id, relevance, score; one row a pair.
        expert: expert ratings by kadr.metrics.expert_pairs; tau_c is taken on them.
        crowd: crowd ratings by kadr.metrics.crowd_pairs; tau_b is taken on them.
        params: number of resamples and the confidence.
        seed: of the resamples.
        names: the figures that mean something for this score: a cosine is no relevance and has RANKING alone, a score
            that is constant within a fold has ERRORS alone, as its ranking would compare folds.

    Returns:
        tau_c, tau_b, and over all pairs against the aggregated relevance spearman, rmse, r2, auc, average_precision,
        ece, and ndcg_at_10 over each text's rated photos, bootstrapped by text;
        None where the data has no such ratings.
    """
    pairs = ["image_id", "query_id"]
    predictions = predictions.sort_values(pairs)
    score = predictions[[*pairs, "score"]]
    samples = {
        "tau_c": expert.merge(score, on=pairs).rename(columns={"rating": "people"}),
        "tau_b": crowd.merge(score, on=pairs).rename(columns={"rating": "people"}),
    }
    aggregated = predictions.rename(columns={"relevance": "people"})
    figures: Figures = {}
    for name in names:
        if name == NDCG:
            figures[name] = _mean(ndcg_by_text(predictions, NDCG_PLACES), params, seed)
        else:
            figures[name] = _by_photo(agreement[name], samples.get(name, aggregated), params, seed)
    return figures


def _by_photo(figure: Figure, sample: pd.DataFrame, params: EvaluateParams, seed: int) -> Interval | None:
    """A figure of the columns people and score."""
    said, given = sample["people"].to_numpy(dtype=float), sample["score"].to_numpy(dtype=float)

    def statistic(rows: Rows) -> float | None:
        return figure(said[rows], given[rows])

    return bootstrap(statistic, sample["image_id"].tolist(), params.n_bootstrap, params.confidence, seed)


def _mean(by_text: "pd.Series[float]", params: EvaluateParams, seed: int) -> Interval | None:
    """The mean over texts, which are resampled each by itself."""
    values = by_text.to_numpy(dtype=float)
    if not len(values):
        return None
    return bootstrap(
        lambda rows: float(values[rows].mean()), by_text.index.tolist(), params.n_bootstrap, params.confidence, seed
    )


def retrieval_figures(rank: Ranks, image_ids: list[str], params: EvaluateParams, seed: int) -> Figures:
    """recall_at_k and mrr of queries' own photos at ranks `rank`, bootstrapped by those photos (`image_ids`)."""

    def interval(figure: Callable[[Ranks], float | None]) -> Interval | None:
        return bootstrap(lambda rows: figure(rank[rows]), image_ids, params.n_bootstrap, params.confidence, seed)

    return {name: interval(figure) for name, figure in retrieval.items()}


def ceiling(expert: pd.DataFrame, params: EvaluateParams, seed: int) -> Figures:
    """tau_c of the experts' own mean: what a score that knew it would reach on the ratings behind it."""
    mean = expert.groupby(["image_id", "query_id"])["rating"].transform("mean")
    sample = expert.rename(columns={"rating": "people"}).assign(score=mean)
    return {"tau_c": _by_photo(agreement["tau_c"], sample, params, seed)}


def human_agreement(predictions: pd.DataFrame, expert: pd.DataFrame, params: EvaluateParams, seed: int) -> Figures:
    """How well one expert's rating is foretold by the others, and how near the model comes to that.

    Every expert rating of a pair with two or more is compared once with the mean of the pair's other ratings and once
    with the score.

    Args:
        predictions: columns image_id, query_id, score; one row a pair.
        expert: expert ratings by kadr.metrics.expert_pairs.
        params: number of resamples and the confidence.
        seed: of the resamples.

    Returns:
        tau_c of the other experts; model, its tau_c on the same ratings; share, the second in percent of the first.
        None where no pair has two expert ratings.
    """
    sample = leave_one_out(expert).rename(columns={"rating": "people"})
    scored = sample.merge(predictions[["image_id", "query_id", "score"]], on=["image_id", "query_id"])
    others = _by_photo(agreement["tau_c"], scored.assign(score=scored["others"]), params, seed)
    model = _by_photo(agreement["tau_c"], scored, params, seed)
    return {"tau_c": others, "model": model, "share": model.percent_of(others) if model and others else None}


def differences(ours: Figures, theirs: Figures) -> dict[str, Interval]:
    """`ours` less `theirs` by the paired bootstrap, for every figure that both have. Both are of the same rows."""
    return {name: figure - other for name, figure in ours.items() if figure and (other := theirs.get(name))}


def as_json(figures: Mapping[str, Interval | None]) -> dict[str, dict[str, float] | None]:
    """Figures as `{value, low, high}` rounded to six digits, null where there is none."""
    return {
        name: None if figure is None else {key: round(getattr(figure, key), 6) for key in ("value", "low", "high")}
        for name, figure in figures.items()
    }


def no_figures() -> Figures:
    """Every figure's name with None, for what a baseline or a data set cannot have."""
    return dict.fromkeys([*RANKING, *ERRORS, *retrieval])
