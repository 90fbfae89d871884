"""Measure the drift between a reference dataset and the current dataset."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from kadr.io.embeddings import Embeddings, Vectors
from kadr.io.schemas import scale_to_unit

Values = npt.NDArray[np.float64]

N_BINS = 10
"""Number of bins for the population stability index. The deciles of the reference sample are the bin edges."""

MIN_P_VALUE = 0.01
"""Differences with a p-value of at least MIN_P_VALUE count as noise."""

MAX_VECTORS = 20_000
"""Maximum number of vectors to compare. Larger sets of vectors are subsampled at random with a fixed seed."""

_MIN_SHARE = 1e-4  # lower limit for the share of a bin, which keeps the index finite
_MODERATE, _LARGE = 0.1, 0.25  # conventional thresholds of the population stability index (Siddiqi 2006)


@dataclass(frozen=True)
class Drift:
    """Drift of one variable.

    Attributes:
        variable: name of the variable.
        n_before: number of reference values or vectors.
        n_now: number of current values or vectors.
        psi: population stability index, None for vectors.
        ks: Kolmogorov-Smirnov statistic, 0 to 1. For vectors, this is the maximum over all components.
        p: p-value of the Kolmogorov-Smirnov test. For vectors, it has a Bonferroni correction for the number of
            components.
        wasserstein: Wasserstein distance in the unit of the variable, None for vectors.
        result: `within noise`, `small`, `moderate`, `large`, `differs`, or the reason why no comparison was possible.
    """

    variable: str
    n_before: int
    n_now: int
    psi: float | None
    ks: float | None
    p: float | None
    wasserstein: float | None
    result: str

    @classmethod
    def not_compared(cls, variable: str, n_before: int, n_now: int, reason: str) -> "Drift":
        """Return a result without statistics, for a variable that cannot be compared."""
        return cls(variable, n_before, n_now, None, None, None, None, reason)


def value_drift(variable: str, reference: Values, current: Values) -> Drift:
    """Measure the drift between two samples of scalar values.

    The population stability index (Siddiqi 2006) and the Wasserstein distance measure the size of the difference. The
    Kolmogorov-Smirnov test decides whether the difference is statistically significant. The test is conservative for
    samples with many repeated values, such as ratings.

    Args:
        variable: name of the variable.
        reference: values of the reference sample, (n_before,).
        current: values of the current sample, (n_now,).
    """
    if not len(reference) or not len(current):
        return Drift.not_compared(variable, len(reference), len(current), "not compared: a sample is empty")
    test = stats.ks_2samp(reference, current, method="asymp")
    psi = population_stability_index(reference, current)
    size = "small" if psi < _MODERATE else "moderate" if psi < _LARGE else "large"
    return Drift(
        variable,
        len(reference),
        len(current),
        psi,
        float(test.statistic),
        float(test.pvalue),
        float(stats.wasserstein_distance(reference, current)),
        size if test.pvalue < MIN_P_VALUE else "within noise",
    )


def population_stability_index(reference: Values, current: Values) -> float:
    """Return the symmetric Kullback-Leibler divergence between the histograms of two samples.

    The bin edges of both histograms are the deciles of the reference sample.

    >>> population_stability_index(np.array([1.0, 2.0]), np.array([2.0, 1.0]))
    0.0
    """
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, N_BINS + 1)[1:-1]))
    reference_share, current_share = (
        np.maximum(np.bincount(np.searchsorted(edges, sample), minlength=len(edges) + 1) / len(sample), _MIN_SHARE)
        for sample in (reference, current)
    )
    return float(np.sum((current_share - reference_share) * np.log(current_share / reference_share)))


def vector_drift(variable: str, reference: Embeddings, current: Embeddings) -> Drift:
    """Measure the drift between two sets of embeddings, component by component.

    Embeddings from different encoders are not compared. As in Rabanser et al. (2019), each component is tested
    separately, and the smallest p-value is multiplied by the number of components (Bonferroni correction).

    Args:
        variable: name of the variable.
        reference: reference embeddings.
        current: current embeddings.
    """
    n_before, n_now = len(reference.ids), len(current.ids)
    identity = ("architecture", "weights_sha256")
    if any(reference.metadata.get(field) != current.metadata.get(field) for field in identity):
        return Drift.not_compared(variable, n_before, n_now, "not compared: the encoders differ")
    if not n_before or not n_now:
        return Drift.not_compared(variable, n_before, n_now, "not compared: a sample is empty")
    test = stats.ks_2samp(_sample(reference.vectors), _sample(current.vectors), method="asymp", axis=0)
    p = min(1.0, float(np.min(test.pvalue)) * current.dim)
    result = "differs" if p < MIN_P_VALUE else "within noise"
    return Drift(variable, n_before, n_now, None, float(np.max(test.statistic)), p, None, result)


def _sample(vectors: Vectors) -> Vectors:
    if len(vectors) <= MAX_VECTORS:
        return vectors
    return vectors[np.random.default_rng(0).choice(len(vectors), MAX_VECTORS, replace=False)]


def table_drift(reference: Mapping[str, pd.DataFrame], current: Mapping[str, pd.DataFrame]) -> list[Drift]:
    """Measure the drift of the ratings, relevance scores and text lengths between two snapshots.

    Args:
        reference: tables ratings, relevance and queries of the reference snapshot (see kadr/io/schemas.py).
        current: the same tables for the current snapshot.
    """
    reference_samples, current_samples = _table_samples(reference), _table_samples(current)
    return [
        value_drift(variable, reference_samples[variable], current_samples[variable]) for variable in reference_samples
    ]


def _table_samples(tables: Mapping[str, pd.DataFrame]) -> dict[str, Values]:
    return {
        **{f"ratings, {source}": _unit_ratings(tables["ratings"], source) for source in ("expert", "crowd")},
        "relevance": tables["relevance"]["relevance"].to_numpy(dtype=float),
        "words in a text": np.array([len(text.split()) for text in tables["queries"]["text"]], dtype=float),
    }


def _unit_ratings(ratings: pd.DataFrame, source: str) -> Values:
    """Return the ratings from one source (expert or crowd), scaled to 0..1."""
    return np.asarray(scale_to_unit(ratings[ratings["source"] == source]), dtype=np.float64)
