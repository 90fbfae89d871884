"""Find the ratings that a later rating by the same rater replaces."""

import logging
from collections.abc import Sequence
from typing import Literal

import pandas as pd

from kadr.ingest.rating_times import day_first_readings, parse_times

logger = logging.getLogger(__name__)

Order = Literal["time", "rows", "time and rows"]
"""What decides which rating is later: the time column, the order of the rows, or both for different pairs."""


def find_replaced(
    file: str, rows: pd.DataFrame, key: Sequence[str], time_name: str
) -> tuple["pd.Series[bool]", Order | None]:
    """Find the ratings that a later rating with the same key replaces, and log what decides which rating is later.

    Args:
        file: name of the ratings file.
        rows: ratings, with the columns in `key`. If the table has a column `time`, the time decides. If the times of a
            key are missing, cannot be parsed or are ambiguous, the order of the rows decides.
        key: columns that identify the rater and the pair.
        time_name: name of the time column in the file.

    Returns:
        Whether each rating is replaced, and what decides which rating is later. The second value is None if no rating
        is replaced.
    """
    replaced = rows.duplicated(list(key), keep="last")
    if not replaced.any():
        return replaced, None
    n_replaced = int(replaced.sum())
    if "time" not in rows:
        logger.warning(
            "%s: a later rating by the same rater replaces %d ratings. The file has no time column, so the order of "
            "the rows decides which rating is later.", file, n_replaced,
        )  # fmt: skip
        return replaced, "rows"
    repeated = rows[rows.duplicated(list(key), keep=False)]
    latest = _compare_times(repeated, rows["time"], list(key))
    replaced.loc[repeated.index] = latest["replaced"].where(latest["comparable"], replaced[repeated.index])
    by_rows = replaced[repeated.index] & ~(latest["comparable"] & ~latest["tied"])
    logger.info("%s: a later rating by the same rater replaces %d ratings.", file, n_replaced)
    if not by_rows.any():
        return replaced, "time"
    example = next((time for time in repeated.loc[by_rows, "time"] if time), "")
    logger.warning(
        "%s: the order of the rows decides about %d of the replaced ratings, because their times in column %s are "
        "missing, equal, ambiguous or not understood, such as %r. Write the times as 2024-03-31T18:00:00Z.",
        file, by_rows.sum(), time_name, example,
    )  # fmt: skip
    return replaced, "rows" if by_rows.sum() == n_replaced else "time and rows"


def _compare_times(repeated: pd.DataFrame, times: "pd.Series[str]", key: list[str]) -> pd.DataFrame:
    """Compare the times of ratings with the same key.

    Args:
        repeated: ratings whose key occurs several times.
        times: times of all ratings of the file, which show the order of day and month.
        key: columns that identify the rater and the pair.

    Returns:
        One row per rating. `replaced` is whether a rating with a later time replaces the rating. Ratings with equal
        times are in the order of the rows. `comparable` is whether all times of the key can be compared, and all
        possible readings of the dates have the same latest rating. `tied` is whether the latest time occurs twice.
    """
    groups = repeated.groupby(key, observed=True, sort=False).ngroup()
    readings = [parse_times(repeated["time"], day_first=day_first) for day_first in day_first_readings(times)]
    replaced = []
    for seconds in readings:
        ordered = pd.DataFrame({"group": groups, "seconds": seconds}).sort_values("seconds", kind="stable")
        replaced.append(ordered.duplicated("group", keep="last").reindex(repeated.index))
    uncertain = pd.concat(readings, axis=1).isna().any(axis=1) | (replaced[0] != replaced[-1])
    is_latest = readings[0] == readings[0].groupby(groups).transform("max")
    return pd.DataFrame(
        {
            "replaced": replaced[0],
            "comparable": ~uncertain.groupby(groups).transform("any"),
            "tied": is_latest.groupby(groups).transform("sum") > 1,
        }
    )
