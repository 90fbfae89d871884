"""The ingest part's form `single_file`: photos, texts and all ratings of a pair in one row of train_dataset.csv."""

import hashlib
import logging
import re
from pathlib import Path

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.files import normalise_texts, read_rows, require_columns
from kadr.ingest.raw import Form, RawInput, RawQueries, RawRatings
from kadr.ingest.search_part import read_listed, read_test_queries

logger = logging.getLogger(__name__)

FILE = "train_dataset.csv"
_RATE = re.compile(r"^rate_\d+$")


def read(source: Path) -> RawInput:
    """Read train_dataset.csv (img_id, text, rate_1 .. rate_N, crowd_rates) and the test part.

    A text has no id of its own: equal texts are one query, whose id is a hash of the text.

    Raises:
        InputError: where a file is missing or unreadable, or a column is missing.
    """
    rows = read_rows(source / FILE, ",")
    require_columns(source / FILE, rows, ("img_id", "text"))
    experts = tuple(sorted(filter(_RATE.match, rows.columns), key=lambda name: int(name.removeprefix("rate_"))))
    crowd = "crowd_rates" if "crowd_rates" in rows.columns else None
    if not experts and crowd is None:
        raise InputError(
            f"{source / FILE}: no column of ratings; the header is ({', '.join(rows.columns)}), "
            "wanted rate_1, rate_2 ... of experts, or crowd_rates, or both"
        )
    unread = [name for name in rows.columns if name not in {"img_id", "text", "crowd_rates", *experts}]
    if unread:
        logger.warning("%s: columns not read: %s", FILE, ", ".join(unread))
    text = normalise_texts(rows["text"])
    rows = rows.assign(image_id=rows["img_id"], text=text, query_id=query_ids(text))
    names = {"image_id": "img_id", "query_id": "text"}
    columns = ["image_id", "query_id", *experts, *([crowd] if crowd else [])]
    texts = rows.loc[rows["text"] != "", ["query_id", "text"]].drop_duplicates().assign(image_id="")
    return RawInput(
        folders={"train": "train_images", "test": "test_images"},
        ratings=(RawRatings(FILE, rows[columns], names, experts, crowd),),
        queries=(RawQueries(FILE, texts, names, "train"), *read_test_queries(source)),
        listed=read_listed(source),
    )


def query_ids(texts: pd.Series) -> pd.Series:
    """`t` and the first 12 hexadecimal digits of each normalised text's sha256; "" for an empty text."""
    ids = {text: f"t{hashlib.sha256(text.encode()).hexdigest()[:12]}" if text else "" for text in texts.unique()}
    return texts.map(ids).astype("str")


FORM = Form(
    wants=f"{FILE} (img_id, text, rate_1 .. rate_N, crowd_rates), train_images/ and test_images/",
    recognises=lambda folder: (folder / FILE).is_file() and not any(folder.glob("*Annotations.tsv")),
    read=read,
)
