"""Tables about the input data: image counts by split, and quarantined rows and images by validation rule."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class SplitImages:
    """The numbers of valid and excluded images in one split.

    Attributes:
        split: Name of the split.
        n_valid: Number of valid images.
        n_invalid: Mapping from the status of excluded images to the number of images with that status.
    """

    split: str
    n_valid: int
    n_invalid: dict[str, int]


@dataclass(frozen=True)
class QuarantineRule:
    """Summary of the rows or images that violate one validation rule.

    Attributes:
        rule: Name of the rule.
        kind: Kind of the quarantined items, `row` or `image`.
        n_violations: Number of quarantined rows or images.
        examples: The first violations, formatted as `file, row N: column = value`.
    """

    rule: str
    kind: str
    n_violations: int
    examples: Sequence[str]


def count_images(images: pa.Table) -> list[SplitImages]:
    """Count the images of each split, in the order train, test, corpus. Splits without images are omitted.

    Args:
        images: Images of all splits, with the schema IMAGES.
    """
    counts = Counter(zip(images["split"].to_pylist(), images["status"].to_pylist(), strict=True))
    tables = []
    for split in ("train", "test", "corpus"):
        statuses = {status: n for (image_split, status), n in sorted(counts.items()) if image_split == split}
        if statuses:
            tables.append(SplitImages(split, statuses.pop("ok", 0), statuses))
    return tables


def summarise_quarantine(quarantine: pa.Table, n_examples: int = 3) -> list[QuarantineRule]:
    """Summarise the violations of each rule. The most frequently violated rule comes first.

    Args:
        quarantine: Quarantined rows and images, with the schema QUARANTINE.
        n_examples: Maximum number of examples per rule.
    """
    rows: dict[tuple[str, str], list[dict[str, object]]] = {}
    for row in quarantine.to_pylist():
        rows.setdefault((row["rule"], row["kind"]), []).append(row)
    ordered = sorted(rows.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        QuarantineRule(rule, kind, len(violations), [_format_location(row) for row in violations[:n_examples]])
        for (rule, kind), violations in ordered
    ]


def _format_location(row: dict[str, object]) -> str:
    location = str(row["file"]) if row["row"] is None else f"{row['file']}, row {row['row']}"
    if row["column"] is None:
        return location if row["value"] is None else f"{location}: {row['value']}"
    return f"{location}: {row['column']} = {row['value'] if row['value'] is not None else '(empty)'}"
