"""Measure the drift between a reference dataset and the current dataset, and recommend an action.

The size of a drift is a distance between two samples in standard deviations. The bootstrap resamples images, so the
ratings of an image stay together, and an image that both samples contain adds no noise.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from kadr.io.embeddings import Embeddings, Rows
from kadr.io.schemas import scale_to_unit
from kadr.metrics.bootstrap import Interval, bootstrap
from kadr.params import EvaluateParams

Values = npt.NDArray[np.float64]
Action = Literal["nothing", "look", "retrain"]  # in ascending order

LOOK, RETRAIN = 0.2, 0.5
"""Sizes of a small and a medium difference in standard deviations (Cohen 1988)."""

RULE = (
    f"`retrain` if the drift is at least {RETRAIN} standard deviations and its lower bound is at least {LOOK}, "
    "`look` if only one of these conditions is true, otherwise `nothing`"
)
"""Rule for the action."""

MAX_VECTORS = 10_000
"""Maximum number of vectors of each sample. Larger samples are reduced in the same random order of IDs."""

EMPTY = "not compared: a sample is empty"


@dataclass(frozen=True)
class Drift:
    """Drift of one variable.

    Attributes:
        variable: name of the variable.
        n_before: number of reference values or vectors.
        n_now: number of current values or vectors.
        mean_before: mean of the reference values in the unit of the variable, None for vectors.
        mean_now: mean of the current values, None for vectors.
        drift: distance between the samples in standard deviations, without the part that is due to sampling noise.
            None if no comparison was possible.
        low: lower bound of the confidence interval of `drift`.
        high: upper bound of the confidence interval of `drift`.
        action: recommended action, which follows RULE.
        note: reason why no comparison was possible, or an empty string.
    """

    variable: str
    n_before: int
    n_now: int
    mean_before: float | None = None
    mean_now: float | None = None
    drift: float | None = None
    low: float | None = None
    high: float | None = None
    action: Action = "nothing"
    note: str = ""

    def __str__(self) -> str:
        """Return the variable with its drift and interval, or with the reason why it was not compared."""
        if self.drift is None:
            return f"{self.variable} {self.note}"
        return f"{self.variable} {self.drift:.2f} ({self.low:.2f} to {self.high:.2f})"

    def as_row(self) -> dict[str, Any]:
        """Return the attributes as a row of a table, with numbers rounded to 3 decimals."""
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(self).items()}


def choose_action(drift: float, low: float) -> Action:
    """Return the recommended action for a drift and the lower bound of its confidence interval.

    >>> choose_action(0.6, 0.4), choose_action(0.6, 0.1), choose_action(0.3, 0.25), choose_action(0.1, 0.0)
    ('retrain', 'look', 'look', 'nothing')
    """
    is_large, is_certain = drift >= RETRAIN, low >= LOOK
    return "retrain" if is_large and is_certain else "look" if is_large or is_certain else "nothing"


def summarise(reference: str, drifts: Sequence[Drift]) -> dict[str, Any]:
    """Return the drift of each variable, and the strongest recommended action.

    Args:
        reference: name of the reference dataset.
        drifts: drift of each variable.

    Returns:
        reference: name of the reference dataset.
        action: strongest action of all variables.
        reason: variables with this action and their drifts in standard deviations. For the action `nothing`, the
            variable with the largest drift.
        rule: rule for the action of a variable.
        variables: attributes of each `Drift`, with rounded numbers.
    """
    action = max((drift.action for drift in drifts), key=get_args(Action).index, default="nothing")
    deciding = [drift for drift in drifts if drift.action == action]
    if action == "nothing":
        deciding = sorted(deciding, key=lambda drift: drift.drift or 0)[-1:]
    reason = ", ".join(str(drift) for drift in deciding)
    rows = [drift.as_row() for drift in drifts]
    return {"reference": reference, "action": action, "reason": reason, "rule": RULE, "variables": rows}


@dataclass(frozen=True)
class Sample:
    """Values of a variable, with the image of each value.

    Attributes:
        values: (n,) values.
        clusters: n image IDs. The bootstrap resamples the values of an image together.
    """

    values: Values
    clusters: Sequence[str]


def value_drift(variable: str, reference: Sample, current: Sample, params: EvaluateParams, seed: int) -> Drift:
    """Measure the drift between two samples of numbers by the Wasserstein distance.

    The Wasserstein distance is the mean distance by which values must move to turn one sample into the other. It is
    small if the values of a discrete variable, such as the relevance, all change by a small amount.

    Args:
        variable: name of the variable.
        reference: reference sample.
        current: current sample.
        params: number of resamples and confidence level.
        seed: random seed of the bootstrap.
    """
    n_before, n_now = len(reference.values), len(current.values)
    if not n_before or not n_now:
        return Drift(variable, n_before, n_now, action="look" if n_before or n_now else "nothing", note=EMPTY)
    values, codes = np.unique(np.concatenate([reference.values, current.values]), return_inverse=True)
    means = float(reference.values.mean()), float(current.values.mean())
    deviation = _joint_deviation(float(reference.values.var() + current.values.var()), means[1] - means[0])

    def distance(before: Values, now: Values) -> float:
        shares = (np.bincount(codes[:n_before], before, len(values)), np.bincount(codes[n_before:], now, len(values)))
        return float(np.abs(np.cumsum(shares[0] - shares[1])[:-1]) @ np.diff(values)) / deviation

    interval = _bootstrap_distance(distance, reference.clusters, current.clusters, params, seed)
    return Drift(variable, n_before, n_now, *means, *interval, choose_action(*interval[:2]))


def vector_drift(variable: str, reference: Embeddings, current: Embeddings, params: EvaluateParams, seed: int) -> Drift:
    """Measure the drift between two sets of embeddings by the distance between their mean vectors.

    Embeddings from different encoders are not compared.

    Args:
        variable: name of the variable.
        reference: reference embeddings.
        current: current embeddings.
        params: number of resamples and confidence level.
        seed: random seed of the bootstrap.
    """
    n_before, n_now = len(reference.ids), len(current.ids)
    identity = ("architecture", "weights_sha256")
    if any(reference.metadata.get(field) != current.metadata.get(field) for field in identity):
        return Drift(variable, n_before, n_now, note="not compared: the encoders differ")
    if not n_before or not n_now:
        return Drift(variable, n_before, n_now, action="look" if n_before or n_now else "nothing", note=EMPTY)
    order = np.random.default_rng(0).permutation(np.union1d(reference.ids, current.ids)).tolist()
    before_ids, now_ids = (
        [id_ for id_ in order if id_ in ids][:MAX_VECTORS] for ids in (set(reference.ids), set(current.ids))
    )
    before_vectors, now_vectors = reference.select(before_ids), current.select(now_ids)
    variance = float(before_vectors.var(axis=0).sum() + now_vectors.var(axis=0).sum())
    difference = np.linalg.norm(before_vectors.mean(axis=0) - now_vectors.mean(axis=0))
    deviation = _joint_deviation(variance, float(difference))

    def distance(before: Values, now: Values) -> float:
        means = before.astype(np.float32) @ before_vectors, now.astype(np.float32) @ now_vectors
        return float(np.linalg.norm(means[0] - means[1])) / deviation

    interval = _bootstrap_distance(distance, before_ids, now_ids, params, seed)
    return Drift(variable, n_before, n_now, None, None, *interval, choose_action(*interval[:2]))


def _joint_deviation(sum_of_variances: float, difference: float) -> float:
    """Return the standard deviation of two samples together, each with a weight of one half. 1 for constant values."""
    return float(np.sqrt(sum_of_variances / 2 + difference**2 / 4)) or 1.0


def _bootstrap_distance(
    distance: Callable[[Values, Values], float],
    before: Sequence[str],
    now: Sequence[str],
    params: EvaluateParams,
    seed: int,
) -> tuple[float, float, float]:
    """Estimate a distance without the part that is due to sampling noise, and its confidence interval.

    The distance between two finite samples is positive even if both are from the same population. Resampling adds the
    same noise to the squared distance once more, so the estimate subtracts the increase. The interval is a basic
    bootstrap interval (Davison and Hinkley 1997). Its lower bound is relative to the estimate. Its upper bound is
    relative to the distance with the noise, because the estimate can be 0 by chance.

    Args:
        distance: function of two arrays of weights, one for each value of the samples. Each array sums to 1.
        before: cluster of each value of the reference sample. The same name in both samples is the same cluster.
        now: cluster of each value of the current sample.
        params: number of resamples and confidence level.
        seed: random seed.

    Returns:
        Estimate, lower bound and upper bound, rounded to 3 decimals.
    """

    def statistic(rows: Rows) -> float | None:
        counts = np.bincount(rows, minlength=len(before) + len(now)).astype(np.float64)
        weights = counts[: len(before)], counts[len(before) :]
        if not all(weight.any() for weight in weights):
            return None
        return distance(*(weight / weight.sum() for weight in weights))

    resampled = bootstrap(statistic, [*before, *now], params.n_bootstrap, params.confidence, seed)
    interval = cast(Interval, resampled)  # not None, because both samples have values
    distances = np.array([value for value in interval.resamples if np.isfinite(value)] or [interval.value])
    estimate, mean = float(np.sqrt(max(0.0, 2 * interval.value**2 - np.mean(distances**2)))), float(distances.mean())
    low, high = max(0.0, estimate + mean - interval.high), max(estimate, interval.value + mean - interval.low)
    return round(estimate, 3), round(low, 3), round(high, 3)


def table_drift(
    reference: Mapping[str, pd.DataFrame], current: Mapping[str, pd.DataFrame], params: EvaluateParams, seed: int
) -> list[Drift]:
    """Measure the drift of the ratings, the relevance and the length of the queries between two snapshots.

    A variable without values in both snapshots is omitted.

    Args:
        reference: tables ratings, relevance and queries of the reference snapshot (see kadr/io/schemas.py).
        current: the same tables of the current snapshot.
        params: number of resamples and confidence level.
        seed: random seed of the bootstrap.
    """
    before, now = _table_samples(reference), _table_samples(current)
    return [
        value_drift(variable, before[variable], now[variable], params, seed)
        for variable in before
        if len(before[variable].values) or len(now[variable].values)
    ]


def _table_samples(tables: Mapping[str, pd.DataFrame]) -> dict[str, Sample]:
    ratings, relevance, queries = tables["ratings"], tables["relevance"], tables["queries"]
    sources = {name: ratings[ratings["source"] == name] for name in ("expert", "crowd")}
    return {
        **{f"{name} ratings": _sample(scale_to_unit(rows), rows["image_id"]) for name, rows in sources.items()},
        "relevance": _sample(relevance["relevance"], relevance["image_id"]),
        "words per query": _sample(queries["text"].str.count(r"\S+"), queries["image_id"].fillna(queries["query_id"])),
    }


def _sample(values: "pd.Series[Any]", clusters: "pd.Series[str]") -> Sample:
    return Sample(np.asarray(values, dtype=np.float64), clusters.tolist())
