"""The aggregate part's relevance: experts and crowd on one scale of 0..1, joined per pair."""

import numpy as np
import pandas as pd

from kadr.aggregate.crowd_scale import to_expert_scale
from kadr.aggregate.graded_response import GradedResponse, fit
from kadr.aggregate.mean import Mean
from kadr.aggregate.registry import GRADED_RESPONSE, choose_aggregator
from kadr.aggregate.response_patterns import CROWD
from kadr.errors import InputError
from kadr.io.schemas import PAIR, RELEVANCE, on_unit
from kadr.params import AggregateParams

_EPSILON = 1e-6  # keeps the weight above 0 where no pair differs from another


def aggregate(ratings: pd.DataFrame, params: AggregateParams, model: GradedResponse | None = None) -> pd.DataFrame:
    """Make one relevance per pair.

    By graded_response both sources say one thing in their own ways: the relevance is the posterior mean, `sd` the
    posterior deviation, and the weight v / (v + sd^2), with v the variance of the relevance over the pairs;
    where the crowd alone rated, times `crowd_weight`. By any other method, the crowd's share of yes is brought to the
    experts' scale; experts weigh 1 and the crowd `crowd_weight`: a pair that both rated gets the weighted mean of the
    two and the sum of the weights. A crowd of weight 0 is left out as if it had not voted.

    Args:
        ratings: table RATINGS.
        params: section aggregate.
        model: fitted on `voting(ratings, params)`; by default it is fitted where it is wanted.

    Returns:
        Table RELEVANCE, sorted by image_id and query_id.

    Raises:
        ParamsError: where `aggregate.expert` names no method.
        InputError: where no rating is left, or the method wants raters that are unknown.
    """
    ratings = voting(ratings, params)
    pairs = _describe(_scaled(ratings))
    if params.expert == GRADED_RESPONSE:
        pairs = pairs.merge(_by_model(ratings, model or fit(ratings), params.crowd_weight), on=PAIR)
    else:
        pairs = _by_source(_scaled(ratings), pairs, params).assign(sd=np.nan)
    columns: list[str] = RELEVANCE.names
    return pairs[columns].astype({"image_id": "str", "query_id": "str"}).sort_values(PAIR, ignore_index=True)


def voting(ratings: pd.DataFrame, params: AggregateParams) -> pd.DataFrame:
    """The ratings that count. Raises InputError where there are none."""
    if params.crowd_weight == 0:
        ratings = ratings[ratings["source"] != "crowd"]
    if ratings.empty:
        whose = " by experts, and aggregate.crowd_weight is 0" if params.crowd_weight == 0 else ""
        raise InputError(f"got no ratings{whose}, wanted some; add ratings to ingest.source, or let the crowd count")
    return ratings


def _by_model(ratings: pd.DataFrame, model: GradedResponse, crowd_weight: float) -> pd.DataFrame:
    """Image_id, query_id, relevance, weight and sd by the posterior."""
    pairs = posterior_pairs(ratings, model)
    between, within = float(pairs["relevance"].var(ddof=0)), pairs["sd"] ** 2
    reliability = (between + _EPSILON) / (between + within + _EPSILON)
    return pairs.assign(weight=reliability.where(pairs.pop("by_expert"), crowd_weight * reliability))


def posterior_pairs(ratings: pd.DataFrame, model: GradedResponse) -> pd.DataFrame:
    """Image_id, query_id, relevance, sd and by_expert of every pair, sorted."""
    patterns = model.patterns(ratings)
    mean, sd = model.moments(patterns)
    by_expert = patterns.stratum != CROWD
    at = patterns.of_pair
    return patterns.pairs.assign(relevance=mean[at], sd=sd[at], by_expert=by_expert[at])


def _by_source(scaled: pd.DataFrame, pairs: pd.DataFrame, params: AggregateParams) -> pd.DataFrame:
    """The pairs with the relevance and weight of experts and crowd, each aggregated alone."""
    experts = choose_aggregator(params.expert)
    crowd = scaled[scaled["source"] == "crowd"]
    pairs = pairs.merge(experts.fit_predict(scaled[scaled["source"] == "expert"]), on=PAIR, how="left")
    pairs = pairs.merge(Mean().fit_predict(crowd), on=PAIR, how="left", suffixes=("_expert", "_crowd"))
    of_both = (pairs[name].to_numpy(dtype=float) for name in ("rating_crowd", "n_crowd", "rating_expert"))
    pairs = pairs.assign(rating_crowd=to_expert_scale(*of_both))
    expert_weight = pairs["rating_expert"].notna() * 1.0
    crowd_weight = pairs["rating_crowd"].notna() * params.crowd_weight
    weight = expert_weight + crowd_weight
    sums = pairs["rating_expert"].fillna(0.0) * expert_weight + pairs["rating_crowd"].fillna(0.0) * crowd_weight
    return pairs.assign(relevance=(sums / weight).clip(0.0, 1.0), weight=weight)


def _scaled(ratings: pd.DataFrame) -> pd.DataFrame:
    """The ratings on 0..1, their ids as categories: grouping by them is many times as fast."""
    return ratings.assign(rating=on_unit(ratings)).astype({"image_id": "category", "query_id": "category"})


def _describe(ratings: pd.DataFrame) -> pd.DataFrame:
    """Per pair: n_expert ratings, n_crowd votes, and the spread of all ratings, null where there is one."""
    expert = ratings["source"] == "expert"
    counted = ratings.assign(n_expert=expert.astype("int32"), n_crowd=ratings["votes"].mask(expert, 0))
    by_pair = counted.groupby(PAIR)
    spread = by_pair["rating"].std(ddof=0).where(by_pair.size() > 1)
    return by_pair[["n_expert", "n_crowd"]].sum().assign(spread=spread).reset_index()


def figures(relevance: pd.DataFrame) -> dict[str, object]:
    """The figures of metrics/aggregate.json: counts, means, and how many pairs lie in each tenth of 0..1."""
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
