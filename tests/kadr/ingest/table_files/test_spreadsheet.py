"""Tests of spreadsheets: sheets, numbers, dates, and rows and columns without values."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from kadr.errors import InputError
from kadr.ingest.columns import Columns
from kadr.ingest.table_files import OTHER_COLUMNS, read_rows

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
COLUMNS = Columns(("image", "text", "rating"), ("time",))
DATE = "date:45413"  # 1 May 2024


def cell(place: str, value: str | float | None) -> str:
    """Return the XML of a cell: a number, a text, a date or an error."""
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith("date:"):
        return f'<c r="{place}" s="1"><v>{value.removeprefix("date:")}</v></c>'
    if isinstance(value, str) and value.startswith("#"):
        return f'<c r="{place}" t="e"><v>{value}</v></c>'
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'
    return f'<c r="{place}"><v>{value!r}</v></c>'


def write_xlsx(path: Path, **sheets: Sequence[Sequence[str | float | None]]) -> Path:
    """Write an Excel file with one sheet for each keyword."""
    names = list(sheets)
    tabs = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(names, 1))
    links = "".join(
        f'<Relationship Id="r{n}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(names) + 1)
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{TYPES}"><Default Extension="xml" ContentType="{SHEET_TYPE}.main+xml"/>'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}"><Relationship Id="r1" Type="{OFFICE}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{tabs}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}">{links}'
        f'<Relationship Id="s1" Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
        "</styleSheet>",
    }
    for n, rows in enumerate(sheets.values(), 1):
        lines = "".join(
            f'<row r="{r}">' + "".join(cell(f"{chr(65 + c)}{r}", value) for c, value in enumerate(row)) + "</row>"
            for r, row in enumerate(rows, 1)
        )
        parts[f"xl/worksheets/sheet{n}.xml"] = f'<worksheet xmlns="{MAIN}"><sheetData>{lines}</sheetData></worksheet>'
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def test_the_first_sheet_with_the_header_is_read(tmp_path: Path) -> None:
    path = write_xlsx(
        tmp_path / "t.xlsx",
        Notes=[["Read me"], ["image", "what"]],
        Ratings=[
            ["Ratings of May"],
            [],
            [None, "Image", "Text", "Rating", "Time", None],
            [None, "a.jpg", " A dog ", 4.0, DATE, None],
            [None, None, None, None, None, None],
            [None, 42.0, "A cat", 0.1 + 0.2, "soon", None],
            [None, "b.jpg", "A hen", "#N/A", None, None],
        ],
        Other=[["image", "text", "rating"], ["z.jpg", "A cow", 1]],
    )
    table = read_rows(path, COLUMNS)
    assert table.rows.values.tolist() == [
        ["a.jpg", "A dog", "4", "2024-05-01"],
        ["42", "A cat", "0.3", "soon"],
        ["b.jpg", "A hen", "", ""],
    ]
    assert table.rows.index.tolist() == [1, 3, 4]
    assert table.column_names == {"image": "Image", "text": "Text", "rating": "Rating", "time": "Time"}
    assert table.unread == []


def test_other_columns_of_a_sheet_tell_rows_apart(tmp_path: Path) -> None:
    rows = [["image", "text", "rating", "worker"], ["a.jpg", "A", 4, "ann"], ["a.jpg", "A", 4, "bob"]]
    table = read_rows(write_xlsx(tmp_path / "t.xlsx", Sheet=rows), COLUMNS)
    assert OTHER_COLUMNS in table.rows.columns
    assert not table.rows.duplicated().any()
    assert table.unread == ["worker"]


def test_a_workbook_without_the_header_is_an_error(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "t.xlsx", Sheet=[["image", "words"], ["a.jpg", "A"]])
    with pytest.raises(InputError, match=r"t\.xlsx: missing column text, rating\. The header is \(image, words\)"):
        read_rows(path, COLUMNS)
