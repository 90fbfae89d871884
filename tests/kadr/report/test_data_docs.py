"""Tests for the data docs: working links, images of failed rows, severities, escaped text and identical pages."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from kadr.ingest.validation import ExpectationResult, TableValidation, Validation
from kadr.io.schemas import QUARANTINE
from kadr.report.data_docs import DataDocs, render_data_docs
from tests.kadr.report.page_parser import PageParser

PASSED = ExpectationResult("images", "critical", "IDs are unique", "unique", "column='id'", True, "", pd.DataFrame())


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataDocs:
    """Data docs of a dataset with one valid and one missing image, in a project at the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("data/raw/mine").mkdir(parents=True)
    Image.new("RGB", (30, 20), "red").save("data/raw/mine/a #1.png")
    ids = ["a #1.png", "<b>.png"]
    images = pd.DataFrame({"image_id": ids, "value": ["30", "20"], "path": [f"data/raw/mine/{name}" for name in ids]})
    texts = pd.DataFrame({"query_id": [f"q{k}" for k in range(13)], "image_id": None, "value": "7", "path": None})
    narrow = replace(PASSED, severity="warning", description="Images are wide", success=False, failed_rows=images)
    short = replace(narrow, table="queries", severity="critical", description="Texts are long", failed_rows=texts)
    quarantine = [
        {"file": "a #1.png", "rule": "truncated", "kind": "image"},
        {"file": "r.csv", "row": 3, "column": "rate_1", "value": "<i>", "rule": "rating_not_a_number", "kind": "row"},
    ]
    return DataDocs(
        source="data/raw/mine",
        folder=Path("reports/data_docs"),
        validation=Validation(
            {"images": TableValidation(2, "1f", [PASSED, narrow]), "queries": TableValidation(13, "2f", [short])}
        ),
        quarantine=pa.Table.from_pylist(quarantine, schema=QUARANTINE),
        quarantine_file="data/tables/quarantine.parquet",
    )


def test_every_link_works_without_a_network(docs: DataDocs) -> None:
    files = render_data_docs(docs)
    docs.folder.mkdir(parents=True)
    for name, content in files.items():
        (docs.folder / name).write_text(content, encoding="utf-8")
    assert set(files) == {"index.html", "images.html", "queries.html", "failed_rows.csv"}
    images = 0
    for name in ("index.html", "images.html", "queries.html"):
        for link in PageParser(files[name]).links:
            images += "raw/mine" in link
            assert link.startswith(("#", "data:image/jpeg")) or (docs.folder / unquote(link)).is_file(), (name, link)
    assert images == 2  # the failed row and the quarantine


def test_the_pages_show_failures_with_severities_and_escaped_values(docs: DataDocs) -> None:
    files = render_data_docs(docs)
    assert '<span class="badge warning">warning</span> Images are wide' in files["images.html"]
    assert '<span class="badge critical">critical</span> Texts are long' in files["queries.html"]
    assert "First 12 of 13 rows" in files["queries.html"]
    assert "&lt;b&gt;.png" in files["images.html"]
    assert "rate_1 = &lt;i&gt;" in files["index.html"]
    assert "Write each rating as a plain number" in files["index.html"]
    assert len(files["failed_rows.csv"].splitlines()) == 1 + 2 + 13
    assert "images,warning,Images are wide,,,a #1.png,30,data/raw/mine/a #1.png" in files["failed_rows.csv"]


def test_only_pages_of_rejected_input_contain_the_time(docs: DataDocs) -> None:
    assert render_data_docs(docs) == render_data_docs(docs)
    assert docs.run_name.startswith("mine-")
    rejected = replace(docs, problem="2 of 3 images are <invalid>", time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    page = render_data_docs(rejected)["index.html"]
    assert "2 of 3 images are &lt;invalid&gt;" in page
    assert "2026-01-02 03:04:05 UTC" in page
    assert "lastModified" not in page
    unvalidated = render_data_docs(replace(rejected, validation=Validation()))
    assert "The tables were not validated" in unvalidated["index.html"]
