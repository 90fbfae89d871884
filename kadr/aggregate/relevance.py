"""Aggregate a ratings table into training labels: a relevance score and a training weight for each pair."""

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kadr.aggregate.aggregator import Aggregator
from kadr.aggregate.crowd_calibration import calibrate_crowd
from kadr.aggregate.graded_response_model import GradedResponseModel
from kadr.aggregate.mean import Mean
from kadr.aggregate.registry import AGGREGATORS, methods_without_raters
from kadr.aggregate.response_patterns import MAX_LEVELS
from kadr.errors import InputError
from kadr.io.schemas import PAIR, RELEVANCE, scale_to_unit
from kadr.params import AggregateParams

logger = logging.getLogger(__name__)

_EPSILON = 1e-6  # keeps weights positive if all pairs have the same relevance


@dataclass(frozen=True)
class Aggregation:
    """Result of aggregating a ratings table.

    Attributes:
        relevance: table with the RELEVANCE schema, sorted by image_id and query_id.
        model: fitted graded response model, or None if the aggregation method does not fit one.
    """

    relevance: pd.DataFrame
    model: GradedResponseModel | None


def aggregate_ratings(ratings: pd.DataFrame, params: AggregateParams) -> Aggregation:
    """Compute the relevance score and the training weight of each pair from its ratings.

    Args:
        ratings: table with the RATINGS schema.
        params: aggregation method and crowd weight. With a crowd weight of 0, crowd ratings are ignored.

    Raises:
        ParamsError: `aggregate.expert` is not a registered method.
        InputError: there are no ratings to aggregate, or the method requires rater IDs and some are missing.
    """
    aggregator = AGGREGATORS.load(params.expert)()
    ratings = add_unit_rating(select_ratings(ratings, params.crowd_weight))
    check_raters(ratings, aggregator, params.expert)
    _log_rounding(ratings[ratings["source"] == "expert"])
    pairs = describe_pairs(ratings)
    if aggregator.uses_crowd:
        pairs = add_joint_relevance(pairs, ratings, aggregator, params.crowd_weight)
    else:
        pairs = add_relevance_by_source(pairs, ratings, aggregator, params.crowd_weight)
    return Aggregation(to_relevance_table(pairs), aggregator.model_)


def _log_rounding(expert: pd.DataFrame) -> None:
    """Log that some methods round the ratings if there are too many different ratings."""
    if (n_values := expert["unit_rating"].nunique()) > MAX_LEVELS:
        logger.info(
            "The expert ratings have %d different values. All methods except mean and median round them to multiples "
            "of 0.1 of the scale.", n_values,
        )  # fmt: skip


def select_ratings(ratings: pd.DataFrame, crowd_weight: float) -> pd.DataFrame:
    """Drop the crowd's ratings if the crowd weight is 0. Raise InputError if no ratings remain."""
    if crowd_weight == 0:
        ratings = ratings[ratings["source"] != "crowd"]
        if ratings.empty:
            raise InputError(
                "The ratings table has no expert ratings, and aggregate.crowd_weight is 0. Add expert ratings to "
                "ingest.source, or set aggregate.crowd_weight above 0."
            )
    if ratings.empty:
        raise InputError("The ratings table is empty. Add ratings to ingest.source.")
    return ratings


def add_unit_rating(ratings: pd.DataFrame) -> pd.DataFrame:
    """Add the column unit_rating (rating scaled to 0..1), and make the ID columns categorical to speed up grouping."""
    return ratings.assign(unit_rating=scale_to_unit(ratings)).astype(dict.fromkeys(PAIR, "category"))


def check_raters(ratings: pd.DataFrame, aggregator: Aggregator, method: str) -> None:
    """Raise InputError if the method requires rater IDs and an expert rating has none."""
    expert = ratings[ratings["source"] == "expert"]
    n_missing = int(expert["rater"].isna().sum()) if aggregator.needs_raters else 0
    if n_missing:
        raise InputError(
            f"{n_missing:,} of {len(expert):,} expert ratings have no rater ID, but the method {method} requires a "
            "rater ID for every rating. (The ingest stage drops the rater IDs if the rating columns are sorted in each "
            "row.) Add the rater IDs, or set aggregate.expert to a method that does not require them: "
            f"{', '.join(methods_without_raters())}."
        )


def describe_pairs(ratings: pd.DataFrame) -> pd.DataFrame:
    """Count the ratings of each pair and measure their spread.

    Returns:
        One row per pair, with columns image_id, query_id, n_expert (number of expert ratings), n_crowd (number of
        votes) and spread (standard deviation of the ratings, scaled to 0..1; NaN for a single rating).
    """
    is_expert = ratings["source"] == "expert"
    counted = ratings.assign(n_expert=is_expert.astype("int32"), n_crowd=ratings["votes"].mask(is_expert, 0))
    by_pair = counted.groupby(PAIR)
    spread = by_pair["unit_rating"].std(ddof=0).where(by_pair.size() > 1)
    return by_pair[["n_expert", "n_crowd"]].sum().assign(spread=spread).reset_index()


def add_joint_relevance(
    pairs: pd.DataFrame, ratings: pd.DataFrame, aggregator: Aggregator, crowd_weight: float
) -> pd.DataFrame:
    """Add the columns relevance, sd and weight, using a method that aggregates expert and crowd ratings together.

    The weight of a pair is the reliability of its relevance, v / (v + sd^2), where v is the variance of the relevance
    over all pairs. The weight of pairs without expert ratings is multiplied by `crowd_weight`.
    """
    pairs = pairs.merge(aggregator.fit_predict(ratings), on=PAIR)
    if "sd" not in pairs:
        pairs = pairs.assign(sd=np.nan)
    between, within = float(pairs["relevance"].var(ddof=0)), pairs["sd"].fillna(0.0) ** 2
    reliability = (between + _EPSILON) / (between + within + _EPSILON)
    return pairs.assign(weight=reliability.where(pairs["n_expert"] > 0, crowd_weight * reliability))


def add_relevance_by_source(
    pairs: pd.DataFrame, ratings: pd.DataFrame, aggregator: Aggregator, crowd_weight: float
) -> pd.DataFrame:
    """Add the columns relevance, sd and weight, using a method that aggregates expert ratings only.

    The crowd's share of yes votes is calibrated to the expert scale. The relevance is the weighted mean of the
    aggregated expert rating (weight 1) and the calibrated share (weight `crowd_weight`). The weight of a pair is the
    sum of the weights of its available values, and its sd is NaN.
    """
    is_expert = ratings["source"] == "expert"
    expert = aggregator.fit_predict(ratings[is_expert]).rename(columns={"relevance": "expert"})
    crowd = Mean().fit_predict(ratings[~is_expert]).rename(columns={"relevance": "crowd"})
    pairs = pairs.merge(expert, on=PAIR, how="left").merge(crowd, on=PAIR, how="left")
    calibrated = calibrate_crowd(*(pairs[name].to_numpy(dtype=float) for name in ("crowd", "n_crowd", "expert")))
    weights = pd.DataFrame({"expert": pairs["expert"].notna() * 1.0, "crowd": pairs["crowd"].notna() * crowd_weight})
    weight = weights["expert"] + weights["crowd"]
    total = pairs["expert"].fillna(0.0) * weights["expert"]
    total += pd.Series(calibrated, pairs.index).fillna(0.0) * weights["crowd"]
    return pairs.assign(relevance=(total / weight).clip(0.0, 1.0), weight=weight, sd=np.nan)


def to_relevance_table(pairs: pd.DataFrame) -> pd.DataFrame:
    """Convert the pairs to a table with the RELEVANCE schema, sorted by image_id and query_id."""
    columns: list[str] = RELEVANCE.names
    return pairs[columns].astype(dict.fromkeys(PAIR, "str")).sort_values(PAIR, ignore_index=True)


def summarise_relevance(relevance: pd.DataFrame) -> dict[str, object]:
    """Return the pair counts, means and relevance histogram for metrics/aggregate.json."""
    counts, _ = np.histogram(relevance["relevance"], bins=10, range=(0.0, 1.0))
    spread, sd = relevance["spread"].mean(), relevance["sd"].mean()
    return {
        "n_pairs": len(relevance),
        "n_expert_pairs": int((relevance["n_expert"] > 0).sum()),
        "n_crowd_pairs": int((relevance["n_crowd"] > 0).sum()),
        "relevance_mean": float(relevance["relevance"].mean()),
        "relevance_histogram": counts.tolist(),
        "spread_mean": None if np.isnan(spread) else float(spread),
        "sd_mean": None if np.isnan(sd) else float(sd),
    }
