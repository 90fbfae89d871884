"""Data docs: HTML pages with the validation result of each table, and a CSV file with all rows that failed."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import pandas as pd
import pyarrow as pa

from kadr.ingest.quarantine import VALID_ROW_RULES
from kadr.ingest.rule_fixes import DEFAULT_FIX, RULE_FIXES
from kadr.ingest.validation import ID_COLUMNS, NOT_CRITICAL, ExpectationResult, TableValidation, Validation
from kadr.report.data_uri import thumbnail_data_uri
from kadr.report.input_tables import summarise_quarantine
from kadr.report.named_value import NamedValue
from kadr.report.templates import load_templates

FAILED_ROWS = "failed_rows.csv"
"""Name of the file with all rows that do not meet an expectation."""

_N_ROWS = 12
_N_QUARANTINED = 10


@dataclass(frozen=True)
class DataDocs:
    """Contents of the data docs.

    Attributes:
        source: path of the dataset folder.
        folder: folder of the pages, for the links to the images.
        validation: validation results of the tables.
        quarantine: rejected rows and images, with the schema QUARANTINE.
        quarantine_file: path of the file with the whole quarantine.
        problem: error message, if the input was rejected.
        time: time of the validation. Pages in a DVC output have none, because the same input must give the same bytes.
    """

    source: str
    folder: Path
    validation: Validation
    quarantine: pa.Table
    quarantine_file: str
    problem: str | None = None
    time: datetime | None = None

    @property
    def run_name(self) -> str:
        """Name of the dataset folder and a hash of the validated tables."""
        tables = self.validation.tables
        content = "".join(f"{name} {table.fingerprint} " for name, table in tables.items())
        digest = hashlib.sha256(content.encode()).hexdigest()[:8]
        return f"{PurePosixPath(self.source).name}-{digest}" if tables else PurePosixPath(self.source).name

    @property
    def title(self) -> str:
        """Title of the first page."""
        return f"Data docs of {PurePosixPath(self.source).name}"

    @property
    def summary(self) -> list[NamedValue]:
        """Values at the top of the first page."""
        tables = list(self.validation.tables.values())
        return [
            NamedValue("input", "accepted" if self.problem is None else "rejected", ""),
            *(_count_failures(tables) if tables else ()),
            NamedValue("quarantine", f"{len(self.quarantine):,}", ""),
        ]


@dataclass(frozen=True)
class TablePage:
    """Contents of the page of one table."""

    docs: DataDocs
    name: str

    @property
    def title(self) -> str:
        """Title of the page."""
        return f"Table {self.name}"

    @property
    def summary(self) -> list[NamedValue]:
        """Values at the top of the page."""
        table = self.docs.validation.tables[self.name]
        return [
            NamedValue("rows", f"{table.n_rows:,}", ""),
            NamedValue("expectations", f"{len(table.results):,}", ""),
            *_count_failures([table]),
        ]

    @property
    def results(self) -> list[ExpectationResult]:
        """Results of the expectations: first the critical failures, then the other failures."""
        return sorted(
            self.docs.validation.tables[self.name].results,
            key=lambda result: (result.success, result.severity != "critical"),
        )


@dataclass(frozen=True)
class FailedRow:
    """A row that does not meet an expectation.

    Attributes:
        ids: IDs of the row.
        value: checked value.
        image_id: ID of the row's image, for the alternative text.
        thumbnail: thumbnail of the image as a data URI. None if the row has no image file.
        link: address of the image file. None if the row has no image file.
    """

    ids: Sequence[str]
    value: str
    image_id: str
    thumbnail: str | None
    link: str | None


def render_data_docs(docs: DataDocs) -> dict[str, str]:
    """Return the content of each file of the data docs, by file name. All text in the pages is escaped."""
    templates = load_templates()
    templates.globals |= {
        "failed_rows_file": FAILED_ROWS,
        "rules": summarise_quarantine(docs.quarantine, _N_QUARANTINED),
        "fix": lambda rule: None if rule in VALID_ROW_RULES else RULE_FIXES.get(rule, DEFAULT_FIX),
        "link": lambda path: link_file(path, docs.folder),
        "list_rows": lambda result: list(_list_rows(result, docs.folder)),
    }
    pages = {"index.html": templates.get_template("data_docs_index.html.j2").render(page=docs, docs=docs)}
    table_template = templates.get_template("data_docs_table.html.j2")
    for name in docs.validation.tables:
        pages[f"{name}.html"] = table_template.render(page=TablePage(docs, name), docs=docs)
    return pages | {FAILED_ROWS: list_failed_rows(docs.validation).to_csv(index=False, lineterminator="\n")}


def write_pages(pages: Mapping[str, str], folder: Path) -> None:
    """Replace a folder with a new folder that contains the given files, by name."""
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    for name, page in pages.items():
        (partial / name).write_text(page, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def list_failed_rows(validation: Validation) -> pd.DataFrame:
    """Return the rows that do not meet an expectation, with the table, the severity and the expectation."""
    columns = ["table", "severity", "expectation", *ID_COLUMNS, "value", "path"]
    rows = [
        result.failed_rows.assign(table=result.table, severity=result.severity, expectation=result.description)
        for result in validation.failed("critical", *NOT_CRITICAL)
        if len(result.failed_rows)
    ]
    return pd.concat([pd.DataFrame(columns=columns, dtype="object"), *rows])[columns]


def link_file(path: str, folder: Path) -> str | None:
    """Return the address of a file relative to the folder of the page, or None if the file does not exist."""
    if not Path(path).is_file():
        return None
    return Path(path).as_uri() if Path(path).is_absolute() else quote(os.path.relpath(path, folder))


def _count_failures(tables: Sequence[TableValidation]) -> Iterator[NamedValue]:
    """Yield the number of critical failures and of warnings."""
    for name, severities in (("critical failures", ("critical",)), ("warnings", NOT_CRITICAL)):
        yield NamedValue(name, f"{sum(len(table.failed(*severities)) for table in tables):,}", "")


def _list_rows(result: ExpectationResult, folder: Path) -> Iterator[FailedRow]:
    for row in result.failed_rows.head(_N_ROWS).to_dict("records"):
        path = None if pd.isna(row["path"]) else row["path"]
        address = link_file(path, folder) if path else None
        ids = [str(row[name]) for name in ID_COLUMNS if name in row and not pd.isna(row[name])]
        yield FailedRow(
            ids, row["value"], str(row.get("image_id")), thumbnail_data_uri(path) if path and address else None, address
        )
