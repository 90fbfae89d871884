"""The library room's drift: how far a new snapshot's values are from the last one's, by standard measures."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from kadr.io.embeddings import Embeddings, Vectors
from kadr.io.schemas import on_unit

Values = npt.NDArray[np.float64]

N_BINS = 10  # of the population stability index: deciles of the sample before
NOISE = 0.01  # two samples whose difference has at least this p-value may be of one distribution
MANY = 20_000  # vectors of a sample at most: more are drawn from, by a fixed seed
_LEAST_SHARE = 1e-4  # an empty bin counts as so much, or the index would be infinite
_SMALL, _LARGE = 0.1, 0.25  # of the index, by custom (Siddiqi 2006)


@dataclass(frozen=True)
class Drift:
    """One variable in two snapshots.

    Attributes:
        variable: its name.
        n_before: size of the sample before.
        n_now: size of the sample now.
        psi: population stability index; None for vectors.
        ks: statistic of Kolmogorov and Smirnov, 0..1; of vectors that of the component where it is greatest.
        p: its p-value.
        wasserstein: distance of the distributions in the variable's own unit; None for vectors.
        says: within noise, small, moderate, large, differs, or why nothing is compared.
    """

    variable: str
    n_before: int
    n_now: int
    psi: float | None
    ks: float | None
    p: float | None
    wasserstein: float | None
    says: str


def drift_of_values(variable: str, before: Values, now: Values) -> Drift:
    """Compare two samples of numbers.

    The population stability index (Siddiqi 2006) and the Wasserstein distance say how large a difference is, the test
    of Kolmogorov and Smirnov whether it is more than noise; on values that repeat, such as ratings, it errs to noise.
    """
    if not len(before) or not len(now):
        return Drift(variable, len(before), len(now), None, None, None, None, "one has none")
    tested = stats.ks_2samp(before, now, method="asymp")
    psi = stability_index(before, now)
    size = "small" if psi < _SMALL else "moderate" if psi < _LARGE else "large"
    return Drift(
        variable,
        len(before),
        len(now),
        psi,
        float(tested.statistic),
        float(tested.pvalue),
        float(stats.wasserstein_distance(before, now)),
        size if tested.pvalue < NOISE else "within noise",
    )


def stability_index(before: Values, now: Values) -> float:
    """Population stability index: the symmetric Kullback-Leibler divergence of shares in the deciles of `before`."""
    edges = np.unique(np.quantile(before, np.linspace(0, 1, N_BINS + 1)[1:-1]))
    shares = (
        np.bincount(np.searchsorted(edges, sample), minlength=len(edges) + 1) / len(sample) for sample in (before, now)
    )
    was, is_ = (np.maximum(share, _LEAST_SHARE) for share in shares)
    return float(np.sum((is_ - was) * np.log(is_ / was)))


def drift_of_vectors(variable: str, before: Embeddings, now: Embeddings) -> Drift:
    """Compare two samples of vectors, component by component; only vectors by the same model can be.

    The p-value is Bonferroni's over the components, as Rabanser et al. (2019) found best among shift detectors.
    """
    n_before, n_now = len(before.ids), len(now.ids)
    if any(before.metadata.get(field) != now.metadata.get(field) for field in ("architecture", "weights_sha256")):
        return Drift(variable, n_before, n_now, None, None, None, None, "by another model: not comparable")
    if not n_before or not n_now:
        return Drift(variable, n_before, n_now, None, None, None, None, "one has none")
    tested = stats.ks_2samp(_drawn(before.vectors), _drawn(now.vectors), method="asymp", axis=0)
    p = min(1.0, float(np.min(tested.pvalue)) * now.dim)
    says = "differs" if p < NOISE else "within noise"
    return Drift(variable, n_before, n_now, None, float(np.max(tested.statistic)), p, None, says)


def _drawn(vectors: Vectors) -> Vectors:
    if len(vectors) <= MANY:
        return vectors
    return vectors[np.random.default_rng(0).choice(len(vectors), MANY, replace=False)]


def drift_of_tables(before: Mapping[str, pd.DataFrame], now: Mapping[str, pd.DataFrame]) -> list[Drift]:
    """Compare what people said and wrote.

    Args:
        before: tables ratings, relevance and queries of kadr/io/schemas.py.
        now: the same of the new snapshot.
    """
    was, is_ = _samples(before), _samples(now)
    return [drift_of_values(variable, was[variable], is_[variable]) for variable in was]


def _samples(tables: Mapping[str, pd.DataFrame]) -> dict[str, Values]:
    return {
        **{f"ratings, {source}": _ratings(tables["ratings"], source) for source in ("expert", "crowd")},
        "relevance": tables["relevance"]["relevance"].to_numpy(dtype=float),
        "words in a text": np.array([len(text.split()) for text in tables["queries"]["text"]], dtype=float),
    }


def _ratings(ratings: pd.DataFrame, source: str) -> Values:
    """The ratings of a source, brought to 0..1."""
    return np.asarray(on_unit(ratings[ratings["source"] == source]), dtype=np.float64)
