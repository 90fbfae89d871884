"""The ingest part's ratings: every cell checked, the good ones in the long form of the table RATINGS.

A row is set aside whole where its photo or text cannot be used, where it repeats an earlier row in every cell, or where
nobody rated. A bad rating cell sets aside that cell alone: the row's other ratings are by other raters and stay. A pair
that stands in several rows with different ratings was rated more than once; all of them stay.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from kadr.ingest.crowd import check_crowd
from kadr.ingest.long_ratings import check_long
from kadr.ingest.quarantine import Rule, sift
from kadr.ingest.raters import are_persons
from kadr.ingest.rating_cells import EXPERT_SCALE, CheckedRatings, check_cells, pair_rules, rating_rows, with_categories
from kadr.ingest.raw_input import RawLongRatings, RawRatings


def check_ratings(
    raw: RawRatings | RawLongRatings, photos: Mapping[str, str], queries: Mapping[str, str]
) -> CheckedRatings:
    """Check one file of ratings.

    Args:
        raw: the file.
        photos: image_id -> status, see `photo_rules`.
        queries: query_id -> split of the texts that are known.
    """
    if isinstance(raw, RawLongRatings):
        return check_long(raw, photos, queries)
    columns = [*raw.experts, *([raw.crowd] if raw.crowd else raw.votes or ())]
    rules = (
        *pair_rules(photos, queries),
        Rule("duplicate_row", "image_id", lambda rows: rows.duplicated()),
        Rule("no_rating", "image_id", lambda rows: (rows[columns] == "").all(axis=1)),
    )
    rows, aside = sift(raw.file, raw.rows, raw.names, rules)
    rows = with_categories(rows, photos, queries)
    experts, persons, expert_aside = _check_experts(raw, rows)
    crowd, crowd_aside = check_crowd(raw, rows)
    return CheckedRatings(
        ratings=pd.concat([*experts, *crowd], ignore_index=True),
        quarantine=pd.concat([aside, *expert_aside, *crowd_aside]),
        n_rows=len(raw.rows),
        persons=persons,
    )


def _check_experts(raw: RawRatings, rows: pd.DataFrame) -> tuple[list[pd.DataFrame], bool | None, list[pd.DataFrame]]:
    """The experts' ratings per column, whether the columns are persons, and the quarantine."""
    checked = [check_cells(raw.file, rows[column], EXPERT_SCALE) for column in raw.experts]
    if not checked:
        return [], None, []
    persons = are_persons(np.column_stack([numbers for numbers, _ in checked]))
    ratings = [
        rating_rows(rows, numbers, EXPERT_SCALE, source="expert", rater=column if persons else None, votes=1)
        for column, (numbers, _) in zip(raw.experts, checked, strict=True)
    ]
    return ratings, persons, [aside for _, aside in checked]
