"""Validation rules, the quarantine of rejected input, and limits for the share of invalid input."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from kadr.errors import TooManyInvalidError
from kadr.ingest.image_checks import ImageFile
from kadr.ingest.rule_fixes import DEFAULT_FIX, RULE_FIXES
from kadr.io.invisible_characters import visible
from kadr.io.schemas import QUARANTINE

OVERLAP_RULES = ("image_in_train", "image_in_test")
"""Names of the rules for valid images that belong to another split."""

RATED_AGAIN = "rated_again"
"""Name of the rule for valid ratings that a later rating by the same rater replaces."""

VALID_ROW_RULES = (RATED_AGAIN, "no_rating")
"""Names of the rules for rows that do not count as invalid."""

logger = logging.getLogger(__name__)

_N_EXAMPLES = 3
_MAX_MAIN_RULE_SHARE = 0.6
"""Maximum share of the most frequent rule among all broken rules, if the invalid entries have no common cause."""
_MAX_STRAY_SHARE = 0.2
"""Maximum share of invalid entries without a common cause."""


@dataclass(frozen=True)
class Rule:
    """A validation rule for the rows of a table.

    Attributes:
        name: name of the rule in the quarantine.
        column: name of the column whose value is stored in the quarantine if a row breaks the rule.
        is_broken: function that takes the rows and returns one Boolean per row, which is true if the row breaks the
            rule.
    """

    name: str
    column: str
    is_broken: Callable[[pd.DataFrame], "pd.Series[bool]"]


def apply_rules(
    file: str, rows: pd.DataFrame, column_names: Mapping[str, str], rules: Sequence[Rule]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split rows into valid rows and rejected rows. Each rejected row is reported with the first rule that it breaks.

    Args:
        file: name of the file that contains the rows.
        rows: rows of the file, with all cells as text. The index `row` contains the row numbers in the file.
        column_names: column names in the file, by column of `rows`. Columns with the same name can be omitted.
        rules: rules, in the order in which they are applied. Each rule is applied to the rows that pass all earlier
            rules.

    Returns:
        The valid rows, and the rejected rows as rows of the QUARANTINE table.
    """
    rejected = []
    for rule in rules:
        broken = rule.is_broken(rows)
        if broken.any():
            column = column_names.get(rule.column, rule.column)
            rejected.append(quarantine_cells(file, column, rows.loc[broken, rule.column], rule.name))
            rows = rows[~broken]
    return rows, pd.concat([empty_quarantine(), *rejected])


def image_rules(image_status: Mapping[str, str]) -> tuple[Rule, ...]:
    """Return the rules for the column image_id: the image must exist, be valid and belong to the right split.

    Args:
        image_status: status of each image, by image_id. The status is `ok`, the reason why the image is invalid, or
            `image_in_train` or `image_in_test` if the image belongs to another split.
    """
    ids_by_status: dict[str, list[str]] = {}
    for image_id, status in image_status.items():
        ids_by_status.setdefault(status, []).append(image_id)
    known = [image_id for image_id, status in image_status.items() if status != "missing"]

    def has_status(status: str) -> Callable[[pd.DataFrame], "pd.Series[bool]"]:
        return lambda rows: rows["image_id"].isin(ids_by_status.get(status, []))

    return (
        Rule("image_empty", "image_id", lambda rows: rows["image_id"] == ""),
        *(Rule(overlap, "image_id", has_status(overlap)) for overlap in OVERLAP_RULES),
        Rule("image_missing", "image_id", lambda rows: ~rows["image_id"].isin(known)),
        Rule("image_ambiguous", "image_id", has_status("name_ambiguous")),
        Rule("image_set_aside", "image_id", lambda rows: ~has_status("ok")(rows)),
    )


def quarantine_cells(file: str, column: str, values: "pd.Series[str]", rule: str) -> pd.DataFrame:
    """Return rejected cells as rows of the QUARANTINE table.

    The index of `values` contains the row numbers in the file.
    """
    rows = values.index.astype("Int64")
    return pd.DataFrame(
        {"file": file, "row": rows, "column": column, "value": values.to_numpy(), "rule": rule, "kind": "row"},
        columns=QUARANTINE.names,
    )


def quarantine_images(images: Sequence[ImageFile], source: str) -> pd.DataFrame:
    """Return the images whose status is not `ok` as rows of the QUARANTINE table, with paths relative to `source`."""
    rejected = [
        {"file": image.path.removeprefix(f"{source}/"), "rule": image.status, "kind": "image"}
        for image in images
        if image.status != "ok"
    ]
    return pd.DataFrame(rejected, columns=QUARANTINE.names)


def empty_quarantine() -> pd.DataFrame:
    """Return an empty QUARANTINE table."""
    return pd.DataFrame(columns=QUARANTINE.names)


def count_quarantined_rows(quarantine: pd.DataFrame) -> int:
    """Return the number of input rows that a quarantine table lists.

    A row with several rejected cells is counted once.
    """
    return len(quarantine[["file", "row"]].drop_duplicates())


def check_row_limit(
    quarantine: pd.DataFrame, n_rows: int, limit: float, hints: Mapping[str, str] | None = None
) -> None:
    """Check that the share of invalid rating rows does not exceed `limit`.

    Rows without any rating, and ratings that a later rating replaces, do not count as invalid.

    Raises:
        TooManyInvalidError: the share of invalid rows exceeds `limit`.
    """
    invalid = quarantine[~quarantine["rule"].isin(VALID_ROW_RULES)]
    n_invalid = count_quarantined_rows(invalid)
    if n_invalid > limit * n_rows:
        problem = f"{n_invalid:,} of {n_rows:,} rating rows are invalid ({n_invalid / n_rows:.1%})"
        raise TooManyInvalidError(
            f"{problem}, {_describe_excess('ingest.max_bad_rows', limit, invalid, n_rows, hints or {})}"
        )


def log_rejected_rows(quarantine: pd.DataFrame, n_rows: int) -> None:
    """Log the number of rating rows that break each rule, so that no rating is rejected silently."""
    if len(quarantine):
        counts = ", ".join(f"{rule} ({n:,})" for rule, n in quarantine["rule"].value_counts().sort_index().items())
        n_rejected = count_quarantined_rows(quarantine)
        logger.warning("%d of %d rating rows are in the quarantine table: %s.", n_rejected, n_rows, counts)


def check_image_limit(
    quarantine: pd.DataFrame, n_images: int, limit: float, hints: Mapping[str, str] | None = None
) -> None:
    """Check that the share of invalid images does not exceed `limit`.

    Images that belong to another split do not count as invalid.

    Raises:
        TooManyInvalidError: the share of invalid images exceeds `limit`.
    """
    invalid = quarantine[~quarantine["rule"].isin(OVERLAP_RULES)]
    if len(invalid) > limit * n_images:
        problem = f"{len(invalid):,} of {n_images:,} images are invalid ({len(invalid) / n_images:.1%})"
        raise TooManyInvalidError(
            f"{problem}, {_describe_excess('ingest.max_bad_images', limit, invalid, n_images, hints or {})}"
        )


def _describe_excess(key: str, limit: float, invalid: pd.DataFrame, n_entries: int, hints: Mapping[str, str]) -> str:
    """Return the second part of an error message: the limit, and examples and the fix of each broken rule.

    The message recommends a higher limit only if few entries break several rules. If most of them break the same rule,
    a higher limit would hide the cause.
    """
    fixes = {**RULE_FIXES, **hints}
    lines, counts = [], invalid["rule"].value_counts(sort=False).sort_values(ascending=False, kind="stable")
    for rule, n_rejected in counts.items():
        places = [_describe_place(row) for _, row in invalid[invalid["rule"] == rule].head(_N_EXAMPLES).iterrows()]
        examples = "; ".join([*places, "..."]) if n_rejected > _N_EXAMPLES else "; ".join(places) + "."
        lines.append(f"\n  {rule} ({n_rejected:,}): {examples} {fixes.get(str(rule), DEFAULT_FIX)}")
    is_mixed = len(counts) > 1 and counts.iloc[0] <= _MAX_MAIN_RULE_SHARE * len(invalid)
    is_stray = is_mixed and len(invalid) <= _MAX_STRAY_SHARE * n_entries
    cause = "Correct the cause. A higher limit would reject these entries without fixing the cause."
    advice = f"Correct the input, or increase {key}." if is_stray else cause
    return f"expected at most {limit:.1%} ({key}). Broken rules:{''.join(lines)}\n{advice}"


def _describe_place(rejected: "pd.Series") -> str:
    """Describe a rejected cell by its file, row, column and value, or a rejected image by its file."""
    if rejected["kind"] == "image":
        return visible(str(rejected["file"]))
    value = visible(str(rejected["value"])[:60])
    return f"{rejected['file']}, row {rejected['row']}: {rejected['column']} is '{value}'"
