"""Joint model of expert and crowd ratings with a latent relevance variable for each pair.

The model is fitted by empirical Bayes with the EM algorithm (Dempster et al. 1977) on a fixed grid of latent relevance
values. `RaterCurves` models the ratings of experts, and `CrowdCurve` models the votes of the crowd. The prior is
nonparametric (Laird 1978). Three strata of pairs have separate priors: pairs rated by experts only, by the crowd only,
and by experts and the crowd. docs/ratings.md describes and evaluates the model.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from kadr.aggregate.crowd_curve import CrowdCurve
from kadr.aggregate.rater_curves import N_GRID, Cube, RaterCurves
from kadr.aggregate.response_patterns import (
    Integers,
    Matrix,
    ResponsePatterns,
    Stratum,
    Values,
    find_levels,
    find_patterns,
)

_MAX_ITERATIONS = 500
_TOLERANCE = 1e-6  # EM stops if the log likelihood per pair changes by less than this
_M_STEPS = 4  # L-BFGS iterations in each M-step
_PRIOR_PAIRS = 5.0  # number of pairs that the pooled prior counts as in the prior of each stratum
_CHUNK_SIZE = 50_000  # number of patterns that the E-step processes at a time, to limit memory use


@dataclass(frozen=True)
class GradedResponseModel:
    """A fitted model of expert and crowd ratings.

    Attributes:
        levels: (n_levels,) levels of the expert scale, scaled to 0..1.
        raters: IDs of the known raters. In arrays with one row per rater, row 0 represents all unknown raters.
        n_ratings: (n_raters + 1,) number of ratings by each rater.
        rater_curves: response curves of the experts.
        crowd_curve: response curve of the crowd.
        prior: (3, N_GRID) prior probability of each grid point in each stratum.
    """

    levels: Values
    raters: tuple[str, ...]
    n_ratings: Values
    rater_curves: RaterCurves
    crowd_curve: CrowdCurve
    prior: Matrix

    @property
    def grid_relevance(self) -> Values:
        """Relevance at each grid point, (N_GRID,): the expected rating by a rater without leniency or lapses."""
        return self.rater_curves.expected_rating(self.levels)

    @property
    def rating_probabilities(self) -> Cube:
        """Probability that a rater chooses a level at a grid point: (n_raters + 1, n_levels, N_GRID).

        If every rater is known, row 0 (unknown raters) contains the mean probabilities of the known raters.
        """
        probabilities = self.rater_curves.probabilities()
        if self.n_ratings[0] == 0 and self.n_ratings.sum() > 0:
            probabilities[0] = np.average(probabilities, axis=0, weights=self.n_ratings)
        return probabilities

    def find_patterns(self, ratings: pd.DataFrame) -> ResponsePatterns:
        """Group the pairs of a ratings table (schema RATINGS) by response pattern."""
        return find_patterns(ratings, self.levels, self.raters)

    def posterior(self, patterns: ResponsePatterns) -> Matrix:
        """Return the posterior probability of each grid point for each pattern: (n_patterns, N_GRID)."""
        log_probability = np.log(self.rating_probabilities).reshape(-1, N_GRID)
        log_votes = self.crowd_curve.log_likelihood(patterns.votes)
        posterior = patterns.rating_counts @ log_probability + log_votes[patterns.votes_row]
        posterior += np.log(self.prior)[patterns.stratum]
        posterior -= posterior.max(axis=1, keepdims=True, initial=-np.inf)
        np.exp(posterior, out=posterior)
        posterior /= posterior.sum(axis=1, keepdims=True)
        return np.asarray(posterior)

    def posterior_moments(self, patterns: ResponsePatterns) -> tuple[Values, Values]:
        """Return the posterior mean and standard deviation of the relevance of each pattern, both (n_patterns,)."""
        posterior, relevance = self.posterior(patterns), self.grid_relevance
        mean = posterior @ relevance
        return mean, np.sqrt(np.maximum(posterior @ relevance**2 - mean**2, 0.0))


def fit_graded_response(ratings: pd.DataFrame, levels: Values | None = None) -> GradedResponseModel:
    """Fit the graded response model to ratings. The order of the rows does not change the result.

    Args:
        ratings: table with the RATINGS schema. It can contain expert ratings, crowd ratings, or both.
        levels: (n_levels,) levels of the expert scale, scaled to 0..1. Default: the result of `find_levels`.
    """
    expert = ratings[ratings["source"] == "expert"]
    levels = find_levels(expert) if levels is None else levels
    raters = tuple(sorted(expert["rater"].dropna().unique()))
    patterns = find_patterns(ratings, levels, raters)
    n_ratings = np.asarray(patterns.n_pairs @ patterns.rating_counts).reshape(len(raters) + 1, -1).sum(axis=1)
    rater_curves, crowd_curve = RaterCurves.prior_mean(len(levels), len(raters) + 1), CrowdCurve()
    prior = np.full((len(Stratum), N_GRID), 1 / N_GRID)
    previous = -np.inf
    for _ in range(_MAX_ITERATIONS):
        counts, log_likelihood = _e_step(patterns, rater_curves, crowd_curve, prior)
        rater_curves = rater_curves.m_step(counts.ratings.reshape(len(n_ratings), len(levels), N_GRID), _M_STEPS)
        crowd_curve = crowd_curve.m_step(patterns.votes, counts.votes, _M_STEPS)
        prior = _smooth_priors(counts.strata)
        if abs(log_likelihood - previous) <= _TOLERANCE * max(patterns.n_pairs.sum(), 1.0):
            break
        previous = log_likelihood
    return GradedResponseModel(levels, raters, n_ratings, rater_curves, crowd_curve, prior)


@dataclass(frozen=True)
class _ExpectedCounts:
    """Expected counts at each grid point, which the E-step computes.

    Attributes:
        ratings: (n_raters * n_levels, N_GRID) expected number of ratings by each rater on each level.
        votes: (n_vote_counts, N_GRID) expected number of pairs with each vote count.
        strata: (3, N_GRID) expected number of pairs in each stratum.
    """

    ratings: Matrix
    votes: Matrix
    strata: Matrix


def _e_step(
    patterns: ResponsePatterns, rater_curves: RaterCurves, crowd_curve: CrowdCurve, prior: Matrix
) -> tuple[_ExpectedCounts, float]:
    """Return the expected counts and the log likelihood under the current parameters."""
    log_probability = np.log(np.maximum(rater_curves.probabilities(), 1e-300)).reshape(-1, N_GRID)
    log_votes, log_prior = crowd_curve.log_likelihood(patterns.votes), np.log(prior)
    counts = _ExpectedCounts(np.zeros_like(log_probability), np.zeros_like(log_votes), np.zeros_like(prior))
    log_likelihood = 0.0
    for rows in _chunks(len(patterns.n_pairs)):
        rating_counts, n_pairs = patterns.rating_counts[rows], patterns.n_pairs[rows]
        votes_row, stratum = patterns.votes_row[rows], patterns.stratum[rows]
        joint = rating_counts @ log_probability + log_votes[votes_row] + log_prior[stratum]
        highest = joint.max(axis=1, keepdims=True)
        np.exp(joint - highest, out=joint)
        total = joint.sum(axis=1, keepdims=True)
        log_likelihood += float(n_pairs @ (np.log(total) + highest)[:, 0])
        joint *= n_pairs[:, None] / total
        counts.ratings[:] += rating_counts.T @ joint
        counts.votes[:] += _sum_by_group(joint, votes_row, len(counts.votes))
        counts.strata[:] += _sum_by_group(joint, stratum, len(counts.strata))
    return counts, log_likelihood


def _sum_by_group(joint: Matrix, group: Integers, n_groups: int) -> Matrix:
    """Sum the rows of `joint` that belong to the same group: (n_groups, N_GRID)."""
    rows = np.arange(len(group))
    membership = sparse.coo_array((np.ones(len(group)), (group, rows)), shape=(n_groups, len(group))).tocsr()
    return np.asarray(membership @ joint)


def _chunks(n_patterns: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK_SIZE) for start in range(0, n_patterns, _CHUNK_SIZE))


def _smooth_priors(strata: Matrix) -> Matrix:
    """Estimate the prior of each stratum from expected counts, and shrink it towards the prior of all pairs."""
    pooled = strata.sum(axis=0) + 1 / N_GRID
    smoothed = strata + _PRIOR_PAIRS * pooled / pooled.sum()
    return np.asarray(smoothed / smoothed.sum(axis=1, keepdims=True))
