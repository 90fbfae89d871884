"""Compute the metrics of the `ingest` stage: counts of valid and rejected images, texts and ratings."""

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from kadr.ingest.near_duplicates import DuplicatePairs
from kadr.ingest.quarantine import count_quarantined_rows
from kadr.ingest.ratings import CheckedRatings
from kadr.ingest.validation import ExpectationResult


def summarise_input(
    tables: Mapping[str, pa.Table],
    files: Sequence[CheckedRatings],
    near_duplicates: Mapping[str, DuplicatePairs],
    equal_texts: Mapping[str, DuplicatePairs],
    warnings: Sequence[ExpectationResult],
) -> dict[str, object]:
    """Return the content of metrics/ingest.json, except for the format and the encodings of the files.

    Args:
        tables: all tables of the `ingest` stage, by name.
        files: validated ratings of each ratings file.
        near_duplicates: near-duplicate images for each combination of splits, e.g. train_test.
        equal_texts: identical texts for each combination of splits, e.g. train_test.
        warnings: failed expectations that are not critical.
    """
    quarantine, queries = tables["quarantine"], tables["queries"]
    texts = {split: set(queries.filter(pc.field("split") == split)["text"].to_pylist()) for split in ("train", "test")}
    identified = [file.columns_identify_raters for file in files if file.columns_identify_raters is not None]
    return {
        "photos": {
            split: _count_values(images["status"]) for split, images in _by_split(tables["images"], tables["corpus"])
        },
        "queries": _count_values(queries["split"]),
        "captions": len(tables["captions"]),
        "ratings": _count_values(tables["ratings"]["source"]),
        "rating_rows": sum(file.n_rows for file in files),
        "rating_rows_set_aside": sum(count_quarantined_rows(file.quarantine) for file in files),
        "rated_again_order": {file.file: file.rated_again_order for file in files if file.rated_again_order},
        "expert_columns_are_persons": all(identified) if identified else None,
        "set_aside": {
            kind: _count_values(quarantine.filter(pc.field("kind") == kind)["rule"]) for kind in ("row", "image")
        },
        "near_duplicates": {splits: pairs.to_metrics() for splits, pairs in near_duplicates.items()},
        "equal_texts": {splits: pairs.to_metrics() for splits, pairs in equal_texts.items()},
        "texts_in_train_and_test": len(texts["train"] & texts["test"]),
        "n_expectation_warnings": len(warnings),
        "expectation_warnings": [result.describe() for result in warnings],
    }


def _by_split(*tables: pa.Table) -> Iterable[tuple[str, pa.Table]]:
    """Yield the name of each split together with the rows of the given tables that belong to the split."""
    for split in ("train", "test", "corpus"):
        yield split, pa.concat_tables(tables).filter(pc.field("split") == split)


def _count_values(values: pa.ChunkedArray) -> dict[str, int]:
    """Return the number of rows with each value, sorted by value."""
    counts = {pair["values"]: pair["counts"] for pair in pc.value_counts(values).to_pylist()}
    return dict(sorted(counts.items()))
