"""Tests for reading text tables: dialect detection, and the error message for each kind of unreadable file."""

import logging
from pathlib import Path

import pytest

from kadr.errors import InputError
from kadr.ingest.text_tables import find_file, read_rows, require_columns

AB = ("a", "b")
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
        (b"a\tb\n1\tx\n3\ty\n", PLAIN),
        (b"a|b\n1|x\n3|y\n", PLAIN),
        (b"a;b\r\n1;x\r\n3;y\r\n", PLAIN),
        ('a;b\r\n1;"кот; рыжий"\r\n'.encode("cp1251"), {"a": ["1"], "b": ["кот; рыжий"]}),
        (b'a,b\n1,"two\nlines, a quote "" and\ta tab"\n', {"a": ["1"], "b": ['two\nlines, a quote " and\ta tab']}),
    ],
)
def test_cells_are_stripped_text(tmp_path: Path, content: bytes, expected: dict[str, list[str]]) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    rows = read_rows(tmp_path / "t.csv", AB)
    assert rows.to_dict("list") == expected
    assert rows.index.tolist() == list(range(1, len(rows) + 1))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"1\tone, two\n2\tthree\n", [["1", "one, two"], ["2", "three"]]),
        (b"1|one, two\n2|three, four\n", [["1", "one, two"], ["2", "three, four"]]),
        (b'1,"one, two"\n2,three\n', [["1", "one, two"], ["2", "three"]]),
        (b"a,b\n2,three\n", [["2", "three"]]),
        (b"2,three", [["2", "three"]]),
    ],
)
def test_a_table_without_header_gets_the_given_names(tmp_path: Path, content: bytes, expected: list[list[str]]) -> None:
    (tmp_path / "t.txt").write_bytes(content)
    rows = read_rows(tmp_path / "t.txt", AB, lambda n: ("a", "b")[:n])
    assert rows.columns.tolist() == ["a", "b"]
    assert rows.values.tolist() == expected


def test_a_row_may_be_longer_than_the_sample(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + f"{'x' * 50_000},{'y|' * 9_000}\n" * 3)
    assert read_rows(tmp_path / "t.csv", AB)["b"].str.len().tolist() == [18_000] * 3


def test_cp1251_is_logged_and_utf8_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, encoding in (("utf8.csv", "utf-8"), ("old.csv", "cp1251")):
        (tmp_path / name).write_bytes("a,b\n1,Рыжий кот №1\n".encode(encoding))
        with caplog.at_level(logging.WARNING):
            assert read_rows(tmp_path / name, AB)["b"].tolist() == ["Рыжий кот №1"]
    assert "old.csv is not valid UTF-8 and was read as cp1251" in caplog.text
    assert "utf8.csv" not in caplog.text


def test_a_file_is_found_by_any_stem_and_suffix(tmp_path: Path) -> None:
    assert find_file(tmp_path, "x", "y").name == "x.tsv"
    (tmp_path / "y.txt").write_text("")
    assert find_file(tmp_path, "x", "y").name == "y.txt"
    (tmp_path / "x.csv").write_text("")
    with pytest.raises(InputError, match=r"contains x\.csv and y\.txt\. Only one of these files"):
        find_file(tmp_path, "x", "y")


def test_a_quote_in_a_tab_separated_table_is_text(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_bytes(b'1\t"so" he said\n2\tan "open one\n')
    rows = read_rows(tmp_path / "t.tsv", AB, lambda _n: AB)
    assert rows["b"].tolist() == ['"so" he said', 'an "open one']


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "first line is empty"),
        (b"a,b", "the table has no rows"),
        (b"a,a\n1,2\n", "contains a more than once"),
        (b"a,b\n1,2\n\n3,4,5\n", r"data row 2 has 3 columns, expected 2: '3,4,5'"),
        (b"a,b\n1\n", "data row 1 has 1 columns"),
        ("a,b\n1,2\n1,\u0436ук\n".encode().replace(b"\xd1\x83", b"\xd1"), "line 3 is neither UTF-8 nor CP1251"),
        (b"a,b\n1,\x98\n", "line 2 is neither UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "line 1 is neither UTF-8"),
        (b'a,b\n1,"x\n2,y\n3,z\n', "data row 1 is never closed"),
    ],
)
def test_an_unreadable_file_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read_rows(tmp_path / "t.csv", AB)
    assert "t.csv" in str(error.value)


def test_a_missing_file_or_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_rows(tmp_path / "t.csv", AB)
    with pytest.raises(InputError, match="cannot be read"):
        read_rows(tmp_path, AB)


def test_missing_columns_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    rows = read_rows(tmp_path / "t.csv", AB)
    require_columns(tmp_path / "t.csv", rows, ("a",))
    with pytest.raises(InputError, match=r"missing column c, d\. The header is \(a, b\), expected \(a, c, d\)"):
        require_columns(tmp_path / "t.csv", rows, ("a", "c", "d"))
