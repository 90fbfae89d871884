"""The ingest part's leaks: what stands on both sides of a split, as one table of photos and texts and as counts."""

from collections.abc import Mapping, Sequence
from itertools import combinations, islice, product

import pandas as pd
import pyarrow as pa

from kadr.ingest.near_duplicates import LISTED, Twin, Twins
from kadr.io.schemas import LEAKS

_SPLITS = {
    "within_train": ("train", "train"),
    "within_test": ("test", "test"),
    "within_corpus": ("corpus", "corpus"),
    "train_test": ("train", "test"),
    "corpus_train": ("corpus", "train"),
    "corpus_test": ("corpus", "test"),
}


def equal_texts(queries: pd.DataFrame, captions: pd.DataFrame) -> dict[str, Twins]:
    """Pairs of equal texts whose sameness lets a judged text be learned from.

    Two training texts may be dealt into two folds; a test text may stand among the training texts, or among the
    captions that a CLIP is trained on.

    Args:
        queries: columns query_id, text, split.
        captions: columns caption_id, text.
    """
    train, test = (
        queries.loc[queries["split"] == split, ["query_id", "text"]].set_axis(["id", "text"], axis=1)
        for split in ("train", "test")
    )
    corpus = captions[["caption_id", "text"]].set_axis(["id", "text"], axis=1)
    return {
        "within_train": _equal(train, train),
        "train_test": _equal(train, test),
        "corpus_test": _equal(corpus, test),
    }


def _equal(left: pd.DataFrame, right: pd.DataFrame) -> Twins:
    """Pairs of ids with equal texts; where both are the same texts, each pair once and none of an id with itself."""
    same = left is right
    counts = pd.concat([left["text"].value_counts(), right["text"].value_counts()], axis=1, join="inner")
    ours, theirs = counts.iloc[:, 0], counts.iloc[:, 1]
    n = int((ours * (ours - 1) // 2 if same else ours * theirs).sum())
    shared = sorted(counts.index[ours > 1] if same else counts.index)
    ids, others = _ids_by_text(left, shared), _ids_by_text(right, shared)
    found = (
        Twin(one, other, None)
        for text in shared
        for one, other in (combinations(ids[text], 2) if same else product(ids[text], others[text]))
    )
    return Twins(n, sorted(islice(found, LISTED), key=lambda twin: (twin.left_id, twin.right_id)))


def _ids_by_text(rows: pd.DataFrame, texts: Sequence[str]) -> dict[str, list[str]]:
    """Sorted ids of each of the texts."""
    chosen = rows[rows["text"].isin(texts)].sort_values("id")
    return {str(text): found.tolist() for text, found in chosen.groupby("text")["id"]}


def leak_table(photos: Mapping[str, Twins], texts: Mapping[str, Twins]) -> pa.Table:
    """The table LEAKS of the twins by where they are."""
    rows = [
        {
            "kind": kind,
            "left_split": _SPLITS[where][0],
            "left_id": twin.left_id,
            "right_split": _SPLITS[where][1],
            "right_id": twin.right_id,
            "distance": twin.distance,
        }
        for kind, found in (("photo", photos), ("text", texts))
        for where, twins in found.items()
        for twin in twins.pairs
    ]
    keys = ("kind", "left_split", "right_split", "left_id", "right_id")
    return pa.Table.from_pylist(rows, schema=LEAKS).sort_by([(key, "ascending") for key in keys])
