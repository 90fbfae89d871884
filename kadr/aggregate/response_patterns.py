"""Group pairs that have the same ratings, so that a million pairs become a few hundred response patterns.

A response pattern records how often each rater chose each level, and how the crowd voted. The order of the ratings is
ignored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from kadr.io.schemas import PAIR, scale_to_unit

Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Values = np.ndarray[tuple[int], np.dtype[np.float64]]
Integers = np.ndarray[tuple[int], np.dtype[np.int64]]
IntegerMatrix = np.ndarray[tuple[int, int], np.dtype[np.int64]]

MAX_LEVELS = 11
"""Maximum number of levels. Ratings on longer scales, such as 0 to 100, are rounded to this number of levels."""

_MAX_VOTES = 12


class Stratum(IntEnum):
    """Sources that rated a pair: experts only, the crowd only, or both."""

    EXPERTS = 0
    CROWD = 1
    BOTH = 2


@dataclass(frozen=True)
class ResponsePatterns:
    """The distinct response patterns of a ratings table.

    Attributes:
        pairs: table with columns image_id and query_id, sorted, one row per pair.
        pattern_of_pair: (n_pairs,) pattern number of each pair.
        n_pairs: (n_patterns,) number of pairs with each pattern.
        rating_counts: sparse (n_patterns, n_raters * n_levels) number of ratings. Column r * n_levels + k counts the
            ratings by rater r on level k.
        votes: (n_vote_counts, 2) distinct combinations of the number of yes votes and the total number of votes. The
            first row is (0, 0).
        votes_row: (n_patterns,) index of the row of `votes` that contains the vote count of each pattern.
        stratum: (n_patterns,) Stratum value of each pattern.
    """

    pairs: pd.DataFrame
    pattern_of_pair: Integers
    n_pairs: Values
    rating_counts: Any
    votes: Matrix
    votes_row: Integers
    stratum: Integers


def find_levels(expert: pd.DataFrame) -> Values:
    """Find the levels of the expert rating scale.

    A scale from 1 to 4 has the levels 1, 2, 3 and 4. Other ratings that occur, such as 2.5, are additional levels. If
    there are more than 11 levels, the levels are 0, 0.1, ..., 1 instead.

    Args:
        expert: expert ratings, with the columns of the RATINGS schema. If the table is empty, four levels are returned.

    Returns:
        (n_levels,) levels, scaled to 0..1, in ascending order.
    """
    levels = {0.0, 1.0} if len(expert) else set(np.linspace(0, 1, 4))
    for low, high in expert[["scale_min", "scale_max"]].drop_duplicates().itertuples(index=False):
        if (high - low) % 1 == 0 and high - low < MAX_LEVELS:
            levels |= set(np.linspace(0, 1, round(high - low) + 1))
    distinct = np.unique(np.round([*levels, *scale_to_unit(expert).unique()], 6))
    return distinct if len(distinct) <= MAX_LEVELS else np.linspace(0, 1, MAX_LEVELS)


def round_to_levels(unit_ratings: "pd.Series[float]") -> "pd.Series[float]":
    """Round ratings to multiples of 0.1 if they have more than 11 different values. Otherwise, return them unchanged.

    Methods that compare ratings for equality need few different values.

    Args:
        unit_ratings: ratings, scaled to 0..1.
    """
    if unit_ratings.nunique() <= MAX_LEVELS:
        return unit_ratings
    levels = np.linspace(0, 1, MAX_LEVELS)
    return pd.Series(levels[nearest_level(levels, unit_ratings)], unit_ratings.index)


def find_patterns(ratings: pd.DataFrame, levels: Values, raters: Sequence[str]) -> ResponsePatterns:
    """Group the pairs of a ratings table by response pattern.

    Args:
        ratings: table with the RATINGS schema.
        levels: (n_levels,) levels of the expert scale, scaled to 0..1. Ratings are rounded to the nearest level.
        raters: IDs of the known raters, which are numbered from 1. All other raters are numbered 0.
    """
    pairs = ratings[PAIR].astype("str")
    pair_number = _group_numbers(pairs, PAIR)
    is_expert = (ratings["source"] == "expert").to_numpy()
    n_pairs = int(pair_number.max()) + 1 if len(pair_number) else 0
    votes, votes_row = _count_votes(ratings[~is_expert], pair_number[~is_expert], n_pairs)
    responses = _expert_responses(ratings[is_expert], levels, raters)
    by_pair = _responses_by_pair(pair_number[is_expert], responses, n_pairs)
    signatures = pd.DataFrame(by_pair).assign(votes_row=votes_row)
    pattern_of_pair = _group_numbers(signatures, [*signatures.columns])
    _, first, n_pairs_of_pattern = np.unique(pattern_of_pair, return_index=True, return_counts=True)
    row, position = np.nonzero(by_pair[first] >= 0)
    shape = (len(first), (len(raters) + 1) * len(levels))
    counts = sparse.coo_array((np.ones(len(row)), (row, by_pair[first][row, position])), shape=shape).tocsr()
    has_expert = by_pair[first, 0] >= 0
    with_votes = np.where(has_expert, Stratum.BOTH, Stratum.CROWD)
    stratum = np.asarray(np.where(votes_row[first] == 0, Stratum.EXPERTS, with_votes))
    distinct_pairs = pairs.drop_duplicates().sort_values(PAIR, ignore_index=True)
    return ResponsePatterns(
        distinct_pairs, pattern_of_pair, n_pairs_of_pattern.astype(float), counts, votes, votes_row[first], stratum
    )


def nearest_level(levels: Values, ratings: "pd.Series[float]") -> Integers:
    """Return the index of the level that is nearest to each rating. Levels and ratings are scaled to 0..1."""
    boundaries = (levels[:-1] + levels[1:]) / 2
    return np.searchsorted(boundaries, ratings.to_numpy(dtype=float)).astype(np.int64)


def _group_numbers(table: pd.DataFrame, columns: list[Any]) -> Integers:
    """Number the distinct combinations of column values in ascending order, and return the number of each row."""
    numbers: Integers = table.groupby(columns, sort=True).ngroup().to_numpy().astype(np.int64)
    return numbers


def _expert_responses(expert: pd.DataFrame, levels: Values, raters: Sequence[str]) -> Integers:
    """Return, for each expert rating, its column number in `rating_counts`."""
    rater_number = {name: number for number, name in enumerate(raters, start=1)}
    rater = expert["rater"].map(rater_number).fillna(0).to_numpy(dtype=np.int64)
    return np.asarray(rater * len(levels) + nearest_level(levels, scale_to_unit(expert)), dtype=np.int64)


def _responses_by_pair(pair_number: Integers, responses: Integers, n_pairs: int) -> IntegerMatrix:
    """Return the responses of each pair in ascending order, padded with -1: (n_pairs, max_ratings_per_pair)."""
    order = np.lexsort((responses, pair_number))
    pair_number, responses = pair_number[order], responses[order]
    count = np.bincount(pair_number, minlength=n_pairs)
    position = np.arange(len(pair_number)) - (np.cumsum(count) - count)[pair_number]
    by_pair = np.full((n_pairs, max(int(count.max(initial=0)), 1)), -1, dtype=np.int64)
    by_pair[pair_number, position] = responses
    return by_pair


def _count_votes(crowd: pd.DataFrame, pair_number: Integers, n_pairs: int) -> tuple[Matrix, Integers]:
    """Return the distinct vote counts (yes votes, all votes), starting with (0, 0), and the row number of each pair.

    On the scales 0 to 1 and 0 to 100, a rating without a rater is a share of yes votes. Any other rating is a single
    vote, which can be a fraction.
    """
    share, count = scale_to_unit(crowd).to_numpy(dtype=float), crowd["votes"].to_numpy(dtype=float, copy=True)
    is_share = (crowd["rater"].isna() & (crowd["scale_min"] == 0) & crowd["scale_max"].isin([1, 100])).to_numpy()
    count[is_share] = infer_votes(*(np.asarray(values[is_share], dtype=np.float64) for values in (share, count)))
    yes = np.bincount(pair_number, share * count, minlength=n_pairs)
    by_pair = np.column_stack([yes, np.bincount(pair_number, count, minlength=n_pairs)]).round(3)
    votes, row = np.unique(np.vstack([np.zeros((1, 2)), by_pair]), axis=0, return_inverse=True)
    return votes, row.reshape(-1)[1:]


def infer_votes(share: Values, votes: Values) -> Values:
    """Infer the number of votes from the share of yes votes if the dataset does not record the number.

    The number is unknown if every row records one vote although some shares are between 0 and 1. For a share between 0
    and 1, the inferred number is the smallest number of votes from 2 to 12 that can produce the share (with a tolerance
    of 0.01). Shares of 0 and 1 are possible with any number of votes. For these shares, the function returns the number
    of votes that it inferred most often for the other shares.

    Args:
        share: (n,) share of yes votes in 0..1.
        votes: (n,) recorded number of votes.

    Returns:
        (n,) inferred number of votes, or `votes` if the number is known.
    """
    is_mixed = (share > 0) & (share < 1)
    if (votes != 1).any() or not is_mixed.any():
        return votes
    candidates = np.arange(2, _MAX_VOTES + 1)
    yes_votes = share[is_mixed][:, None] * candidates
    is_whole = np.abs(yes_votes - yes_votes.round()) <= 0.01 * candidates
    smallest = np.where(is_whole.any(axis=1), candidates[is_whole.argmax(axis=1)], 1)
    inferred = np.full(len(share), float(np.bincount(smallest).argmax()))
    inferred[is_mixed] = smallest
    return inferred
