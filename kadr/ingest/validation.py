"""The ingest part's Great Expectations: are the tables' values sane? Suites are JSON kept by hand."""

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

SUITE_OF = {"images": "images", "corpus": "images", "queries": "queries", "ratings": "ratings", "captions": "captions"}


@dataclass(frozen=True)
class Validation:
    """What the suites say: failed expectations of a severity below critical as sentences, and a page of each table."""

    warnings: list[str]
    pages: dict[str, str]


def validate(tables: Mapping[str, pd.DataFrame], folder: Path) -> Validation:
    """Hold tables against their suites, in memory.

    Args:
        tables: name (a key of SUITE_OF) -> table; an empty one is skipped.
        folder: of the suites, `<suite>.json`.

    Raises:
        InputError: where a critical expectation fails, or a suite cannot be read.
    """
    gx = _great_expectations()
    source = _context(gx).data_sources.add_pandas("ingest")
    failed: dict[str, list[str]] = {"critical": [], "warning": [], "info": []}
    pages = {}
    for name, table in tables.items():
        if table.empty:
            continue
        suite = _read_suite(gx, folder / f"{SUITE_OF[name]}.json")
        batch = (
            source.add_dataframe_asset(name)
            .add_batch_definition_whole_dataframe("whole")
            .get_batch({"dataframe": table})
        )
        whole = batch.validate(suite, result_format="SUMMARY")
        pages[name] = render_data_docs(whole)
        for result in whole.results:
            if not result.success:
                failed[result.expectation_config.severity.value].append(_sentence(name, result))
    if failed["critical"]:
        listed = "".join(f"\n  {sentence}" for sentence in sorted(failed["critical"]))
        raise InputError(
            f"the input fails what {folder} expects of it:{listed}\nMend the input, or the expectation if it is wrong"
        )
    return Validation(sorted(failed["warning"] + failed["info"]), pages)


def _great_expectations() -> Any:
    """The library, quiet."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)  # what fails, we say
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports a module that Python deprecates
        import great_expectations

    return great_expectations


def _context(gx: Any) -> Any:
    """A context in memory alone: no files, no pages, no progress bars."""
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
    """The suite at `path`. The library leaves out an expectation that it does not know; here that is an error."""
    try:
        wanted = json.loads(path.read_text(encoding="utf-8"))
        suite = gx.ExpectationSuite(**wanted)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such suite of expectations; restore it with git") from error
    except (ValueError, TypeError, gx.exceptions.GreatExpectationsError) as error:
        raise InputError(f"{path}: not a suite of expectations ({error}); mend it, or restore it with git") from error
    unknown = {expectation["type"] for expectation in wanted["expectations"]} - {
        expectation.expectation_type for expectation in suite.expectations
    }
    if unknown or len(suite.expectations) < len(wanted["expectations"]):
        what = f"unknown: {', '.join(sorted(unknown))}" if unknown else "one stands twice or lacks a kwarg"
        raise InputError(f"{path}: not a suite of expectations ({what}); mend it, or restore it with git")
    return suite


def _sentence(table: str, result: Any) -> str:
    """A failed expectation for people: table, what is expected, what was got."""
    expected = result.expectation_config
    kwargs = ", ".join(f"{key}={value!r}" for key, value in expected.kwargs.items() if key != "batch_id")
    got = result.result
    if "unexpected_count" in got:
        values = ", ".join(map(repr, got.get("partial_unexpected_list", [])[:3]))
        found = f"{got['unexpected_count']:,} of {got['element_count']:,} are not, such as {values}"
    else:
        found = f"got {got['observed_value']}" if "observed_value" in got else "could not be told"
    return f"{table}: {expected.description or expected.type} ({kwargs}): {found}"
