"""The ingest part's form `flickr8k`: texts in train_dataset.csv, ratings in two files of Annotations."""

from pathlib import Path

import pandas as pd

from kadr.ingest.files import normalise_texts, read_rows, require_columns
from kadr.ingest.raw import Form, RawInput, RawQueries, RawRatings
from kadr.ingest.search_part import read_listed, read_test_queries

TEXTS = "train_dataset.csv"
EXPERTS = "ExpertAnnotations.tsv"
CROWD = "CrowdAnnotations.tsv"
_RATES = ("rate_1", "rate_2", "rate_3")


def read(source: Path) -> RawInput:
    """Read the three files and the test part.

    A query_id is `image#k`: the k-th caption of that photo, rated beside another one.

    Raises:
        InputError: where a file is missing or unreadable, or a column is missing.
    """
    names = {"image_id": "image", "query_id": "query_id"}
    experts = read_rows(source / EXPERTS, "\t", ("image_id", "query_id", *_RATES))
    crowd = read_rows(source / CROWD, "\t", ("image_id", "query_id", "share_yes", "yes", "no"))
    return RawInput(
        folders={"train": "train_images", "test": "test_images"},
        ratings=(
            RawRatings(EXPERTS, experts, names, experts=_RATES),
            RawRatings(CROWD, crowd, names, crowd="share_yes", votes=("yes", "no")),
        ),
        queries=(_read_texts(source), *read_test_queries(source)),
        listed=read_listed(source),
    )


def _read_texts(source: Path) -> RawQueries:
    rows = read_rows(source / TEXTS, ",")
    require_columns(source / TEXTS, rows, ("image", "query_id", "query_text"))
    rows = (
        rows[["query_id", "query_text"]]
        .set_axis(["query_id", "text"], axis=1)
        .assign(image_id=own_images(rows["query_id"]))
    )
    names = {"query_id": "query_id", "text": "query_text", "image_id": "query_id"}
    return RawQueries(TEXTS, rows.assign(text=normalise_texts(rows["text"])).drop_duplicates(), names, "train")


def own_images(query_ids: pd.Series) -> pd.Series:
    """The photo that each `image#k` was written for; "" where there is no `#`."""
    return query_ids.str.rsplit("#", n=1).str[0].where(query_ids.str.contains("#", regex=False), "")


FORM = Form(
    wants=f"{TEXTS} (image, query_id, query_text), {EXPERTS}, {CROWD}, train_images/ and test_images/",
    recognises=lambda folder: (folder / EXPERTS).is_file() or (folder / CROWD).is_file(),
    read=read,
)
