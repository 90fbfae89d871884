"""Tests of the annotation mode: selection of pairs and checks of ratings."""

import re
from pathlib import Path

import pyarrow as pa
import pytest

from kadr.errors import InputError
from kadr.io.schemas import QUERIES, write_table
from kadr.serve import Annotation, RatingsFile
from kadr.serve.annotation import CandidatePair
from kadr.serve.annotation_scale import AnnotationScale, read_annotation_scale
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
    return annotation.select_pairs(rater, annotation.suggested_pairs(), SPLITS.get, 20).pairs


def test_each_rater_gets_the_allowed_pairs_in_order_until_they_are_rated(annotation: Annotation) -> None:
    first, second = CandidatePair("b.jpg", "A dog, asleep"), CandidatePair("a.jpg", "A dog")
    assert pairs_for(annotation, "ann") == [first, second]
    annotation.save_rating(NewRating("b.jpg", "A dog, asleep", "ann", 2), SPLITS.get)
    assert pairs_for(annotation, "ann") == [second]
    assert pairs_for(annotation, "bob") == [first, second]
    assert annotation.n_ratings == 1


def test_pages_of_pairs_reach_every_pair_although_the_rater_skips_all(tmp_path: Path) -> None:
    rows = [f"{number}.jpg,A dog\n" for number in range(250)]
    (tmp_path / "rate_next.csv").write_text("image_id,text\n" + "".join([*rows, rows[0]]))
    annotation = Annotation(RatingsFile(tmp_path / "ratings_long.csv"), tmp_path / "rate_next.csv", tmp_path / "none")
    splits = {f"{number}.jpg": "test" if number == 101 else "train" for number in range(250)}
    annotation.save_rating(NewRating("100.jpg", "A dog", "ann", 2), splits.get)
    seen, cursor = [], 0
    while cursor is not None:
        page = annotation.select_pairs("ann", annotation.suggested_pairs(), splits.get, 20, cursor)
        assert (page.n_pairs, page.n_left) == (249, 248)
        seen += [pair.image_id for pair in page.pairs]
        cursor = page.next_cursor
    assert seen == [f"{number}.jpg" for number in range(250) if number not in {100, 101}]


def test_a_withdrawn_rating_is_offered_again(annotation: Annotation) -> None:
    first, second = pairs_for(annotation, "ann")
    for pair, rating in ((first, 2), (second, 3), (first, 4)):
        annotation.save_rating(NewRating(pair.image_id, pair.text, "ann", rating), SPLITS.get)
    assert [(r.image_id, r.rating) for r in annotation.ratings_by("ann")] == [("a.jpg", 3), ("b.jpg", 4)]
    assert annotation.withdraw_rating("ann", first.image_id, first.text)
    assert not annotation.withdraw_rating("ann", first.image_id, first.text)
    assert (annotation.n_pairs_by("ann"), annotation.n_pairs_by("bob")) == (1, 0)
    assert pairs_for(annotation, "ann") == [first]


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({}, r"`kadr index` made the index.*run `dvc repro` in a project folder"),
        ({"t.jpg": "test"}, "No image of this index belongs to the train split"),
    ],
)
def test_an_index_without_train_images_cannot_be_rated(
    annotation: Annotation, splits: dict[str, str], message: str
) -> None:
    assert re.search(message, annotation.find_error(splits) or "")
    assert annotation.find_error({"a.jpg": "train"}) is None


def test_the_reason_for_no_pairs_says_what_to_do(annotation: Annotation, tmp_path: Path) -> None:
    assert "'A test text' is a query of the test split" in annotation.explain_no_pairs("A test text")
    assert "No result for 'A cat' belongs to the train split" in annotation.explain_no_pairs("A cat")
    assert "None of the pairs in rate_next.csv" in annotation.explain_no_pairs("")
    (tmp_path / "rate_next.csv").unlink()
    assert "Run `dvc repro`" in annotation.explain_no_pairs("")


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


def test_ratings_are_checked_and_stored_on_the_scale_of_the_project(tmp_path: Path) -> None:
    ratings, scale = RatingsFile(tmp_path / "ratings_long.csv"), AnnotationScale(-3, 3)
    annotation = Annotation(ratings, tmp_path / "none.csv", tmp_path / "none.parquet", scale)
    annotation.save_rating(NewRating("a.jpg", "A dog", "ann", -2), SPLITS.get)
    with pytest.raises(InputError, match=r"The rating 4 is outside of the scale\. Expected a number from -3 to 3"):
        annotation.save_rating(NewRating("a.jpg", "A dog", "ann", 4), SPLITS.get)
    assert (tmp_path / "ratings_long.csv").read_text() == (
        "image,text,rater,rating,source,scale_min,scale_max\na.jpg,A dog,ann,-2,expert,-3,3\n"
    )


@pytest.mark.parametrize(
    ("scale", "steps"),
    [
        (AnnotationScale(), [1, 2, 3, 4]),
        (AnnotationScale(0, 10), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (AnnotationScale(0, 1), [0, 0.25, 0.5, 0.75, 1]),
        (AnnotationScale(1, 101), [1, 26, 51, 76, 101]),
    ],
)
def test_the_page_offers_whole_steps_or_five_ratings(scale: AnnotationScale, steps: list[float]) -> None:
    assert scale.steps == steps


def test_the_scale_is_read_from_the_metrics_of_ingest(tmp_path: Path) -> None:
    path = tmp_path / "ingest.json"
    assert read_annotation_scale(path) == AnnotationScale(1, 4)
    path.write_text('{"rating_scales": {"expert": {"minimum": 0.0, "maximum": 5.0}}}')
    assert read_annotation_scale(path) == AnnotationScale(0, 5)
    path.write_text("{}")
    assert read_annotation_scale(path) == AnnotationScale(1, 4)


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
