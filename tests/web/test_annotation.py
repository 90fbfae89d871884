"""Tests of the annotation mode: selection of pairs and checks of ratings."""

from pathlib import Path

import pyarrow as pa
import pytest

from kadr.errors import InputError
from kadr.io.schemas import QUERIES, write_table
from kadr.serve import Annotation, RatingsFile
from kadr.serve.annotation import CandidatePair
from kadr.serve.ratings_file import NewRating

SPLITS = {"a.jpg": "train", "b.jpg": "train", "t.jpg": "test", "mine.jpg": None}
RATE_NEXT = """image_id,path,query_id,text,relevance,sd
b.jpg,x,1,"A dog, asleep",0.5,0.2
t.jpg,x,2,A cat,0.5,0.2
a.jpg,x,3,A test text,0.5,0.2
mine.jpg,x,1,A dog,0.5,0.2
a.jpg,x,1,A dog,0.4,0.1
"""


@pytest.fixture
def annotation(tmp_path: Path) -> Annotation:
    """Annotation mode with five suggested pairs, of which two can be rated."""
    (tmp_path / "rate_next.csv").write_text(RATE_NEXT)
    queries = [
        {"query_id": "1", "text": "A dog", "split": "train"},
        {"query_id": "q", "text": "A test text", "split": "test"},
    ]
    write_table(pa.Table.from_pylist(queries, QUERIES), tmp_path / "queries.parquet", QUERIES)
    ratings = RatingsFile(tmp_path / "ratings_long.csv")
    return Annotation(ratings, tmp_path / "rate_next.csv", tmp_path / "queries.parquet")


def pairs_for(annotation: Annotation, rater: str) -> list[CandidatePair]:
    return list(annotation.unrated_pairs(rater, annotation.suggested_pairs(), SPLITS.get))


def test_each_rater_gets_the_allowed_pairs_in_order_until_they_are_rated(annotation: Annotation) -> None:
    first, second = CandidatePair("b.jpg", "A dog, asleep"), CandidatePair("a.jpg", "A dog")
    assert pairs_for(annotation, "ann") == [first, second]
    annotation.save_rating(NewRating("b.jpg", "A dog, asleep", "ann", 2), SPLITS.get)
    assert pairs_for(annotation, "ann") == [second]
    assert pairs_for(annotation, "bob") == [first, second]
    assert annotation.n_ratings == 1


@pytest.mark.parametrize(
    ("image_id", "text", "message"),
    [
        ("t.jpg", "A dog", "'t.jpg' belongs to the test split"),
        ("none.jpg", "A dog", "'none.jpg' is not in the index"),
        ("mine.jpg", "A dog", "'mine.jpg' is not in the index or has no split"),
        ("a.jpg", "A  test text", "is a query of the test split"),
    ],
)
def test_a_rating_that_ingest_would_quarantine_is_rejected(
    annotation: Annotation, image_id: str, text: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        annotation.save_rating(NewRating(image_id, text, "ann", 2), SPLITS.get)
    assert annotation.n_ratings == 0


def test_no_pairs_are_suggested_without_rate_next(tmp_path: Path) -> None:
    ratings = RatingsFile(tmp_path / "ratings_long.csv")
    annotation = Annotation(ratings, tmp_path / "missing.csv", tmp_path / "missing.parquet")
    assert pairs_for(annotation, "ann") == []


def test_without_a_ratings_file_the_error_is_reported(tmp_path: Path) -> None:
    error = InputError("ratings_long.csv: ratings cannot be written.")
    annotation = Annotation(error, tmp_path / "missing.csv", tmp_path / "missing.parquet")
    assert (annotation.error, annotation.n_ratings) == (str(error), 0)
    with pytest.raises(InputError, match="cannot be written"):
        pairs_for(annotation, "ann")
    with pytest.raises(InputError, match="cannot be written"):
        annotation.save_rating(NewRating("a.jpg", "A dog", "ann", 2), SPLITS.get)
