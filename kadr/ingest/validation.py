"""Validate the values in the tables with Great Expectations.

The expectation suites are JSON files that are maintained by hand.
"""

import json
import logging
import os
import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from kadr.errors import InputError
from kadr.io.invisible_characters import visible

SUITES = {"images": "images", "corpus": "images", "queries": "queries", "ratings": "ratings", "captions": "captions"}
"""Name of each table's expectation suite, by table name."""

Severity = Literal["critical", "warning", "info"]

NOT_CRITICAL: tuple[Severity, ...] = ("warning", "info")
"""Severities of expectations whose failure does not stop the run."""

ID_COLUMNS = ("caption_id", "query_id", "image_id")
"""Columns that identify the failed rows of a table."""

_N_EXAMPLES = 5
_MAX_VALUE_LENGTH = 60
_RESULT_FORMAT = {"result_format": "COMPLETE", "return_unexpected_index_query": False}
"""Return the numbers of all failed rows, but not as a pandas expression, which takes long for many rows."""


@dataclass(frozen=True)
class ExpectationResult:
    """Validation result of one expectation.

    Attributes:
        table: name of the table.
        severity: `critical` if a failure stops the run.
        description: the expectation in words.
        expectation: type of the expectation.
        arguments: arguments of the expectation.
        success: whether the table meets the expectation.
        outcome: number of failed values, missing values or observed value. Can be empty.
        failed_rows: rows that do not meet the expectation, with the columns of ID_COLUMNS that the table has, `value`
            (checked values, separated by commas) and `path` (path of the image, null if the row has no image). Empty
            if the expectation is about the table as a whole.
    """

    table: str
    severity: Severity
    description: str
    expectation: str
    arguments: str
    success: bool
    outcome: str
    failed_rows: pd.DataFrame

    def describe(self) -> str:
        """Describe the result: the table, the expectation, the number of failed values, and the first failed rows."""
        rows = list(map(_describe_row, self.failed_rows.head(_N_EXAMPLES).to_dict("records")))
        rows += ["..."] if len(self.failed_rows) > _N_EXAMPLES else []
        outcome = f"{self.outcome}, such as {'; '.join(rows)}" if rows else self.outcome
        return f"{self.table}: {self.description} ({self.arguments}): {outcome or 'failed'}"


@dataclass(frozen=True)
class TableValidation:
    """Validation results of a table.

    Attributes:
        n_rows: number of rows of the table.
        fingerprint: hash of the content of the table.
        results: results of the expectations, in the order of the suite.
    """

    n_rows: int
    fingerprint: str
    results: Sequence[ExpectationResult]

    def failed(self, *severities: Severity) -> list[ExpectationResult]:
        """Return the failed expectations that have one of the severities."""
        return [result for result in self.results if not result.success and result.severity in severities]


@dataclass(frozen=True)
class Validation:
    """Validation results of all tables.

    Attributes:
        tables: validation results, by table name. Empty tables are not validated.
    """

    tables: Mapping[str, TableValidation] = field(default_factory=dict)

    def failed(self, *severities: Severity) -> list[ExpectationResult]:
        """Return the failed expectations of all tables that have one of the severities."""
        return [result for table in self.tables.values() for result in table.failed(*severities)]


def validate(tables: Mapping[str, pd.DataFrame], folder: Path) -> Validation:
    """Validate tables against their expectation suites, without writing files.

    Args:
        tables: tables to validate, by name. Each name must be a key of SUITES. Empty tables are skipped.
        folder: folder that contains one `<suite>.json` file per suite.

    Raises:
        InputError: a suite is missing or invalid.
    """
    gx = _import_great_expectations()
    source = _create_context(gx).data_sources.add_pandas("ingest")
    paths = _image_paths(tables)
    validated = {}
    for name, table in tables.items():
        if table.empty:
            continue
        suite = _read_suite(gx, folder / f"{SUITES[name]}.json")
        batch = (
            source.add_dataframe_asset(name)
            .add_batch_definition_whole_dataframe("whole")
            .get_batch({"dataframe": table})
        )
        table_result = batch.validate(suite, result_format=_RESULT_FORMAT)
        order = [expectation.id for expectation in suite.expectations]
        ordered = sorted(table_result.results, key=lambda result: order.index(result.expectation_config.id))
        results = [_to_result(name, table, result, paths) for result in ordered]
        fingerprint = table_result.meta["batch_markers"]["pandas_data_fingerprint"]
        validated[name] = TableValidation(len(table), fingerprint, results)
    return Validation(validated)


def _import_great_expectations() -> Any:
    """Import Great Expectations, and turn off its analytics, log messages and deprecation warnings."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations

    return great_expectations


def _create_context(gx: Any) -> Any:
    """Create an in-memory context that writes no files and shows no progress bars."""
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    return gx.get_context(project_config=config, mode="ephemeral")


def _read_suite(gx: Any, path: Path) -> Any:
    """Read a suite. Raise InputError for unknown expectations, which Great Expectations would silently ignore."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        suite = gx.ExpectationSuite(**content)
    except FileNotFoundError as error:
        raise InputError(f"{path}: the expectation suite does not exist. Restore the file with git.") from error
    except (ValueError, TypeError, gx.exceptions.GreatExpectationsError) as error:
        raise InputError(
            f"{path}: the expectation suite is invalid ({error}). Correct the file, or restore it with git."
        ) from error
    unknown = {expectation["type"] for expectation in content["expectations"]} - {
        expectation.expectation_type for expectation in suite.expectations
    }
    if unknown or len(suite.expectations) < len(content["expectations"]):
        reason = f"unknown types {', '.join(sorted(unknown))}" if unknown else "a repeated or incomplete expectation"
        raise InputError(
            f"{path}: the expectation suite is invalid ({reason}). Correct the file, or restore it with git."
        )
    return suite


def _image_paths(tables: Mapping[str, pd.DataFrame]) -> "pd.Series[str]":
    """Return the paths of the images in all tables of images, with the image IDs as index."""
    images = [table[["image_id", "path"]] for table in tables.values() if "path" in table]
    if not images:
        return pd.Series(dtype="str")
    return pd.concat(images).drop_duplicates("image_id").set_index("image_id")["path"]


def _to_result(table_name: str, table: pd.DataFrame, result: Any, paths: "pd.Series[str]") -> ExpectationResult:
    """Convert a result of Great Expectations. `table` is the validated table, whose rows are numbered from 0."""
    config = result.expectation_config
    kwargs = {key: value for key, value in config.kwargs.items() if key != "batch_id"}
    rows = table.iloc[result.result.get("unexpected_index_list") or []]
    return ExpectationResult(
        table_name,
        config.severity.value,
        config.description or config.type,
        config.type,
        ", ".join(f"{key}={value!r}" for key, value in kwargs.items()),
        bool(result.success),
        _describe_outcome(result),
        _select_columns(rows, kwargs, paths),
    )


def _describe_outcome(result: Any) -> str:
    """Return the number of failed values, the missing values or the observed value. An empty text if there is none."""
    observed, errors = result.result, [result.exception_info, *result.exception_info.values()]
    messages = {str(error.get("exception_message") or "") for error in errors if isinstance(error, dict)} - {""}
    if messages:
        return f"not evaluated: {'; '.join(sorted(messages))}"
    if "unexpected_count" in observed:
        return f"{observed['unexpected_count']:,} of {observed['element_count']:,} values fail"
    if missing := observed.get("partial_missing_list"):
        return f"no row has the value {' or '.join(map(repr, missing))}"
    return "" if observed.get("observed_value") is None else f"observed {observed['observed_value']}"


def _describe_row(row: Mapping[Hashable, Any]) -> str:
    """Describe a failed row by its IDs and its checked values."""
    ids = ", ".join(f"{name} {row[name]!r}" for name in ID_COLUMNS if name in row and not pd.isna(row[name]))
    return f"{ids} ({visible(row['value'][:_MAX_VALUE_LENGTH])})"


def _select_columns(rows: pd.DataFrame, kwargs: Mapping[str, Any], paths: "pd.Series[str]") -> pd.DataFrame:
    """Return the IDs, the checked values and the image paths of failed rows."""
    checked = [kwargs[key] for key in ("column", "column_A", "column_B") if key in kwargs]
    checked += kwargs.get("column_list", ())
    ids = [name for name in ID_COLUMNS if name in rows.columns]
    values = rows[checked].map(_format_value).agg(", ".join, axis=1) if len(rows) else pd.Series(dtype="str")
    images = rows["path"] if "path" in rows.columns else rows["image_id"].astype("object").map(paths)
    return rows[ids].assign(value=values, path=images).reset_index(drop=True)


def _format_value(value: object) -> str:
    """Format a value of a table. Whole numbers have no decimals, also in columns with missing values."""
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)
