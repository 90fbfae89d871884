"""The ingest part's single ratings: one a row with its rater, by an expert on 1..4 or the crowd's yes or no."""

from collections.abc import Mapping

import pandas as pd

from kadr.ingest.quarantine import RATED_AGAIN, Rule, quarantined, sift
from kadr.ingest.rating_cells import (
    CROWD_SCALE,
    EXPERT_SCALE,
    CheckedRatings,
    check_cells,
    pair_rules,
    rating_rows,
    with_categories,
)
from kadr.ingest.raw_input import RawLongRatings

SCALES = {"expert": EXPERT_SCALE, "crowd": CROWD_SCALE}
_WORDS = {"yes": "1", "no": "0", "true": "1", "false": "0"}


def check_long(raw: RawLongRatings, photos: Mapping[str, str], queries: Mapping[str, str]) -> CheckedRatings:
    """Check one file of single ratings.

    A rater's later rating of a pair replaces the earlier one. Equal rows without a rater may be of two persons: both
    stay.

    Args:
        raw: the file.
        photos: image_id -> status, see `photo_rules`.
        queries: query_id -> split of the texts that are known.
    """
    one_person = ["image_id", "query_id", "rater", "source"]
    rules = (
        *pair_rules(photos, queries),
        Rule("duplicate_row", "image_id", lambda rows: (rows["rater"] != "") & rows.duplicated()),
        Rule("no_rating", "rating", lambda rows: rows["rating"] == ""),
        Rule("source_unknown", "source", lambda rows: ~rows["source"].isin(SCALES)),
        Rule(RATED_AGAIN, "rating", lambda rows: (rows["rater"] != "") & rows.duplicated(one_person, keep="last")),
    )
    rows, aside = sift(raw.file, raw.rows, raw.names, rules)
    rows = with_categories(rows, photos, queries)
    ratings, cells_aside = [], []
    for source, scale in SCALES.items():
        found = rows[rows["source"] == source]
        numbers, bad = (
            _check_votes(raw.file, found) if source == "crowd" else check_cells(raw.file, found["rating"], scale)
        )
        cells_aside.append(bad)
        rater = found["rater"].where(found["rater"] != "")
        ratings.append(rating_rows(found, numbers, scale, source=source, rater=rater, votes=1))
    return CheckedRatings(
        ratings=pd.concat(ratings, ignore_index=True),
        quarantine=pd.concat([aside, *cells_aside]),
        n_rows=len(raw.rows),
        persons=None,
    )


def _check_votes(file: str, rows: pd.DataFrame) -> tuple["pd.Series[float]", pd.DataFrame]:
    """Votes as 0 and 1, nan where bad, and the quarantine of those."""
    cells = rows["rating"]
    numbers, aside = check_cells(file, cells.str.lower().replace(_WORDS), CROWD_SCALE)
    between = numbers.notna() & ~numbers.isin(CROWD_SCALE)
    return numbers.mask(between), pd.concat([aside, quarantined(file, "rating", cells[between], "vote_not_yes_or_no")])
