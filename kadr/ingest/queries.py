"""Validate the texts of rated pairs and the queries of the test split."""

from collections.abc import Collection, Mapping

import pandas as pd

from kadr.ingest.quarantine import Rule, apply_rules, image_rules
from kadr.ingest.raw_input import RawQueries


def check_queries(
    raw: RawQueries, test_image_status: Mapping[str, str], training_ids: Collection[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Validate the texts of one file.

    A training text may belong to an image outside the dataset. A test query must belong to a valid image of the test
    split, and must not be a training text.

    Args:
        raw: the file with texts.
        test_image_status: image_id -> status, see `image_rules`. Only test queries are checked against it.
        training_ids: query_ids of the training texts. Only test queries are checked against them.

    Returns:
        Rows of the table QUERIES, whose image_id is null if unknown, and the quarantine.
    """
    test_rules = (
        *image_rules(test_image_status),
        Rule("query_in_train", "query_id", lambda rows: rows["query_id"].isin(training_ids)),
        Rule("duplicate_row", "query_id", lambda rows: rows.duplicated()),
    )
    rules = (
        Rule("query_id_empty", "query_id", lambda rows: rows["query_id"] == ""),
        Rule("text_empty", "text", lambda rows: rows["text"] == ""),
        *(test_rules if raw.split == "test" else ()),
        Rule("query_id_conflict", "text", lambda rows: rows.duplicated("query_id")),
    )
    rows, quarantine = apply_rules(raw.file, raw.rows, raw.column_names, rules)
    return rows.assign(image_id=rows["image_id"].where(rows["image_id"] != ""), split=raw.split), quarantine
