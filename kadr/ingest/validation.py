"""Validate the values in the tables with Great Expectations.

The expectation suites are JSON files that are maintained by hand.
"""

import json
import logging
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.data_docs import render_data_docs

SUITES = {"images": "images", "corpus": "images", "queries": "queries", "ratings": "ratings", "captions": "captions"}
"""Name of each table's expectation suite, by table name."""


@dataclass(frozen=True)
class Validation:
    """Validation results of all tables.

    Attributes:
        warnings: sorted descriptions of the failed expectations that are not critical.
        pages: HTML page with the validation result of each table, by table name.
    """

    warnings: list[str]
    pages: dict[str, str]


def validate(tables: Mapping[str, pd.DataFrame], folder: Path) -> Validation:
    """Validate tables against their expectation suites, without writing files.

    Args:
        tables: tables to validate, by name. Each name must be a key of SUITES. Empty tables are skipped.
        folder: folder that contains one `<suite>.json` file per suite.

    Raises:
        InputError: a critical expectation fails, or a suite is missing or invalid.
    """
    gx = _import_great_expectations()
    source = _create_context(gx).data_sources.add_pandas("ingest")
    failed: dict[str, list[str]] = {"critical": [], "warning": [], "info": []}
    pages = {}
    for name, table in tables.items():
        if table.empty:
            continue
        suite = _read_suite(gx, folder / f"{SUITES[name]}.json")
        batch = (
            source.add_dataframe_asset(name)
            .add_batch_definition_whole_dataframe("whole")
            .get_batch({"dataframe": table})
        )
        table_result = batch.validate(suite, result_format="SUMMARY")
        pages[name] = render_data_docs(table_result)
        for result in table_result.results:
            if not result.success:
                failed[result.expectation_config.severity.value].append(_describe_failure(name, result))
    if failed["critical"]:
        failures = "".join(f"\n  {sentence}" for sentence in sorted(failed["critical"]))
        raise InputError(
            f"The input does not meet these critical expectations in {folder}:{failures}\n"
            "Correct the input. If an expectation is wrong, correct the expectation."
        )
    return Validation(sorted(failed["warning"] + failed["info"]), pages)


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


def _describe_failure(table: str, result: Any) -> str:
    """Describe a failed expectation: the table, the expectation and the observed values."""
    expectation = result.expectation_config
    kwargs = ", ".join(f"{key}={value!r}" for key, value in expectation.kwargs.items() if key != "batch_id")
    observed = result.result
    if "unexpected_count" in observed:
        examples = ", ".join(map(repr, observed.get("partial_unexpected_list", [])[:3]))
        outcome = f"{observed['unexpected_count']:,} of {observed['element_count']:,} values fail, such as {examples}"
    else:
        outcome = f"observed {observed['observed_value']}" if "observed_value" in observed else "no value observed"
    return f"{table}: {expectation.description or expectation.type} ({kwargs}): {outcome}"
