"""Measure the agreement among experts, the agreement between experts and crowd, and the noise of each rater."""

import numpy as np
import pandas as pd

from kadr.aggregate.graded_response_model import GradedResponseModel
from kadr.aggregate.response_patterns import Matrix, Stratum, Values, nearest_level
from kadr.io.schemas import PAIR, scale_to_unit

MAX_RATERS = 50


def measure_agreement(ratings: pd.DataFrame, model: GradedResponseModel) -> dict[str, object]:
    """Measure the agreement of raters and the noise of their ratings.

    Args:
        ratings: table with the RATINGS schema.
        model: graded response model, fitted to the ratings.

    Returns:
        A dictionary with the following keys. Undefined values are None.

        krippendorff_alpha: ordinal alpha of the expert ratings (Krippendorff 2004).
        icc: intraclass correlation of single expert ratings, one-way random effects (Shrout and Fleiss 1979).
        icc_mean: intraclass correlation of the mean expert rating of a pair.
        crowd_correlation: intraclass correlation between votes on the same pair, given its relevance.
        sd: expected standard deviation of the relevance before any rating, after one expert rating, and after the
            median number of votes.
        crowd_by_expert: number of pairs for each mean expert rating, rounded to a level, and each crowd majority.
        raters: number of ratings, leniency, lapse rate and noise of the MAX_RATERS noisiest known raters.
    """
    counts = _level_counts(ratings, model)
    rated_repeatedly = counts[counts.sum(axis=1) > 1]
    return {
        "krippendorff_alpha": _krippendorff_alpha(rated_repeatedly, model.levels),
        **_intraclass_correlation(rated_repeatedly, model.levels),
        "crowd_correlation": model.crowd_curve.correlation if (ratings["source"] == "crowd").any() else None,
        "sd": _expected_sds(ratings, model),
        "crowd_by_expert": _crowd_by_expert(ratings, model.levels),
        "raters": _describe_raters(model),
    }


def _level_counts(ratings: pd.DataFrame, model: GradedResponseModel) -> Matrix:
    """Count how many experts chose each level for each pair: (n_pairs, n_levels)."""
    patterns, n_levels = model.find_patterns(ratings), len(model.levels)
    sum_over_raters = np.tile(np.eye(n_levels), (patterns.rating_counts.shape[1] // n_levels, 1))
    return np.asarray(patterns.rating_counts @ sum_over_raters)[patterns.pattern_of_pair]


def _krippendorff_alpha(counts: Matrix, levels: Values) -> float | None:
    import krippendorff

    if (counts.sum(axis=0) > 0).sum() < 2:
        return None
    return float(krippendorff.alpha(value_counts=counts, value_domain=levels, level_of_measurement="ordinal"))


def _intraclass_correlation(counts: Matrix, levels: Values) -> dict[str, float | None]:
    n_ratings, n_pairs = counts.sum(axis=1), len(counts)
    if n_pairs < 2 or (counts.sum(axis=0) > 0).sum() < 2:
        return {"icc": None, "icc_mean": None}
    mean = counts @ levels / n_ratings
    within = float((counts @ levels**2 - n_ratings * mean**2).sum() / (n_ratings - 1).sum())
    grand_mean = float(n_ratings @ mean / n_ratings.sum())
    between = float(n_ratings @ (mean - grand_mean) ** 2 / (n_pairs - 1))
    ratings_per_pair = float((n_ratings.sum() - (n_ratings**2).sum() / n_ratings.sum()) / (n_pairs - 1))
    return {
        "icc": (between - within) / (between + (ratings_per_pair - 1) * within),
        "icc_mean": (between - within) / between if between > 0 else None,
    }


def _expected_sds(ratings: pd.DataFrame, model: GradedResponseModel) -> dict[str, float]:
    """Return the expected standard deviation of the relevance, before any rating and after new ratings.

    Returns:
        A dictionary with the keys `before`, `after_one_expert` and `after_N_votes`, where N is the median number of
        votes per pair.
    """
    crowd = ratings[ratings["source"] == "crowd"]
    has_crowd, has_expert = len(crowd) > 0, len(crowd) < len(ratings)
    rating_stratum = Stratum.EXPERTS if has_expert else Stratum.CROWD
    prior = model.prior[Stratum.BOTH if has_crowd and has_expert else rating_stratum]
    relevance = model.grid_relevance
    expected = {"before": _expected_sd(prior[:, None], relevance)}
    if has_expert:
        expected["after_one_expert"] = _expected_sd(prior[:, None] * model.rating_probabilities[0].T, relevance)
    if has_crowd:
        patterns = model.find_patterns(crowd)
        n_votes = round(float(np.median(patterns.votes[patterns.votes_row][patterns.pattern_of_pair, 1])))
        outcomes = np.column_stack([np.arange(n_votes + 1.0), np.full(n_votes + 1, n_votes)])
        probability = _binomial_coefficients(n_votes)[:, None] * np.exp(model.crowd_curve.log_likelihood(outcomes))
        expected[f"after_{n_votes}_votes"] = _expected_sd(prior[:, None] * probability.T, relevance)
    return expected


def _binomial_coefficients(n: int) -> Values:
    from scipy.special import comb

    return np.asarray(comb(n, np.arange(n + 1)))


def _expected_sd(joint: Matrix, relevance: Values) -> float:
    """Return the square root of the expected posterior variance of the relevance.

    Args:
        joint: (N_GRID, n_outcomes) joint probability of each grid point and each rating outcome.
        relevance: (N_GRID,) relevance at each grid point.
    """
    total = joint.sum(axis=0)
    mean = relevance @ joint / total
    return float(np.sqrt(max((relevance**2 @ joint - total * mean**2).sum() / total.sum(), 0.0)))


def _crowd_by_expert(ratings: pd.DataFrame, levels: Values) -> dict[str, dict[str, int]]:
    """Count the pairs with both expert ratings and votes, by mean expert rating (nearest level) and majority vote."""
    weighted = ratings[[*PAIR, "source", "votes"]].assign(unit=scale_to_unit(ratings) * ratings["votes"])
    sums = weighted.groupby([*PAIR, "source"], observed=True)[["unit", "votes"]].sum()
    mean = (sums["unit"] / sums["votes"]).unstack("source").dropna()
    if not {"expert", "crowd"} <= set(mean.columns) or mean.empty:
        return {}
    majority = np.sign(mean["crowd"].round(6) - 0.5).map({-1.0: "no", 0.0: "split", 1.0: "yes"})
    level_names = [f"{level:.2f}" for level in levels[nearest_level(levels, mean["expert"])]]
    table = pd.crosstab(np.array(level_names), majority.to_numpy())
    table = table.reindex(columns=["no", "split", "yes"], fill_value=0)
    return {str(level): {str(vote): int(n) for vote, n in row.items()} for level, row in table.iterrows()}


def _describe_raters(model: GradedResponseModel) -> dict[str, dict[str, float]]:
    """Describe the MAX_RATERS noisiest known raters, in descending order of noise. Ratings are scaled to 0..1.

    Returns:
        A dictionary of values for each rater ID. `n_ratings` is the number of ratings. `leniency` is the mean
        difference between the rating and the relevance, without lapses. `lapses` is the lapse rate. `noise` is the root
        mean squared difference between the rating and the relevance.
    """
    curves, probabilities, relevance = model.rater_curves, model.rater_curves.probabilities(), model.grid_relevance
    weight = model.prior[[Stratum.EXPERTS, Stratum.BOTH]].mean(axis=0)
    raters = {}
    for number, name in enumerate(model.raters, start=1):
        attentive = -np.diff(curves.cumulative_probabilities(curves.leniency[number : number + 1]), axis=1)[0]
        squared_error = (model.levels[:, None] - relevance) ** 2 * probabilities[number]
        raters[name] = {
            "n_ratings": int(model.n_ratings[number]),
            "leniency": float(weight @ (model.levels @ attentive - relevance)),
            "lapses": float(1 / (1 + np.exp(-curves.lapse[number]))),
            "noise": float(np.sqrt(weight @ squared_error.sum(axis=0))),
        }
    noisiest = sorted(raters, key=lambda name: (-raters[name]["noise"], name))[:MAX_RATERS]
    return {name: raters[name] for name in noisiest}
