"""The ingest part's texts: training texts and test queries, one row per id."""

from collections.abc import Collection, Mapping

import pandas as pd

from kadr.ingest.quarantine import Rule, photo_rules, sift
from kadr.ingest.raw_input import RawQueries


def check_queries(
    raw: RawQueries, test_photos: Mapping[str, str], training: Collection[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Check one file of texts.

    A training text may be written for a photo that is not here. A test query has to find its photo among the test
    photos, and may not be a training text, by which the model has learned.

    Args:
        raw: the file.
        test_photos: image_id -> status, see `photo_rules`.
        training: ids of the training texts; not looked at for a training file.

    Returns:
        Rows of the table QUERIES, image_id null where unknown; and the quarantine.
    """
    test_rules = (
        *photo_rules(test_photos),
        Rule("query_in_train", "query_id", lambda rows: rows["query_id"].isin(training)),
        Rule("duplicate_row", "query_id", lambda rows: rows.duplicated()),
    )
    rules = (
        Rule("query_id_empty", "query_id", lambda rows: rows["query_id"] == ""),
        Rule("text_empty", "text", lambda rows: rows["text"] == ""),
        *(test_rules if raw.split == "test" else ()),
        Rule("query_id_conflict", "text", lambda rows: rows.duplicated("query_id")),
    )
    rows, aside = sift(raw.file, raw.rows, raw.names, rules)
    return rows.assign(image_id=rows["image_id"].where(rows["image_id"] != ""), split=raw.split), aside
