"""The aggregate part's patterns: pairs that were rated alike are one row, so that a million pairs are some hundreds.

The order of a pair's ratings says nothing: a pattern is how often each rater gave each level, and the crowd's votes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from kadr.io.schemas import PAIR, on_unit

Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Values = np.ndarray[tuple[int], np.dtype[np.float64]]
Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]

EXPERTS, CROWD, BOTH = range(3)
"""The strata: who rated a pair. Whom one asks depends on the pair, so each stratum has a distribution of its own."""

_MAX_LEVELS = 11
_MAX_VOTERS = 12


@dataclass(frozen=True)
class Patterns:
    """What was said of n_pairs pairs, in m distinct patterns.

    Attributes:
        pairs: image_id, query_id of every pair, sorted.
        of_pair: (n_pairs,) the pattern of each.
        n_pairs: (m,) pairs of each pattern.
        cells: (m, n_raters * n_levels) how often rater r gave level k, in column r * n_levels + k.
        votes: (v, 2) distinct (yes, all) votes of the crowd; the first row is (0, 0).
        vote: (m,) the pattern's row of `votes`.
        stratum: (m,) EXPERTS, CROWD or BOTH.
    """

    pairs: pd.DataFrame
    of_pair: Numbers
    n_pairs: Values
    cells: Any
    votes: Matrix
    vote: Numbers
    stratum: Numbers


def find_levels(expert: pd.DataFrame) -> Values:
    """The levels of the experts' scale on 0..1, ascending.

    Whole steps of a scale of at most 11 levels count even where nobody chose one of them; any other value that somebody
    gave is a level too. Where that makes more than 11, the levels are 0, .1 .. 1.

    Args:
        expert: rows of RATINGS by experts; may be empty (then a scale of four levels is supposed).
    """
    found = {0.0, 1.0} if len(expert) else set(np.linspace(0, 1, 4))
    for low, high in expert[["scale_min", "scale_max"]].drop_duplicates().itertuples(index=False):
        if (high - low) % 1 == 0 and high - low < _MAX_LEVELS:
            found |= set(np.linspace(0, 1, round(high - low) + 1))
    levels = np.unique(np.round([*found, *on_unit(expert).unique()], 6))
    return levels if len(levels) <= _MAX_LEVELS else np.linspace(0, 1, _MAX_LEVELS)


def find_patterns(ratings: pd.DataFrame, levels: Values, raters: Sequence[str]) -> Patterns:
    """Group the pairs of `ratings` (columns of RATINGS) by what was said of them.

    Args:
        ratings: one row per rating.
        levels: of the experts' scale; a rating counts as the nearest.
        raters: the known raters; row 0 of the cells is for all others, so rater i has row i + 1.
    """
    pairs = ratings[PAIR].astype("str")
    number = _numbered(pairs, PAIR)
    expert = (ratings["source"] == "expert").to_numpy()
    cell = _cells(ratings[expert], levels, raters)
    n_pairs = int(number.max()) + 1 if len(number) else 0
    votes, vote = _votes(ratings[~expert], number[~expert], n_pairs)
    slots = _slots(number[expert], cell, n_pairs)
    said = pd.DataFrame(slots).assign(vote=vote)
    of_pair = _numbered(said, [*said.columns])
    _, first, count = np.unique(of_pair, return_index=True, return_counts=True)
    row, place = np.nonzero(slots[first] >= 0)
    shape = (len(first), (len(raters) + 1) * len(levels))
    cells = sparse.coo_array((np.ones(len(row)), (row, slots[first][row, place])), shape=shape).tocsr()
    stratum = np.asarray(np.where(vote[first] == 0, EXPERTS, np.where(slots[first, 0] >= 0, BOTH, CROWD)))
    every = pairs.drop_duplicates().sort_values(PAIR, ignore_index=True)
    return Patterns(every, of_pair, count.astype(float), cells, votes, vote[first], stratum)


def _numbered(table: pd.DataFrame, columns: list[Any]) -> Numbers:
    """The number of each row's group, the groups in ascending order."""
    numbers: Numbers = table.groupby(columns, sort=True).ngroup().to_numpy().astype(np.int64)
    return numbers


def nearest(levels: Values, ratings: "pd.Series[float]") -> Numbers:
    """The number of the level nearest to each rating, both on 0..1."""
    between = (levels[:-1] + levels[1:]) / 2
    return np.searchsorted(between, ratings.to_numpy(dtype=float)).astype(np.int64)


def _cells(expert: pd.DataFrame, levels: Values, raters: Sequence[str]) -> Numbers:
    """The column of each rating: that of its rater and of the level nearest to it."""
    level = nearest(levels, on_unit(expert))
    number = {name: at for at, name in enumerate(raters, start=1)}
    rater = expert["rater"].map(number).fillna(0).to_numpy(dtype=np.int64)
    return np.asarray(rater * len(levels) + level, dtype=np.int64)


def _slots(number: Numbers, cell: Numbers, n_pairs: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """(n_pairs, most ratings of one) the cells of each pair in ascending order, then -1."""
    order = np.lexsort((cell, number))
    number, cell = number[order], cell[order]
    count = np.bincount(number, minlength=n_pairs)
    place = np.arange(len(number)) - (np.cumsum(count) - count)[number]
    slots = np.full((n_pairs, max(int(count.max(initial=0)), 1)), -1, dtype=np.int64)
    slots[number, place] = cell
    return slots


def _votes(crowd: pd.DataFrame, number: Numbers, n_pairs: int) -> tuple[Matrix, Numbers]:
    """The distinct (yes, all) votes, (0, 0) first, and each pair's row of them."""
    share, count = crowd["rating"].to_numpy(dtype=float), crowd["votes"].to_numpy(dtype=float)
    count = voters(share, count)
    yes = np.bincount(number, share * count, minlength=n_pairs)
    of_pair = np.column_stack([yes, np.bincount(number, count, minlength=n_pairs)]).round(3)
    votes, vote = np.unique(np.vstack([np.zeros((1, 2)), of_pair]), axis=0, return_inverse=True)
    return votes, vote.reshape(-1)[1:]


def voters(share: Values, votes: Values) -> Values:
    """How many persons stand behind each share of yes, where the ratings do not say so (every count is 1).

    No one person says a third of a yes: a share stands for the least number of voters, 12 at most, that can give it
    (to two decimals); shares of 0 and 1 for the most common of these numbers. Where counts are known, they stay.
    """
    torn = (share > 0) & (share < 1)
    if (votes != 1).any() or not torn.any():
        return votes
    number = np.arange(2, _MAX_VOTERS + 1)
    steps = share[torn][:, None] * number
    whole = np.abs(steps - steps.round()) <= 0.01 * number
    least = np.where(whole.any(axis=1), number[whole.argmax(axis=1)], 1)
    counted = np.full(len(share), float(np.bincount(least).argmax()))
    counted[torn] = least
    return counted
