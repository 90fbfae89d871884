"""Validate ratings files and convert their ratings to rows of the RATINGS table.

Each ratings file is processed in three steps. First, invalid rows are moved to the quarantine. Second, the modules
`expert_ratings` and `crowd_votes` parse the rating cells. Third, every valid rating becomes one row of the table.

A row is invalid if its image or its text is invalid, if the row repeats another row, or if all ratings are blank. If
only one rating of a row is invalid, the other ratings of the row are kept, because they come from other raters. If
several rows rate the same pair, all of these rows are used.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kadr.ingest.crowd_votes import parse_crowd_columns, parse_crowd_votes
from kadr.ingest.expert_ratings import parse_expert_columns, parse_expert_ratings
from kadr.ingest.quarantine import RATED_AGAIN, Rule, apply_rules, image_rules
from kadr.ingest.rating_scale import CROWD_SCALE, EXPERT_SCALE, ParsedRatings
from kadr.ingest.raw_input import RawLongRatings, RawRatings

SOURCES = [CROWD_SCALE.source, EXPERT_SCALE.source]


@dataclass(frozen=True)
class CheckedRatings:
    """The validated ratings of one file.

    Attributes:
        ratings: valid ratings, as rows of the RATINGS table.
        quarantine: rejected rows and cells, as rows of the QUARANTINE table.
        n_rows: total number of rows in the file.
        columns_identify_raters: whether each expert column contains the ratings of a single person. None if the file
            has no expert columns.
    """

    ratings: pd.DataFrame
    quarantine: pd.DataFrame
    n_rows: int
    columns_identify_raters: bool | None


def check_ratings(
    raw: RawRatings | RawLongRatings, image_status: Mapping[str, str], query_splits: Mapping[str, str]
) -> CheckedRatings:
    """Validate the ratings of one file and convert them to rows of the RATINGS table.

    Args:
        raw: content of the ratings file.
        image_status: status of each image by image_id. `image_rules` describes the values.
        query_splits: split of each valid text, by query_id.
    """
    rules = (*_pair_rules(image_status, query_splits), *_rating_rules(raw))
    rows, quarantine = apply_rules(raw.file, raw.rows, raw.column_names, rules)
    rows = _with_categories(rows, image_status, query_splits)
    identified: bool | None = None
    if isinstance(raw, RawLongRatings):
        experts, crowd = (rows[rows["source"] == scale.source] for scale in (EXPERT_SCALE, CROWD_SCALE))
        parsed = [parse_expert_ratings(raw.file, experts), parse_crowd_votes(raw.file, crowd)]
    else:
        parsed, identified = parse_expert_columns(raw.file, rows, raw.expert_columns)
        parsed += parse_crowd_columns(raw, rows)
    return CheckedRatings(
        ratings=pd.concat([_to_rating_rows(rows, ratings) for ratings in parsed], ignore_index=True),
        quarantine=pd.concat([quarantine, *(ratings.quarantine for ratings in parsed)]),
        n_rows=len(raw.rows),
        columns_identify_raters=identified,
    )


def _pair_rules(image_status: Mapping[str, str], query_splits: Mapping[str, str]) -> tuple[Rule, ...]:
    """Return the rules for the image and the text of a row. Ratings of test queries are rejected."""
    return (
        *image_rules(image_status),
        Rule("text_empty", "query_id", lambda rows: rows["query_id"] == ""),
        Rule("query_text_unknown", "query_id", lambda rows: ~rows["query_id"].isin(query_splits.keys())),
        Rule("query_in_test", "query_id", lambda rows: rows["query_id"].map(query_splits) == "test"),
    )


def _rating_rules(raw: RawRatings | RawLongRatings) -> tuple[Rule, ...]:
    """Return the rules for repeated rows and blank ratings.

    In a long table, if a rater rates a pair twice, the later rating replaces the earlier rating. Identical rows that
    name no rater are all kept, because they can come from different people.
    """
    if isinstance(raw, RawRatings):
        columns = raw.rating_columns
        return (
            Rule("duplicate_row", "image_id", lambda rows: rows.duplicated()),
            Rule("no_rating", "image_id", lambda rows: (rows[columns] == "").all(axis=1)),
        )
    rating_key = ["image_id", "query_id", "rater", "source"]
    return (
        Rule("duplicate_row", "image_id", lambda rows: (rows["rater"] != "") & rows.duplicated()),
        Rule("no_rating", "rating", lambda rows: rows["rating"] == ""),
        Rule("source_unknown", "source", lambda rows: ~rows["source"].isin(SOURCES)),
        Rule(RATED_AGAIN, "rating", lambda rows: (rows["rater"] != "") & rows.duplicated(rating_key, keep="last")),
    )


def _with_categories(
    rows: pd.DataFrame, image_status: Mapping[str, str], query_splits: Mapping[str, str]
) -> pd.DataFrame:
    """Convert the IDs to categorical columns, which reduces memory use by 90%.

    The categories are the same for all files.
    """
    return rows.assign(
        image_id=pd.Categorical(rows["image_id"], categories=sorted(image_status)),
        query_id=pd.Categorical(rows["query_id"], categories=sorted(query_splits)),
    )


def _to_rating_rows(rows: pd.DataFrame, parsed: ParsedRatings) -> pd.DataFrame:
    """Return the valid ratings as rows of the RATINGS table."""
    values = parsed.values.dropna()
    pairs = rows.loc[values.index, ["image_id", "query_id"]]
    raters = parsed.raters
    if isinstance(raters, pd.Series):
        raters = raters[values.index]
    return pairs.assign(
        source=_repeat(parsed.scale.source, SOURCES, len(pairs)),
        rater=_repeat(raters, [raters], len(pairs)) if isinstance(raters, str) else raters,
        rating=values,
        votes=parsed.votes[values.index] if isinstance(parsed.votes, pd.Series) else parsed.votes,
        scale_min=parsed.scale.minimum,
        scale_max=parsed.scale.maximum,
    )


def _repeat(value: str, categories: list[str], n: int) -> pd.Categorical:
    """Repeat a value n times in a categorical column, which needs only one byte per row."""
    dtype = pd.CategoricalDtype(categories)
    return pd.Categorical.from_codes(np.full(n, categories.index(value), np.int8), dtype=dtype)
