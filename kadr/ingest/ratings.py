"""Validate ratings files and convert their ratings to rows of the RATINGS table.

Each ratings file is processed in three steps. First, invalid rows are moved to the quarantine. Second, the modules
`expert_ratings` and `crowd_votes` parse the rating cells. Third, every valid rating becomes one row of the table.

A row is invalid if its image or its text is invalid, if the row repeats another row, or if all ratings are blank. If
only one rating of a row is invalid, the other ratings of the row are kept, because they come from other raters. If
several rows rate the same pair, all of these rows are used, except if the same rater rates the pair again.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kadr.ingest.blank_words import BLANK_WORDS, NO_RATING_WORDS, clear_words, contains_word, number_blank_words
from kadr.ingest.crowd_votes import parse_crowd_columns, parse_crowd_votes
from kadr.ingest.expert_ratings import parse_expert_columns, parse_expert_ratings
from kadr.ingest.quarantine import RATED_AGAIN, Rule, apply_rules, empty_quarantine, image_rules, quarantine_cells
from kadr.ingest.rating_order import Order, find_replaced
from kadr.ingest.rating_scale import CROWD, EXPERT, SOURCES, ParsedRatings, RatingScale
from kadr.ingest.raw_input import RawLongRatings, RawRatings
from kadr.ingest.row_scales import row_scale, scale_rules
from kadr.ingest.source_scales import ChosenScale, find_file_separator
from kadr.ingest.vote_cells import has_plus_sign

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckedRatings:
    """The validated ratings of one file.

    Attributes:
        file: path of the file, relative to the dataset folder.
        ratings: valid ratings, as rows of the RATINGS table.
        quarantine: rejected rows and cells, as rows of the QUARANTINE table.
        n_rows: total number of rows in the file.
        columns_identify_raters: whether each expert column contains the ratings of a single person. None if the file
            has no expert columns, or has a column of rater IDs.
        rated_again_order: what decides which of several ratings by a rater is later. None if no rating is replaced.
    """

    file: str
    ratings: pd.DataFrame
    quarantine: pd.DataFrame
    n_rows: int
    columns_identify_raters: bool | None
    rated_again_order: Order | None


def check_ratings(
    raw: RawRatings | RawLongRatings,
    image_status: Mapping[str, str],
    query_splits: Mapping[str, str],
    choices: Mapping[str, ChosenScale],
) -> CheckedRatings:
    """Validate the ratings of one file and convert them to rows of the RATINGS table.

    Args:
        raw: content of the ratings file.
        image_status: status of each image by image_id. `image_rules` describes the values.
        query_splits: split of each valid text, by query_id.
        choices: scale of the ratings of each source, for rows without their own scale.
    """
    scales = {source: choice.scale for source, choice in choices.items()}
    rows = _clear_raters(raw)
    has_scales = {"scale_min", "scale_max"} <= set(rows.columns)
    rules = (
        *_pair_rules(image_status, query_splits),
        *(_long_rules(rows) if isinstance(raw, RawLongRatings) else _column_rules(raw, rows)),
        *(scale_rules(scales) if has_scales else ()),
    )
    rows, quarantine = apply_rules(raw.file, rows, raw.column_names, rules)
    rows, replaced, order = _reject_replaced(raw, rows)
    rows = _with_categories(rows, image_status, query_splits)
    parsed, identified = _parse(raw, rows, scales)
    _warn_about_scale(raw.file, parsed, choices)
    return CheckedRatings(
        file=raw.file,
        ratings=pd.concat([_to_rating_rows(rows, ratings) for ratings in parsed], ignore_index=True),
        quarantine=pd.concat([quarantine, replaced, *(ratings.quarantine for ratings in parsed)]),
        n_rows=len(raw.rows),
        columns_identify_raters=identified,
        rated_again_order=order,
    )


def _clear_raters(raw: RawRatings | RawLongRatings) -> pd.DataFrame:
    """Return the rows, with "" in place of rater IDs such as NULL or N/A, which mean that the rater is unknown."""
    if "rater" not in raw.rows:
        return raw.rows
    raters = clear_words(raw.rows["rater"], BLANK_WORDS)
    cleared = raw.rows.loc[raters != raw.rows["rater"], "rater"]
    if len(cleared):
        words = ", ".join(sorted(cleared.unique())[:3])
        logger.info("%s: the raters of %d rows are unknown (%s).", raw.file, len(cleared), words)
    return raw.rows.assign(rater=raters)


def _pair_rules(image_status: Mapping[str, str], query_splits: Mapping[str, str]) -> tuple[Rule, ...]:
    """Return the rules for the image and the text of a row. Ratings of test queries are rejected."""
    test_queries = [query_id for query_id, split in query_splits.items() if split == "test"]
    return (
        *image_rules(image_status),
        Rule("text_empty", "query_id", lambda rows: rows["query_id"] == ""),
        Rule("query_text_unknown", "query_id", lambda rows: ~rows["query_id"].isin(query_splits.keys())),
        Rule("query_in_test", "query_id", lambda rows: rows["query_id"].isin(test_queries)),
    )


def _column_rules(raw: RawRatings, rows: pd.DataFrame) -> tuple[Rule, ...]:
    """Return the rules for repeated rows and blank ratings of a table with one row per pair.

    Identical rows whose rater is unknown are all kept if the file has a rater column, because they can come from
    different people.
    """
    columns = raw.rating_columns
    blank_words = {column: _blank_words(rows[column], is_expert=column in raw.expert_columns) for column in columns}

    def is_blank(rows: pd.DataFrame) -> "pd.Series[bool]":
        return pd.concat([contains_word(rows[column], blank_words[column]) for column in columns], axis=1).all(axis=1)

    return (
        Rule("duplicate_row", "image_id", _is_duplicate),
        Rule("no_rating", "image_id", is_blank),
    )


def _long_rules(rows: pd.DataFrame) -> tuple[Rule, ...]:
    """Return the rules for repeated rows, blank ratings and unknown sources of a long table."""
    words = {
        source: _blank_words(rows.loc[rows["source"] == source, "rating"], is_expert=source == EXPERT)
        for source in SOURCES
    }

    def is_blank(rows: pd.DataFrame) -> "pd.Series[bool]":
        crowd_blank, expert_blank = (contains_word(rows["rating"], words[source]) for source in (CROWD, EXPERT))
        is_crowd = rows["source"] == CROWD
        return (crowd_blank & is_crowd) | (expert_blank & ~is_crowd)

    return (
        Rule("duplicate_row", "image_id", _is_duplicate),
        Rule("no_rating", "rating", is_blank),
        Rule("source_unknown", "source", lambda rows: ~rows["source"].isin(SOURCES)),
    )


def _is_duplicate(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Return whether each row repeats an earlier row in all columns of the file."""
    return rows.duplicated() & (rows["rater"] != "") if "rater" in rows else rows.duplicated()


def _blank_words(cells: "pd.Series[str]", *, is_expert: bool) -> Collection[str]:
    """Return the words that mean that a cell of the column contains no rating."""
    if is_expert:
        return number_blank_words(cells)
    return NO_RATING_WORDS - {"-"} if has_plus_sign(cells) else NO_RATING_WORDS


def _reject_replaced(
    raw: RawRatings | RawLongRatings, rows: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, Order | None]:
    """Reject ratings that a later rating by the same rater replaces.

    In a table with one row per pair, ratings are replaced only if the table has a time column, and only by a row with
    ratings in the same columns. Otherwise, all rows are used.

    Returns:
        The other rows, the replaced rows as rows of the QUARANTINE table, and what decides which rating is later.
    """
    if "rater" not in rows or (isinstance(raw, RawRatings) and len(raw.expert_columns) > 1):
        return rows, empty_quarantine(), None
    key = ["image_id", "query_id", "rater"]
    is_known = rows["rater"] != ""
    known = rows if is_known.all() else rows[is_known]
    if isinstance(raw, RawLongRatings):
        key, column = [*key, "source"], "rating"
    elif "time" in rows:
        is_filled = {f"has {name}": ~contains_word(known[name], NO_RATING_WORDS) for name in raw.rating_columns}
        known, key, column = known.assign(**is_filled), [*key, *is_filled], raw.rating_columns[0]
    else:
        if n_repeated := int(known.duplicated(key).sum()):
            logger.info(
                "%s: in %d rows, a rater rates a pair again. All of these ratings are used.", raw.file, n_repeated
            )
        return rows, empty_quarantine(), None
    is_replaced, order = find_replaced(raw.file, known, key, raw.column_names.get("time", "time"))
    cells = rows.loc[known.index[is_replaced], column]
    rejected = quarantine_cells(raw.file, raw.column_names.get(column, column), cells, RATED_AGAIN)
    return rows.drop(cells.index), rejected, order


def _parse(
    raw: RawRatings | RawLongRatings, rows: pd.DataFrame, scales: Mapping[str, RatingScale]
) -> tuple[list[ParsedRatings], bool | None]:
    """Parse the ratings in the valid rows. Return them, and whether the expert columns identify the raters."""
    separator = find_file_separator(raw)
    if isinstance(raw, RawLongRatings):
        expert, crowd = (rows[rows["source"] == source] for source in (EXPERT, CROWD))
        return [
            parse_expert_ratings(raw, expert, row_scale(expert, scales[EXPERT]), separator),
            parse_crowd_votes(raw, crowd, row_scale(crowd, scales[CROWD]), separator),
        ], None
    raters = rows["rater"].where(rows["rater"] != "") if "rater" in rows else None
    if raters is not None and len(raw.expert_columns) > 1:
        name = raw.column_names.get("rater", "rater")
        logger.warning("%s: the column %s is ignored, because each row has several ratings.", raw.file, name)
        raters = None
    scale = row_scale(rows, scales[EXPERT])
    parsed, identified = parse_expert_columns(raw, rows, scale, separator, raters)
    return [*parsed, *parse_crowd_columns(raw, rows, scales[CROWD], separator, raters)], identified


def _warn_about_scale(file: str, parsed: Sequence[ParsedRatings], choices: Mapping[str, ChosenScale]) -> None:
    """Log a warning if ratings are out of scale, because the scale may be wrong."""
    for source, choice in choices.items():
        cells = pd.concat([empty_quarantine(), *(p.quarantine for p in parsed if p.scale.source == source)])
        rejected = cells[cells["rule"] == "rating_out_of_scale"]
        if len(rejected):
            logger.warning(
                "%s: %d %s ratings are outside of their scale and are rejected, such as %s in row %d. The scale is %s "
                "(%s). If these ratings are valid, set ingest.rating_scale.",
                file, len(rejected), source, rejected["value"].iloc[0], rejected["row"].iloc[0], choice.scale,
                choice.chosen_by,
            )  # fmt: skip


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
    scale = parsed.scale.for_rows(values.index)
    pairs = rows.loc[values.index, ["image_id", "query_id"]]
    raters = parsed.raters
    if isinstance(raters, pd.Series):
        raters = raters[values.index]
    return pairs.assign(
        source=_repeat(scale.source, SOURCES, len(pairs)),
        rater=_repeat(raters, [raters], len(pairs)) if isinstance(raters, str) else raters,
        rating=values,
        votes=parsed.votes[values.index] if isinstance(parsed.votes, pd.Series) else parsed.votes,
        scale_min=scale.minimum,
        scale_max=scale.maximum,
    )


def _repeat(value: str, categories: list[str], n: int) -> pd.Categorical:
    """Repeat a value n times in a categorical column, which needs only one byte per row."""
    dtype = pd.CategoricalDtype(categories)
    return pd.Categorical.from_codes(np.full(n, categories.index(value), np.int8), dtype=dtype)
