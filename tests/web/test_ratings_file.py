"""Tests of the ratings file: stage ingest reads all rows, and files in other formats are rejected."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kadr.errors import InputError
from kadr.ingest.formats.long import COLUMNS
from kadr.ingest.text_tables import read_rows
from kadr.io.texts import normalise_whitespace
from kadr.serve import RatingsFile
from kadr.serve.ratings_file import NewRating

HEADER = "image,text,rater,rating,source\n"


def read_ratings(path: Path) -> pd.DataFrame:
    """Read a ratings file in the same way as stage ingest."""
    return read_rows(path, COLUMNS)


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
    assert set(rows["rater"]) == {rater}
    assert all(RatingsFile(path).contains(rater, "a.jpg", text) for text in texts)


@pytest.mark.parametrize(
    ("content", "last_line"),
    [
        ("", "a.jpg,A dog,ann,3,expert"),
        (HEADER + "b.jpg,A cat,bob,1,expert\n", "a.jpg,A dog,ann,3,expert"),
        (HEADER + "b.jpg,A cat,bob,1,expert", "a.jpg,A dog,ann,3,expert"),  # no line break at the end of the file
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
        ("ratings_long.csv", "image,text,rater,rating\na.jpg,кот,ann,1\n".encode("cp1251"), "its first line is"),
        ("ratings_long.parquet", b"", "ratings_long.parquet in the same folder contains the ratings"),
    ],
    ids=["tabs", "columns", "encoding", "parquet"],
)
def test_a_file_of_another_format_is_rejected(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"ratings_long\.csv: ratings cannot be added because {message}"):
        RatingsFile(tmp_path / "ratings_long.csv")


def test_a_missing_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ratings cannot be written .*--ratings"):
        RatingsFile(tmp_path / "none" / "ratings_long.csv")


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
