"""Ratings from the page: rows that stage ingest reads, none lost, and files in which they would not fit."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kadr.errors import InputError
from kadr.ingest.formats.long import COLUMNS
from kadr.ingest.text_tables import read_rows
from kadr.io.schemas import QUERIES, write_table
from kadr.serve import Judging, RatingsFile
from kadr.serve.annotation import Pair
from kadr.serve.ratings_file import NewRating, clean

HEADER = "image,text,rater,rating,source\n"
SPLITS = {"a.jpg": "train", "b.jpg": "train", "t.jpg": "test", "mine.jpg": None}


def rated(path: Path) -> pd.DataFrame:
    return read_rows(path, COLUMNS)


def test_rows_are_those_that_ingest_reads(tmp_path: Path) -> None:
    file = RatingsFile(tmp_path / "ratings_long.csv")
    file.add(NewRating("a.jpg", '  A "red", ball;\n on grass ', "Ann, B.", 4))
    file.add(NewRating("b.jpg", "Кот\tспит | дома", "боб", 1))
    assert rated(file.path).values.tolist() == [
        ["a.jpg", 'A "red", ball; on grass', "Ann, B.", "4", "expert"],
        ["b.jpg", "Кот спит | дома", "боб", "1", "expert"],
    ]
    assert file.n == 2


PRINTED = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(PRINTED, min_size=1, max_size=4), rater=PRINTED.map(str.strip))
def test_any_text_and_name_come_back(tmp_path: Path, texts: list[str], rater: str) -> None:
    path = tmp_path / "ratings_long.csv"
    path.unlink(missing_ok=True)
    file = RatingsFile(path)
    for text in texts:
        file.add(NewRating("a.jpg", text, rater, 2))
    found = rated(path)
    assert [clean(text) for text in found["text"]] == [clean(text) for text in texts]
    assert set(found["rater"]) == {rater}
    assert all(RatingsFile(path).has(rater, "a.jpg", text) for text in texts)


@pytest.mark.parametrize(
    ("content", "row"),
    [
        ("", "a.jpg,A dog,ann,3,expert"),
        (HEADER + "b.jpg,A cat,bob,1,expert\n", "a.jpg,A dog,ann,3,expert"),
        (HEADER + "b.jpg,A cat,bob,1,expert", "a.jpg,A dog,ann,3,expert"),  # no end of line, as editors leave it
        ("\ufeffrating,rater,text,image\n1,bob,A cat,b.jpg\n", "3,ann,A dog,a.jpg"),
    ],
)
def test_a_row_fits_the_file_that_is_there(tmp_path: Path, content: str, row: str) -> None:
    path = tmp_path / "ratings_long.csv"
    path.write_text(content, encoding="utf-8")
    file = RatingsFile(path)
    assert file.has("bob", "b.jpg", "A cat") == bool(content)
    file.add(NewRating("a.jpg", "A dog", "ann", 3))
    assert path.read_text(encoding="utf-8").splitlines()[-1] == row
    assert rated(path)["rater"].tolist()[-1] == "ann"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("ratings_long.csv", "image\ttext\trater\trating\n", "its first line is"),
        ("ratings_long.csv", "photo,words,who\n", r"its first line is \(photo, words, who\)"),
        (
            "ratings_long.csv",
            "image,text,rater,rating\na.jpg,\u043a\u043e\u0442,ann,1\n".encode("cp1251"),
            "first line",
        ),
        ("ratings_long.parquet", "", "ratings_long.parquet beside it holds the ratings"),
    ],
)
def test_files_in_which_rows_of_ours_would_not_fit(tmp_path: Path, name: str, content: str | bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=rf"ratings_long\.csv: ratings .*{told}"):
        RatingsFile(tmp_path / "ratings_long.csv")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ratings cannot be written .*--ratings"):
        RatingsFile(tmp_path / "none" / "ratings_long.csv")


def test_no_row_is_lost_by_threads_and_processes_at_once(tmp_path: Path, project: Path) -> None:
    path = tmp_path / "ratings_long.csv"
    code = (
        "import sys; from pathlib import Path; from kadr.serve.ratings_file import NewRating, RatingsFile\n"
        "file = RatingsFile(Path(sys.argv[1]))\n"
        "for n in range(100): file.add(NewRating('a.jpg', f'text {n} ' + 'x' * 400, sys.argv[2], 1))"
    )
    others = [
        subprocess.Popen([sys.executable, "-c", code, path, name], cwd=project, env={"PYTHONPATH": str(project)})
        for name in ("bob", "eve")
    ]
    file = RatingsFile(path)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: file.add(NewRating("b.jpg", f"text {n}", "ann", 4)), range(100)))
    assert [other.wait(60) for other in others] == [0, 0]
    found = rated(path)
    assert found.groupby("rater")["text"].nunique().to_dict() == {"ann": 100, "bob": 100, "eve": 100}
    assert path.read_text().count(HEADER) == 1


@pytest.fixture
def judging(tmp_path: Path) -> Judging:
    (tmp_path / "rate_next.csv").write_text(
        "image_id,path,query_id,text,relevance,sd\n"
        'b.jpg,x,1,"A dog, asleep",0.5,0.2\nt.jpg,x,2,A cat,0.5,0.2\na.jpg,x,3,A test text,0.5,0.2\n'
        "mine.jpg,x,1,A dog,0.5,0.2\na.jpg,x,1,A dog,0.4,0.1\n"
    )
    queries = pa.Table.from_pylist(
        [
            {"query_id": "1", "text": "A dog", "split": "train"},
            {"query_id": "q", "text": "A test text", "split": "test"},
        ],
        QUERIES,
    )
    write_table(queries, tmp_path / "queries.parquet", QUERIES)
    ratings = RatingsFile(tmp_path / "ratings_long.csv")
    return Judging(ratings, tmp_path / "rate_next.csv", tmp_path / "queries.parquet")


def test_the_queue_has_what_may_be_rated_in_its_order_until_it_is_rated(judging: Judging) -> None:
    assert list(judging.unrated("ann", judging.queue(), SPLITS.get)) == [
        Pair("b.jpg", "A dog, asleep"),
        Pair("a.jpg", "A dog"),
    ]
    judging.keep(NewRating("b.jpg", "A dog, asleep", "ann", 2), SPLITS.get)
    assert list(judging.unrated("ann", judging.queue(), SPLITS.get)) == [Pair("a.jpg", "A dog")]
    assert len(list(judging.unrated("bob", judging.queue(), SPLITS.get))) == 2
    assert judging.n_rated == 1


@pytest.mark.parametrize(
    ("image_id", "text", "told"),
    [
        ("t.jpg", "A dog", "'t.jpg' is of split test; only photos of split train are rated"),
        ("none.jpg", "A dog", "'none.jpg' is not in the index"),
        ("mine.jpg", "A dog", "'mine.jpg' is not in the index"),
        ("a.jpg", "A  test text", "is a test query"),
    ],
)
def test_what_ingest_would_set_aside_is_not_kept(judging: Judging, image_id: str, text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        judging.keep(NewRating(image_id, text, "ann", 2), SPLITS.get)
    assert judging.n_rated == 0


def test_without_rate_next_the_queue_is_empty(tmp_path: Path) -> None:
    nothing = Judging(RatingsFile(tmp_path / "ratings_long.csv"), tmp_path / "none.csv", tmp_path / "none.parquet")
    assert list(nothing.unrated("ann", nothing.queue(), SPLITS.get)) == []
