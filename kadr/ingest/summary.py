"""The ingest part's figures: counts of all that was taken in and of all that was set aside."""

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from kadr.ingest.near_duplicates import Twins
from kadr.ingest.quarantine import count_bad_rows
from kadr.ingest.rating_cells import CheckedRatings


def figures(
    tables: Mapping[str, pa.Table],
    files: Sequence[CheckedRatings],
    near_duplicates: Mapping[str, Twins],
    equal_texts: Mapping[str, Twins],
    warnings: Sequence[str],
) -> dict[str, object]:
    """The figures of metrics/ingest.json.

    Args:
        tables: all tables of `ingest` by name.
        files: the checked files of ratings.
        near_duplicates: photos, by where the two are.
        equal_texts: texts, by where the two are.
        warnings: failed expectations that do not stop a run.
    """
    quarantine, queries = tables["quarantine"], tables["queries"]
    texts = {split: set(queries.filter(pc.field("split") == split)["text"].to_pylist()) for split in ("train", "test")}
    persons = [file.persons for file in files if file.persons is not None]
    return {
        "photos": {split: _counts(images["status"]) for split, images in _by_split(tables["images"], tables["corpus"])},
        "queries": _counts(queries["split"]),
        "captions": len(tables["captions"]),
        "ratings": _counts(tables["ratings"]["source"]),
        "rating_rows": sum(file.n_rows for file in files),
        "rating_rows_set_aside": sum(count_bad_rows(file.quarantine) for file in files),
        "expert_columns_are_persons": all(persons) if persons else None,
        "set_aside": {kind: _counts(quarantine.filter(pc.field("kind") == kind)["rule"]) for kind in ("row", "image")},
        "near_duplicates": {where: twins.figures() for where, twins in near_duplicates.items()},
        "equal_texts": {where: twins.figures() for where, twins in equal_texts.items()},
        "texts_in_train_and_test": len(texts["train"] & texts["test"]),
        "n_expectation_warnings": len(warnings),
        "expectation_warnings": list(warnings),
    }


def _by_split(*tables: pa.Table) -> Iterable[tuple[str, pa.Table]]:
    for split in ("train", "test", "corpus"):
        yield split, pa.concat_tables(tables).filter(pc.field("split") == split)


def _counts(values: pa.ChunkedArray) -> dict[str, int]:
    counted = {pair["values"]: pair["counts"] for pair in pc.value_counts(values).to_pylist()}
    return dict(sorted(counted.items()))
