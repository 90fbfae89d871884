"""Detect the rating scale of a source from its ratings.

A wrong scale changes every relevance without an error message, whereas an undetected scale costs one line in
params.yaml. The detection therefore accepts a scale only if the ratings use it to both ends and in every whole step.
Single ratings outside of the scale, such as typing errors, do not prevent the detection.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

STEP_SCALES = ((1, 4), (1, 5), (0, 5), (1, 7), (-2, 2), (-3, 3), (0, 10), (1, 10))
"""Scales with whole steps that can be detected. The steps between must be used."""

LIKELY_SCALES = (
    (0, 1), (1, 4), (1, 5), (0, 5), (0, 3), (1, 3), (0, 4), (0, 2), (-1, 1), (1, 6), (1, 7), (-2, 2), (-3, 3),
    (0, 10), (1, 10), (0, 100),
)  # fmt: skip
"""Scales that an error message can suggest."""

_MIN_RATINGS_FOR_RARE = 100
_MAX_RARE_RATINGS = 2
_MAX_RARE_SHARE = 0.001
_MAX_STRAY_SHARE = 0.02
_MAX_RARE_END_SHARE = 0.02
_MIN_TOP_SHARE = 0.9
"""Minimum highest rating on the scales 0 to 1 and 0 to 100, as a share of the scale."""
_MIN_COVERED_SHARE = 0.8
_N_SUGGESTIONS = 3

Scale = tuple[float, float]
"""Lowest and highest rating."""


def detect_scale(counts: "pd.Series[int]") -> tuple[Scale, str] | None:
    """Detect the scale of ratings.

    Args:
        counts: number of ratings with each value. The index contains the values in ascending order.

    Returns:
        The scale and the evidence for it, or None if the ratings do not determine the scale.

    >>> detect_scale(pd.Series({1.0: 9, 2.0: 4, 3.0: 5, 4.0: 3, 5.0: 8}))
    ((1, 5), 'every whole step from 1 to 5 is used')
    >>> detect_scale(pd.Series({1.0: 9, 2.0: 4, 3.0: 5}))
    """
    common = common_values(counts)
    if len(common) < 3:
        return None
    low, high = float(common.index[0]), float(common.index[-1])
    for scale in STEP_SCALES:
        if (low, high) == scale and (evidence := _step_evidence(common.index.to_numpy(), scale)):
            is_certain = not _has_neighbour(counts, scale) and not _has_rare_end(counts, scale)
            return (scale, evidence) if is_certain else None
    for top in (1, 100):
        if (evidence := _range_evidence(common.index.to_numpy(), top)) is not None:
            return (0, top), evidence
    return None


def common_values(counts: "pd.Series[int]") -> "pd.Series[int]":
    """Return the number of ratings with each value, without values that only a few ratings have.

    If more than 2% of the ratings have a rare value, or if there are fewer than 100 ratings, all values are returned.
    """
    n_ratings = counts.sum()
    if n_ratings < _MIN_RATINGS_FOR_RARE:
        return counts
    common = counts[(counts > _MAX_RARE_RATINGS) & (counts >= _MAX_RARE_SHARE * n_ratings)]
    return common if common.sum() >= (1 - _MAX_STRAY_SHARE) * n_ratings else counts


def suggest_scales(counts: "pd.Series[int]") -> list[Scale]:
    """Return up to three scales that fit the ratings, the most likely scale first.

    Scales that are used to both ends come first, then scales that contain all common ratings.

    >>> suggest_scales(pd.Series({0.0: 2, 1.0: 60, 2.0: 50, 3.0: 40}))
    [(0, 3), (1, 3), (1, 4)]
    """
    common = common_values(counts)
    if common.empty:
        return [(1, 4)]
    low, high = float(common.index[0]), float(common.index[-1])
    covered = {scale: counts[(counts.index >= scale[0]) & (counts.index <= scale[1])].sum() for scale in LIKELY_SCALES}
    used = [scale for scale in LIKELY_SCALES if {*scale} <= {*counts.index}]
    used = sorted(
        (s for s in used if covered[s] > _MIN_COVERED_SHARE * counts.sum()), key=lambda scale: -covered[scale]
    )
    containing = [scale for scale in LIKELY_SCALES if scale[0] <= low and high <= scale[1]]
    containing.sort(key=lambda scale: (low - scale[0]) + (scale[1] - high))
    suggested: list[Scale] = [*dict.fromkeys([*used, *containing])]
    return suggested[:_N_SUGGESTIONS] or [(low, high)]


def find_codes(counts: "pd.Series[int]") -> list[float]:
    """Return the values that may mean that a pair was not rated: 0, and a highest value that is far from the others.

    >>> find_codes(pd.Series({0.0: 7, 1.0: 60, 2.0: 50, 3.0: 40, 9.0: 8}))
    [0.0, 9.0]
    """
    values = counts.index.to_numpy(dtype=float)
    codes = [0.0] if 0.0 in values else []
    if len(values) > 2 and values[-1] - values[-2] >= 2 * max(np.diff(values[:-1]).max(), 1.0):
        codes.append(float(values[-1]))
    return codes


def describe_values(counts: "pd.Series[int]", limit: int = 12) -> str:
    """List the values with their numbers of ratings n. If there are more than `limit` values, describe their range."""
    if len(counts) <= limit:
        return ", ".join(f"{value:g} (n={n:,})" for value, n in counts.items())
    return f"{len(counts):,} different values from {counts.index[0]:g} to {counts.index[-1]:g}"


def find_contradiction(
    scale: Scale, by_file: Mapping[str, "pd.Series[int]"], by_column: Mapping[str, "pd.Series[int]"]
) -> tuple[str, Scale] | None:
    """Find a file or column whose ratings have a different scale than all ratings together.

    Sorted rating columns can have slightly different ranges. The scale of a column therefore counts as different only
    if it is less than half as wide.

    Args:
        scale: scale of all ratings.
        by_file: number of ratings with each value in each file.
        by_column: number of ratings with each value in each rating column.

    Returns:
        The name of the file or column and its scale, or None if there is no contradiction.
    """
    for name, counts in by_file.items():
        own = _own_scale(counts)
        if own is not None and own != scale:
            return name, own
    for name, counts in by_column.items():
        own = _own_scale(counts)
        if own is not None and own[1] - own[0] <= (scale[1] - scale[0]) / 2:
            return name, own
    return None


def _own_scale(counts: "pd.Series[int]") -> Scale | None:
    detected = detect_scale(counts) if counts.sum() >= _MIN_RATINGS_FOR_RARE // 2 else None
    return detected[0] if detected else None


def _step_evidence(values: np.ndarray, scale: tuple[int, int]) -> str | None:
    """Return the evidence that a scale with whole steps is used in every step, or None.

    On long scales, half of the steps are sufficient. Fractional values are allowed between the steps.
    """
    steps = np.arange(scale[0], scale[1] + 1)
    used = np.isin(steps, values)
    if used.all():
        return f"every whole step from {scale[0]} to {scale[1]} is used"
    if len(steps) > 8 and used.mean() > 0.5:
        return f"{scale[0]}, {scale[1]} and most whole steps between are used"
    is_mean = ~np.isin(values, steps)
    return f"the ratings are fractions from {scale[0]} to {scale[1]}" if is_mean.sum() > len(steps) else None


def _range_evidence(values: np.ndarray, top: int) -> str | None:
    """Return the evidence that the ratings are fractions from 0 to 1, or numbers from 0 to 100, or None."""
    low, high = values[0], values[-1]
    if not (0 <= low <= 0.1 * top and _MIN_TOP_SHARE * top <= high <= top):
        return None
    if np.diff(values).max() > top / 2 or (top == 1 and not ((values > 0) & (values < 1)).any()):
        return None
    return f"the ratings are {len(values):,} different values from {low:g} to {high:g}"


def _has_neighbour(counts: "pd.Series[int]", scale: tuple[int, int]) -> bool:
    """Return whether several ratings are one step outside of the scale, so that the scale may be longer."""
    beside = counts[counts.index.isin([scale[0] - 1, scale[1] + 1])].sum()
    return bool(beside >= _MAX_RARE_RATINGS and beside >= _MAX_RARE_SHARE * counts.sum())


def _has_rare_end(counts: "pd.Series[int]", scale: tuple[int, int]) -> bool:
    """Return whether an end of the scale is rare, and the scale without this end is common, too.

    For example, a few ratings of 5 beside ratings from 1 to 4 can be typing errors, or the top of a scale to 5.
    """
    shorter = {scale[0]: (scale[0] + 1, scale[1]), scale[1]: (scale[0], scale[1] - 1)}
    share = counts / counts.sum()
    return any(share.get(end, 0) < _MAX_RARE_END_SHARE for end, short in shorter.items() if short in STEP_SCALES)
