"""Validation rules, the quarantine of rejected input, and limits for the share of invalid input."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from kadr.errors import TooManyInvalidError
from kadr.ingest.image_checks import ImageFile
from kadr.io.schemas import QUARANTINE

OVERLAP_RULES = ("image_in_train", "image_in_test")
"""Names of the rules for valid images that belong to another split."""

RATED_AGAIN = "rated_again"
"""Name of the rule for valid ratings that a later rating by the same rater replaces."""

_N_EXAMPLES = 3


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

    def has_status(*statuses: str) -> Callable[[pd.DataFrame], "pd.Series[bool]"]:
        return lambda rows: rows["image_id"].map(image_status).fillna("missing").isin(statuses)

    return (
        Rule("image_empty", "image_id", lambda rows: rows["image_id"] == ""),
        *(Rule(overlap, "image_id", has_status(overlap)) for overlap in OVERLAP_RULES),
        Rule("image_missing", "image_id", has_status("missing")),
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


def check_row_limit(quarantine: pd.DataFrame, n_rows: int, limit: float) -> None:
    """Check that the share of invalid rating rows does not exceed `limit`.

    Ratings that a later rating replaces do not count as invalid.

    Raises:
        TooManyInvalidError: the share of invalid rows exceeds `limit`.
    """
    invalid = quarantine[quarantine["rule"] != RATED_AGAIN]
    n_invalid = count_quarantined_rows(invalid)
    if n_invalid > limit * n_rows:
        problem = f"{n_invalid:,} of {n_rows:,} rating rows are invalid ({n_invalid / n_rows:.1%})"
        raise TooManyInvalidError(f"{problem}, {_describe_excess('ingest.max_bad_rows', limit, invalid)}")


def check_image_limit(quarantine: pd.DataFrame, n_images: int, limit: float) -> None:
    """Check that the share of invalid images does not exceed `limit`.

    Images that belong to another split do not count as invalid.

    Raises:
        TooManyInvalidError: the share of invalid images exceeds `limit`.
    """
    invalid = quarantine[~quarantine["rule"].isin(OVERLAP_RULES)]
    if len(invalid) > limit * n_images:
        problem = f"{len(invalid):,} of {n_images:,} images are invalid ({len(invalid) / n_images:.1%})"
        raise TooManyInvalidError(f"{problem}, {_describe_excess('ingest.max_bad_images', limit, invalid)}")


def _describe_excess(key: str, limit: float, invalid: pd.DataFrame) -> str:
    """Return the second part of an error message: the limit, examples of each broken rule, and the fix."""
    lines = []
    for rule, rejected in invalid.groupby("rule", sort=False):
        examples = "; ".join(_describe_place(row) for _, row in rejected.head(_N_EXAMPLES).iterrows())
        lines.append(f"\n  {rule} ({len(rejected):,}): {examples}{'; ...' if len(rejected) > _N_EXAMPLES else ''}")
    return f"expected at most {limit:.1%} ({key}). Examples:{''.join(lines)}\nCorrect the input, or increase {key}."


def _describe_place(rejected: "pd.Series") -> str:
    """Describe a rejected cell by its file, row, column and value, or a rejected image by its file."""
    if rejected["kind"] == "image":
        return str(rejected["file"])
    return f"{rejected['file']}, row {rejected['row']}: {rejected['column']} is {str(rejected['value'])[:60]!r}"
