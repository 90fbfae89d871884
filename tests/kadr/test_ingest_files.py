"""Text tables: what is read, and what each unreadable file is told."""

from pathlib import Path

import pytest

from kadr.errors import InputError
from kadr.ingest.files import read_rows, require_columns

PLAIN = {"a": ["1", "3"], "b": ["x", "y"]}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a,b\n1,x\n3,y\n", PLAIN),
        (b"a,b\r\n 1 ,x\r\n\r\n3, y\r\n", PLAIN),
        (b"\xef\xbb\xbfa,b\n1,x\n3,y", PLAIN),
        ('a,b\n1,"кот, ""рыжий"""\n'.encode(), {"a": ["1"], "b": ['кот, "рыжий"']}),
        (b"a,b\n,\n", {"a": [""], "b": [""]}),
        (b"a,b\n", {"a": [], "b": []}),
        (b'a,"b"\r\n1,x\r\n3,y\r\n', PLAIN),
    ],
)
def test_cells_are_stripped_text(tmp_path: Path, content: bytes, expected: dict[str, list[str]]) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    rows = read_rows(tmp_path / "t.csv", ",")
    assert rows.to_dict("list") == expected
    assert rows.index.tolist() == list(range(1, len(rows) + 1))


def test_quotes_are_text_between_tabs(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_bytes(b'1\t"so" he said\n2\tan "open one\n')
    rows = read_rows(tmp_path / "t.tsv", "\t", ("a", "b"))
    assert rows["b"].tolist() == ['"so" he said', 'an "open one']


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "first line is empty"),
        (b"a,b", "it has no rows"),
        (b"a,a\n1,2\n", "names a more than once"),
        (b"a,b\n1,2\n\n3,4,5\n", r"data row 2 has 3 columns, wanted 2: '3,4,5'"),
        (b"a,b\n1\n", "data row 1 has 1 columns"),
        ("a,b\n1,2\n1,ж\n".encode("cp1251"), "line 3 is not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "line 1 is not UTF-8"),
        (b'a,b\n1,"x\n2,y\n3,z\n', "data row 1 is never closed"),
    ],
)
def test_unreadable_files_are_explained(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InputError, match=told) as error:
        read_rows(tmp_path / "t.csv", ",")
    assert "t.csv" in str(error.value)


def test_missing_and_unreadable_paths_are_explained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_rows(tmp_path / "t.csv", ",")
    with pytest.raises(InputError, match="cannot be read"):
        read_rows(tmp_path, "\t", ("a",))


def test_missing_columns_are_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    rows = read_rows(tmp_path / "t.csv", ",")
    require_columns(tmp_path / "t.csv", rows, ("a",))
    with pytest.raises(InputError, match=r"no column c, d; the header is \(a, b\), wanted \(a, c, d\)"):
        require_columns(tmp_path / "t.csv", rows, ("a", "c", "d"))
