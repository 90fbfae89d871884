"""Tests of text tables: delimiters, quoting, encodings, and the error message for each kind of unreadable file."""

import csv
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kadr.errors import InputError
from kadr.ingest.columns import Columns
from kadr.ingest.table_files import read_rows

AB = ("a", "b")
PLAIN = {"a": ["1", "3"], "b": ["x", "y"]}


def select(header: Sequence[str]) -> Mapping[str, str] | None:
    return {"a": "a", "b": "b"} if {"a", "b"} <= set(header) else None


def read(path: Path, content: bytes) -> dict[str, list[str]]:
    path.write_bytes(content)
    return read_rows(path, select).rows[["a", "b"]].to_dict("list")


def table(*texts: str, delimiter: str = ",") -> bytes:
    """Return a table of images, texts and two ratings."""
    rows = [
        ["image", "text", "rate_1", "rate_2"],
        *([f"{n}.jpg", text, str(n), "1"] for n, text in enumerate(texts, 1)),
    ]
    return "".join(delimiter.join(row) + "\n" for row in rows).encode()


def texts(path: Path, content: bytes) -> list[str]:
    path.write_bytes(content)
    rows = read_rows(path, lambda header: {"text": "text", "rate_2": "rate_2"} if "text" in header else None).rows
    assert set(rows["rate_2"]) == {"1"}
    return rows["text"].tolist()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a,b\n1,x\n3,y\n", PLAIN),
        (b"\xef\xbb\xbfa,b\n1,x\n3,y", PLAIN),
        (b"\xef\xbb\xbf\xef\xbb\xbfa,b\n1,x\n3,y", PLAIN),
        ('a,b\n1,"кот, ""рыжий"""\n'.encode(), {"a": ["1"], "b": ['кот, "рыжий"']}),
        (b"a,b\n", {"a": [], "b": []}),
        (b"a,b", {"a": [], "b": []}),
        (b'a,"b"\r\n1,x\r\n3,y\r\n', PLAIN),
        (b"a\tb\n1\tx\n3\ty\n", PLAIN),
        (b"a|b\n1|x\n3|y\n", PLAIN),
        (b"a;b\r\n1;x\r\n3;y\r\n", PLAIN),
        (b"a,b\r1,x\r3,y\r", PLAIN),
        (b'a,b\r1,"x, y"\r3,"z"\r', {"a": ["1", "3"], "b": ["x, y", "z"]}),
        (b"a,b\r\n1,x\r\n3,y\r\n\x1a", PLAIN),
        (b"sep=;\r\na;b\r\n1;x\r\n3;y\r\n", PLAIN),
        (b'\xef\xbb\xbf"sep=,"\na,b\n1,x\n3,y\n', PLAIN),
        (b"Export of 1 May\n\na;b\n1;x\n3;y\n", PLAIN),
        (b"a\xc2\xa0,\xe2\x80\x8bb\n1,x\n3,y\n", PLAIN),
        ('a;b\r\n1;"Мальчик и рыжий кот; дети"\r\n'.encode("cp1251"), {"a": ["1"], "b": ["Мальчик и рыжий кот; дети"]}),
        (b'a,b\n1,"two\nlines, a quote "" and\ta tab"\n', {"a": ["1"], "b": ['two\nlines, a quote " and\ta tab']}),
    ],
)
def test_the_dialect_is_detected(tmp_path: Path, content: bytes, expected: dict[str, list[str]]) -> None:
    assert read(tmp_path / "t.csv", content) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"1\tone, two\n2\tthree\n", [["1", "one, two"], ["2", "three"]]),
        (b"1|one, two\n2|three, four\n", [["1", "one, two"], ["2", "three, four"]]),
        (b'1,"one, two"\n2,three\n', [["1", "one, two"], ["2", "three"]]),
        (b"a,b\n2,three\n", [["2", "three"]]),
        (b"2,three", [["2", "three"]]),
        (b"2,three,,\n3,four,,\n", [["2", "three"], ["3", "four"]]),
    ],
)
def test_a_table_without_header_gets_the_given_names(tmp_path: Path, content: bytes, expected: list[list[str]]) -> None:
    (tmp_path / "t.txt").write_bytes(content)
    rows = read_rows(tmp_path / "t.txt", select, lambda n: ("a", "b")[:n]).rows
    assert rows[["a", "b"]].values.tolist() == expected


def test_a_table_without_header_must_have_the_expected_columns(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("1\t2\t3\n")
    with pytest.raises(InputError, match=r"no header, and 3 columns, expected 2 \(a, b\)"):
        read_rows(tmp_path / "t.tsv", select, lambda _n: AB)


def test_a_row_may_be_longer_than_the_sample(tmp_path: Path) -> None:
    content = ("a,b\n" + f"{'x' * 50_000},{'y|' * 9_000}\n" * 3).encode()
    assert [len(cell) for cell in read(tmp_path / "t.csv", content)["b"]] == [18_000] * 3


def test_a_column_that_is_not_read_can_have_huge_cells(tmp_path: Path) -> None:
    rows = [f"{n},x{n},{'A' * size}\n" for n, size in enumerate((10, 20_000_000, 10))]
    assert read(tmp_path / "t.csv", "".join(["a,b,content\n", *rows]).encode())["b"] == ["x0", "x1", "x2"]


def test_cells_that_contain_quotes_are_read_as_they_were_written(tmp_path: Path) -> None:
    plain, quoted = "A dog", 'A sign "EXIT", red'
    doubled = '"A sign ""EXIT"", red"'
    assert texts(tmp_path / "t.csv", table(plain, doubled)) == [plain, quoted]
    assert texts(tmp_path / "t.tsv", table(plain, doubled, delimiter="\t")) == [plain, quoted]
    assert texts(tmp_path / "t.csv", table(plain, r'"A sign \"EXIT\", red"')) == [plain, quoted]
    assert texts(tmp_path / "t.tsv", table(plain, r"A sign \"EXIT\", red", delimiter="\t")) == [plain, quoted]
    assert texts(tmp_path / "t.csv", table(plain, r"A sign\, red", r"C:\temp\new")) == [
        plain,
        "A sign, red",
        r"C:\temp\new",
    ]


def test_quotes_in_a_tab_separated_table_are_text_unless_a_cell_needs_them(tmp_path: Path) -> None:
    bare = ['"so" he said', 'an "open one', '"all"', "none"]
    assert texts(tmp_path / "t.tsv", table(*bare, delimiter="\t")) == bare
    assert texts(tmp_path / "t.tsv", table('"A"', '"B"', delimiter="\t")) == ["A", "B"]
    assert texts(tmp_path / "t.tsv", table('"A"', '"B\tc"', "D", delimiter="\t")) == ["A", "B\tc", "D"]
    assert texts(tmp_path / "t.tsv", table('"A"', "B", delimiter="\t")) == ['"A"', "B"]


def test_unpaired_quotes_are_text_if_every_line_is_a_row(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    written = ["A dog", '"Taxi stand', "A cat", '5" pipe', '"Stop" sign', "A horse"]
    with caplog.at_level(logging.WARNING):
        assert texts(tmp_path / "t.csv", table(*written)) == written
    assert "rows with unpaired quotation marks is 2 (first: line 3)" in caplog.text


@pytest.mark.parametrize(
    ("written", "line"),
    [
        (["A dog", '"A dog, ""Rex"""', '"A man, old"', '"Taxi stand', "A cat", 'A horse"'], 5),
        (['"A dog, black"', '"A cat', '"A hen, red"'], 3),
        (['"A dog, black"', '"A dog" runs, fast'], 3),
        (['"A dog, black"', '"a', 'b"'], 3),
        (["A dog", "A cat", '"Taxi, black'], 4),
    ],
)
def test_a_cell_that_swallows_rows_is_an_error_with_the_line(tmp_path: Path, written: list[str], line: int) -> None:
    with pytest.raises(InputError, match=rf"t\.csv, line {line}: a quotation mark"):
        texts(tmp_path / "t.csv", table(*written))


def test_cells_with_line_breaks_are_read(tmp_path: Path) -> None:
    long, swallowing = 'A dog\nruns, fast, far\n\n- and barks "woof"', "three\n4.jpg,A cat,1,1\nfour"
    written = ['"A dog\nruns, fast, far\n\n- and barks ""woof"""', '"one\r\ntwo"', f'"{swallowing}"', "A hen"]
    assert texts(tmp_path / "t.csv", table(*written)) == [long, "one\r\ntwo", swallowing, "A hen"]


def test_spaces_before_quoted_cells_are_ignored(tmp_path: Path) -> None:
    written = [' "A dog, red"', ' "A ""big"", black cat"', " A hen"]
    assert texts(tmp_path / "t.csv", table(*written)) == ["A dog, red", 'A "big", black cat', "A hen"]
    quoted = ['"He says, ""hi"""', 'A ""dog', '"a, ""b"", c"']
    assert texts(tmp_path / "t.csv", table(*quoted)) == ['He says, "hi"', 'A ""dog', 'a, "b", c']


SELECT_RATING = Columns(("image", "text"), ("rating", "rater"))


@pytest.mark.parametrize(
    ("rows", "expected", "n_short"),
    [
        ("a.jpg,A dog,4,ann\nb.jpg,A cat,2\nc.jpg,A hen\n", ["4 ann", "2 ", " "], 2),
        ("a.jpg,A dog,4\nb.jpg,A cat,2\n", ["4 ", "2 "], 2),
        ('a.jpg,"A dog\nruns, fast",4,ann\nb.jpg,"A ""cat"""\n', ["4 ann", " "], 1),
    ],
)
def test_blank_cells_at_the_end_of_a_row_can_be_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, rows: str, expected: list[str], n_short: int
) -> None:
    (tmp_path / "t.csv").write_text("image,text,rating,rater\n" + rows)
    with caplog.at_level(logging.WARNING):
        read = read_rows(tmp_path / "t.csv", SELECT_RATING).rows
    assert (read["rating"] + " " + read["rater"]).tolist() == expected
    assert f"{n_short} rows end before their last columns" in caplog.text


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.jpg,A dog,4,ann\nb.jpg\n", r"data row 2 \(line 3\) has 1 columns, expected 4"),
        ("a.jpg,A dog,4,ann\nb.jpg,A cat\n and a hen,4,ann\n", r"data row 3 \(line 4\) has 3 columns"),
        ("a.jpg,A dog,4,ann\nb.jpg,A cat\n, black,4,ann\n# 2 rows, in all\n", r"data row 4 \(line 5\) has 2 columns"),
        ("A dog,so it is\nA cat,or so,4,a b\nA hen, too,5,a c\n", r"data row 1 \(line 2\) has 2 columns"),
    ],
)
def test_a_broken_line_is_no_row(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "t.csv").write_text("image,text,rating,rater\n" + rows)
    with pytest.raises(InputError, match=message):
        read_rows(tmp_path / "t.csv", SELECT_RATING)


WORDS = st.sampled_from(["dog", "cat", '5"', '"stop"', "x,y", "p;q", "a|b", "C:\\temp", "line\nbreak", "O'Neil", "1,5"])
WRITTEN = st.lists(st.lists(WORDS, min_size=1, max_size=5).map(" ".join), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=WRITTEN, delimiter=st.sampled_from(",;|\t"), quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_what_the_csv_module_writes_is_read(
    tmp_path: Path, written: list[str], delimiter: str, quoting: Literal[0, 1]
) -> None:
    content = io.StringIO(newline="")
    rows = [[f"{n}.jpg", text, n, 1] for n, text in enumerate(written)]
    csv.writer(content, delimiter=delimiter, quoting=quoting).writerows([["image", "text", "rate_1", "rate_2"], *rows])
    assert texts(tmp_path / "t.csv", content.getvalue().encode()) == written


def test_a_header_that_is_repeated_in_the_middle_is_no_row(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = b"\xef\xbb\xbfa,b,c\n1,x,5\n\xef\xbb\xbfa,b,c\n3,y,6\n"
    with caplog.at_level(logging.WARNING):
        assert read(tmp_path / "t.csv", content) == PLAIN
    assert "rows repeat the header and were left out: 2" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the table is empty"),
        (b" \n\n", "the table is empty"),
        (b"a,b\n1,2\n\n3,4,5\n", r"data row 2 \(line 4\) has 3 columns, expected 2: '3,4,5'"),
        (b"a,b\n1,2,5\n3,4,6\n", r"data row 1 \(line 2\) has 3 columns, expected 2. The value '5' has no column name"),
        (b"a,b\n1\n", r"data row 1 \(line 2\) has 1 columns"),
        (b'a,b\n"1\n1","2\n2"\n3\n', r"data row 2 \(line 5\) has 1 columns"),
        (b'a,b\n1,"x\n2,y\n3,z\n4\n', "line 2: a quotation mark"),
        (b'a,b\n1,"x"\n2,y\rz\n', "data row 3 .* has 1 columns"),
    ],
)
def test_an_unreadable_file_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path / "t.csv", content)
    assert "t.csv" in str(error.value)
