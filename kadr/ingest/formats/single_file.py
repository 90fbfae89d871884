"""The ingest part's form `single_file`: photos, texts and all ratings of a pair in one row of train_dataset.csv."""

import hashlib
import logging
import re
from pathlib import Path

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.formats import flickr8k
from kadr.ingest.raw_input import Form, RawInput, RawQueries, RawRatings
from kadr.ingest.test_split import read_listed, read_test_queries
from kadr.ingest.text_tables import normalise_texts, read_rows, require_columns

logger = logging.getLogger(__name__)

FILE = "train_dataset.csv"
SHARE, VOTES = "crowd_rates", ("crowd_yes", "crowd_no")
_RATE = re.compile(r"^rate_\d+$")


def read(source: Path) -> RawInput:
    """Read train_dataset.csv (img_id, text, rate_1 .. rate_N and the crowd's columns) and the test part.

    The crowd stands in crowd_rates, as a share of yes or as a list of votes such as [1, 0, 1]; or as counts in
    crowd_yes and crowd_no; or as a share with its counts.

    A text has no id of its own: equal texts are one query, whose id is a hash of the text.

    Raises:
        InputError: where a file is missing or unreadable, or a column is missing.
    """
    rows = read_rows(source / FILE, ("img_id", "text"))
    require_columns(source / FILE, rows, ("img_id", "text"))
    experts = tuple(sorted(filter(_RATE.match, rows.columns), key=lambda name: int(name.removeprefix("rate_"))))
    crowd = SHARE if SHARE in rows.columns else None
    votes = VOTES if set(VOTES) <= set(rows.columns) else None
    if not experts and crowd is None and votes is None:
        raise InputError(
            f"{source / FILE}: no column of ratings; the header is ({', '.join(rows.columns)}), "
            "wanted rate_1, rate_2 ... of experts; crowd_rates, or crowd_yes and crowd_no; or both"
        )
    rated = [*experts, *([crowd] if crowd else []), *(votes or ())]
    unread = [name for name in rows.columns if name and name not in {"img_id", "text", *rated}]
    if unread:
        logger.warning("%s: columns not read: %s", FILE, ", ".join(unread))
    text = normalise_texts(rows["text"])
    rows = rows.assign(image_id=rows["img_id"], text=text, query_id=query_ids(text))
    names = {"image_id": "img_id", "query_id": "text"}
    texts = rows.loc[rows["text"] != "", ["query_id", "text"]].drop_duplicates().assign(image_id="")
    return RawInput(
        folders={"train": "train_images", "test": "test_images"},
        ratings=(RawRatings(FILE, rows[["image_id", "query_id", *rated]], names, experts, crowd, votes),),
        queries=(RawQueries(FILE, texts, names, "train"), *read_test_queries(source)),
        listed=read_listed(source),
    )


def query_ids(texts: pd.Series) -> pd.Series:
    """`t` and the first 12 hexadecimal digits of each normalised text's sha256; "" for an empty text."""
    ids = {text: f"t{hashlib.sha256(text.encode()).hexdigest()[:12]}" if text else "" for text in texts.unique()}
    return texts.map(ids).astype("str")


FORM = Form(
    wants=f"{FILE} (img_id, text, rate_1 .. rate_N, crowd_rates), train_images/ and test_images/",
    recognises=lambda folder: (folder / FILE).is_file() and not flickr8k.FORM.recognises(folder),
    read=read,
)
