"""Tests of reading table files: selected columns, other columns, kinds of files, and rows that are nothing."""

import gzip
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kadr.errors import InputError
from kadr.ingest.columns import Columns
from kadr.ingest.table_files import OTHER_COLUMNS, TableRows, find_table, read_rows

CSV = b"b,a,note\nx,1,n\ny,3,n\n"


def select(header: Sequence[str]) -> Mapping[str, str] | None:
    return {"a": "a", "b": "b"} if {"a", "b"} <= set(header) else None


def read(path: Path, content: bytes) -> TableRows:
    path.write_bytes(content)
    return read_rows(path, select)


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", CSV),
        ("T.CSV", CSV),
        ("t.tsv", CSV.replace(b",", b"\t")),
        ("t.csv.gz", gzip.compress(CSV, mtime=0)),
        ("t.json", b'[{"b": "x", "a": 1, "note": {"k": []}}, {"b": "y", "a": 3.0}]'),
        ("t.json", b'{"b": ["x", "y"], "a": [1, 3], "note": [1, 2]}'),
        ("t.json", b'{"b": {"0": "x", "1": "y"}, "a": {"0": 1, "1": 3}, "note": {"0": 1, "1": null}}'),
        ("t.json", b'{"columns": ["b", "a", "note"], "index": [0, 1], "data": [["x", 1, 0], ["y", 3, 0]]}'),
        ("t.json", b'{"info": {"year": 2024}, "rows": [{"b": "x", "a": 1, "note": ""}, {"b": "y", "a": 3}]}'),
        ("t.json", b'[["b", "a", "note"], ["x", 1, 0], ["y", 3, 0]]'),
        ("t.json", b'{"b": "x", "a": 1, "note": [1]}\n{"a": 3, "b": "y"}\n'),
        ("t.json", '[{"b": "x", "a": 1, "note": 0}, {"b": "y", "a": 3}]'.encode("utf-16")),
        ("t.jsonl", b'[{"b": "x", "a": 1, "note": 0}, {"b": "y", "a": 3}]'),
        ("t.jsonl", b'{"b": "x", "a": 1, "note": [1]}\n\n{"a": 3, "b": "y"}\n'),
        ("t.ndjson", b'\xef\xbb\xbf{"b": "x", "a": 1, "note": [1]}\n{"a": 3, "b": "y"}'),
    ],
)
def test_every_kind_of_table_gives_the_selected_columns(tmp_path: Path, name: str, content: bytes) -> None:
    table = read(tmp_path / name, content)
    assert table.rows[["a", "b"]].to_dict("list") == {"a": ["1", "3"], "b": ["x", "y"]}
    assert table.rows.index.tolist() == [1, 2]
    assert table.unread == ["note"]
    assert table.column_names == {"a": "a", "b": "b"}


def test_a_parquet_file_is_read_without_its_other_columns(tmp_path: Path) -> None:
    columns = {
        "a": pa.array([1.0, 3.5, None]),
        "b": pa.array(["x ", "y", "z"]).dictionary_encode(),
        "box": pa.array([[1, 2], [], None]),
        "page": pa.array([{"url": "u"}, None, None]),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    table = read_rows(tmp_path / "t.parquet", select)
    assert table.rows[["a", "b"]].values.tolist() == [["1", "x"], ["3.5", "y"], ["", "z"]]
    assert table.unread == ["box", "page"]


def test_nan_is_blank(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1.5, float("nan")], "b": ["x", "nan"]}), tmp_path / "t.parquet")
    tables = [
        read_rows(tmp_path / "t.parquet", select),
        read(tmp_path / "t.json", b'{"a": [1.5, NaN], "b": ["x", "nan"]}'),
    ]
    for table in tables:
        assert table.rows.values.tolist() == [["1.5", "x"], ["", "nan"]]


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    monkeypatch.setitem(sys.modules, "chardet", None)
    with pytest.raises(InputError, match=r"python-calamine\. .* pip install 'kadr\[pipeline\]'"):
        read(tmp_path / "t.xlsx", b"")
    with pytest.raises(InputError, match=r"chardet\. .* pip install 'kadr\[pipeline\]'"):
        read(tmp_path / "t.csv", "a,b\n1,Жук\n".encode("cp1251"))


def test_selected_lists_become_json_and_times_become_iso(tmp_path: Path) -> None:
    columns = {"a": pa.array([["x", "ü"], None]), "b": pa.array([0, 86_400_000], pa.timestamp("ms"))}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    rows = read_rows(tmp_path / "t.parquet", select).rows
    assert rows.values.tolist() == [['["x", "ü"]', "1970-01-01T00:00:00"], ["", "1970-01-02T00:00:00"]]


def test_other_columns_tell_rows_apart_that_are_equal_in_the_read_columns(tmp_path: Path) -> None:
    content = b"a,b,worker\n1,x,ann\n1,x,bob\n1,x,ann\n2,x,ann\n"
    parquet = {"a": ["1", "1", "1", "2"], "b": ["x"] * 4, "worker": [[0], [1], [0], [0]]}
    pq.write_table(pa.table(parquet), tmp_path / "t.parquet")
    json_lines = b'{"a":1,"b":"x","w":[0]}\n{"a":1,"b":"x","w":[1]}\n{"a":1,"b":"x","w":[0]}\n{"a":2,"b":"x","w":[0]}\n'
    tables = [
        read(tmp_path / "t.csv", content),
        read(tmp_path / "t.jsonl", json_lines),
        read_rows(tmp_path / "t.parquet", select),
    ]
    for table in tables:
        assert table.rows.duplicated().tolist() == [False, False, True, False]
        assert table.rows[OTHER_COLUMNS].tolist()[3] == 0
    assert OTHER_COLUMNS not in read(tmp_path / "u.csv", b"a,b\n1,x\n1,x\n").rows.columns


def test_rows_and_columns_without_a_value_are_nothing(tmp_path: Path) -> None:
    table = read(tmp_path / "t.csv", b"a;b;;\n1;x;;\n;;;\n3;y;;\n4;z\n;;;\n;;;\n")
    assert table.rows[["a", "b"]].values.tolist() == [["1", "x"], ["3", "y"], ["4", "z"]]
    assert table.rows.index.tolist() == [1, 3, 4]
    assert table.unread == []
    assert read(tmp_path / "u.csv", b"a,b\n1,x,,\n3,y,,\n4,z,,\n").rows["b"].tolist() == ["x", "y", "z"]


def test_a_row_with_a_value_in_another_column_is_kept(tmp_path: Path) -> None:
    rows = read(tmp_path / "t.csv", b"a,b,note\n1,x,\n,,why\n").rows
    assert rows["a"].tolist() == ["1", ""]


def test_repeated_names_matter_only_if_the_column_is_read(tmp_path: Path) -> None:
    assert read(tmp_path / "t.csv", b"a,b,c,c\n1,x,2,3\n").rows["b"].tolist() == ["x"]
    with pytest.raises(InputError, match=r"contains a more than once \(columns 1 and 3\)"):
        read(tmp_path / "t.csv", b"a,b,a\n1,x,2\n")


def test_missing_columns_are_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,words\n1,2\n")
    message = r"missing column text, rater\. The header is \(image, words\), expected \(image, text, rater\)"
    with pytest.raises(InputError, match=message):
        read_rows(tmp_path / "t.csv", Columns(("image", "text", "rater")))


def test_a_table_is_found_by_any_stem_and_suffix(tmp_path: Path) -> None:
    assert find_table(tmp_path, "x", "y").name == "x.csv"
    for name in ("y.txt", "y.csv.gz", "y.xlsx", "y.zip"):
        (tmp_path / name).write_text("")
        assert find_table(tmp_path, "x", "y").name == name
        (tmp_path / name).unlink()
    (tmp_path / "x.csv").write_text("")
    (tmp_path / "y.parquet").write_text("")
    with pytest.raises(InputError, match=r"contains x\.csv and y\.parquet\. Only one of these files"):
        find_table(tmp_path, "x", "y")


def test_an_archive_must_contain_one_table(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "t.zip", {"README.md": b"", "__MACOSX/._t.csv": b"", "data/t.csv": CSV})
    assert read_rows(path, select).rows["b"].tolist() == ["x", "y"]
    with pytest.raises(InputError, match=r"contains 2 tables \(t\.csv, u\.tsv\), expected one"):
        read_rows(write_zip(path, {"t.csv": CSV, "u.tsv": CSV}), select)
    with pytest.raises(InputError, match=r"contains 0 tables \(readme\), expected one"):
        read_rows(write_zip(path, {"readme": CSV}), select)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv.gz", gzip.compress(CSV, mtime=0)[:-9], "cannot be decompressed"),
        ("t.zip", b"PK\x03\x04", "cannot be decompressed"),
        ("t.doc", b"", r"the suffix \.doc is not that of a table"),
        ("t.parquet", b"PAR1", "cannot be read"),
        ("t.xlsx", b"PK\x03\x04", "spreadsheet cannot be read"),
        ("t.json", b"[1, 2]", "contains no table"),
        ("t.json", b'[{"a": 1}', "not valid JSON"),
        ("t.jsonl", b'{"a": 1, "b": 2}\n{"a": 1, \n', "line 2: the line is not valid JSON"),
        ("t.jsonl", b'{"a": 1, "b": 2}\n[1]\n', "line 2: the line is not a JSON object"),
    ],
)
def test_a_damaged_file_is_an_error(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path / name, content)
    assert name in str(error.value)


def test_cells_are_text_without_surrounding_spaces(tmp_path: Path) -> None:
    rows = read(tmp_path / "t.csv", b"a,b\r\n 1 ,x\r\n\r\n3, y\r\n").rows
    expected = pd.DataFrame({"a": ["1", "3"], "b": ["x", "y"]}, index=pd.RangeIndex(1, 3, name="row"), dtype="str")
    pd.testing.assert_frame_equal(rows, expected)


def test_a_missing_file_or_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_rows(tmp_path / "t.csv", select)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        read_rows(tmp_path / "folder.csv", select)
