"""Find identical texts within and across splits, and build the table of all leaks."""

from collections.abc import Mapping, Sequence
from itertools import combinations, islice, product

import pandas as pd
import pyarrow as pa

from kadr.ingest.near_duplicates import MAX_LISTED_PAIRS, DuplicatePair, DuplicatePairs
from kadr.io.schemas import LEAKS

_SPLITS = {
    "within_train": ("train", "train"),
    "within_test": ("test", "test"),
    "within_corpus": ("corpus", "corpus"),
    "train_test": ("train", "test"),
    "corpus_train": ("corpus", "train"),
    "corpus_test": ("corpus", "test"),
}


def find_equal_texts(queries: pd.DataFrame, captions: pd.DataFrame) -> dict[str, DuplicatePairs]:
    """Find pairs of identical texts, which can make the evaluation too optimistic.

    Identical training texts can end up in different folds. A test query can be identical to a training text, or to a
    caption on which a CLIP model is trained.

    Args:
        queries: table with the columns query_id, text and split.
        captions: table with the columns caption_id and text.

    Returns:
        Pairs of identical texts for each combination of splits: within_train, train_test and corpus_test.
    """
    train, test = (
        queries.loc[queries["split"] == split, ["query_id", "text"]].set_axis(["id", "text"], axis=1)
        for split in ("train", "test")
    )
    corpus = captions[["caption_id", "text"]].set_axis(["id", "text"], axis=1)
    return {
        "within_train": _pair_texts(train, train),
        "train_test": _pair_texts(train, test),
        "corpus_test": _pair_texts(corpus, test),
    }


def _pair_texts(left: pd.DataFrame, right: pd.DataFrame) -> DuplicatePairs:
    """Return the pairs of IDs whose texts are identical.

    If `left` and `right` are the same object, count each pair once.
    """
    same = left is right
    counts = pd.concat([left["text"].value_counts(), right["text"].value_counts()], axis=1, join="inner")
    left_counts, right_counts = counts.iloc[:, 0], counts.iloc[:, 1]
    n = int((left_counts * (left_counts - 1) // 2 if same else left_counts * right_counts).sum())
    texts = sorted(counts.index[left_counts > 1] if same else counts.index)
    left_ids, right_ids = _ids_by_text(left, texts), _ids_by_text(right, texts)
    pairs = (
        DuplicatePair(left_id, right_id, None)
        for text in texts
        for left_id, right_id in (combinations(left_ids[text], 2) if same else product(left_ids[text], right_ids[text]))
    )
    return DuplicatePairs(n, sorted(islice(pairs, MAX_LISTED_PAIRS), key=lambda pair: (pair.left_id, pair.right_id)))


def _ids_by_text(rows: pd.DataFrame, texts: Sequence[str]) -> dict[str, list[str]]:
    """Return the sorted IDs of each text in `texts`."""
    matching = rows[rows["text"].isin(texts)].sort_values("id")
    return {str(text): ids.tolist() for text, ids in matching.groupby("text")["id"]}


def leak_table(images: Mapping[str, DuplicatePairs], texts: Mapping[str, DuplicatePairs]) -> pa.Table:
    """Return the LEAKS table, with one row per pair of near-duplicate images or identical texts.

    Args:
        images: near-duplicate images for each combination of splits, e.g. train_test.
        texts: identical texts for each combination of splits, e.g. train_test.
    """
    rows = [
        {
            "kind": kind,
            "left_split": _SPLITS[splits][0],
            "left_id": pair.left_id,
            "right_split": _SPLITS[splits][1],
            "right_id": pair.right_id,
            "distance": pair.distance,
        }
        for kind, pairs_by_splits in (("photo", images), ("text", texts))
        for splits, duplicates in pairs_by_splits.items()
        for pair in duplicates.pairs
    ]
    keys = ("kind", "left_split", "right_split", "left_id", "right_id")
    return pa.Table.from_pylist(rows, schema=LEAKS).sort_by([(key, "ascending") for key in keys])
