"""What went in and what was set aside: photos by split and quarantined rows by rule."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class PhotoCount:
    """Photos of one split: how many are good, and how many are set aside for which reason."""

    split: str
    n_good: int
    set_aside: dict[str, int]


@dataclass(frozen=True)
class Rule:
    """What one rule set aside: how much, and the first of it as `file, row: column = value`."""

    rule: str
    kind: str
    n_found: int
    first: Sequence[str]


def photo_counts(images: pa.Table) -> list[PhotoCount]:
    """Counts of `images` (schema IMAGES) by split, train first; splits without photos are left out."""
    found = Counter(zip(images["split"].to_pylist(), images["status"].to_pylist(), strict=True))
    counts = []
    for split in ("train", "test", "corpus"):
        statuses = {status: n for (of, status), n in sorted(found.items()) if of == split}
        if statuses:
            counts.append(PhotoCount(split, statuses.pop("ok", 0), statuses))
    return counts


def quarantine_rules(quarantine: pa.Table, n_first: int = 3) -> list[Rule]:
    """What each rule set aside (schema QUARANTINE), the most frequent first, with its `n_first` first examples."""
    rows: dict[tuple[str, str], list[dict[str, object]]] = {}
    for row in quarantine.to_pylist():
        rows.setdefault((row["rule"], row["kind"]), []).append(row)
    ordered = sorted(rows.items(), key=lambda item: (-len(item[1]), item[0]))
    return [Rule(rule, kind, len(found), [_place(row) for row in found[:n_first]]) for (rule, kind), found in ordered]


def _place(row: dict[str, object]) -> str:
    place = str(row["file"]) if row["row"] is None else f"{row['file']}, row {row['row']}"
    if row["column"] is None:
        return place if row["value"] is None else f"{place}: {row['value']}"
    return f"{place}: {row['column']} = {row['value'] if row['value'] is not None else '(empty)'}"
