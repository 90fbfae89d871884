"""Validate the training texts and the test queries of a dataset folder."""

from collections.abc import Collection, Mapping

import pandas as pd

from kadr.ingest.quarantine import Rule, apply_rules, image_rules
from kadr.ingest.raw_input import RawQueries


def check_queries(
    raw: RawQueries, test_image_status: Mapping[str, str], training_ids: Collection[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Validate the training texts or the test queries of one file.

    A training text can be the caption of an image that is not in the dataset. A test query must belong to a valid image
    of the test split, and no training text can have the same query_id.

    Args:
        raw: training texts or test queries of one file.
        test_image_status: status of each image by image_id. `image_rules` describes the values. Used for test queries
            only.
        training_ids: query_ids of all training texts. Used for test queries only.

    Returns:
        The valid texts as rows of the QUERIES table, and the rejected texts as rows of the QUARANTINE table. An unknown
        image_id is null.
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
